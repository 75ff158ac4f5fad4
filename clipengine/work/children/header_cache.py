"""Cache of the headers and indexes of recordings in remote stores, which every clip of a recording reads first.

Entries are keyed by object key and ETag, so they are never stale. The least recently used recordings are evicted. Clips
that are cut at the same time read a block once: the others wait for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from clipengine.stores.base import ObjectReader

_BLOCK_BYTES = 16 * 1024
_LIMIT_BYTES = 64 * 1024 * 1024
_OBJECT_BYTES = 24 * 1024 * 1024

_Key = tuple[str, str]


@dataclass
class _Header:
    blocks: dict[int, bytes] = field(default_factory=dict)
    loading: set[int] = field(default_factory=set)
    size: int = 0


class HeaderCache:
    """Read-through cache of at most `limit` bytes, and `per_object` bytes of one recording. Thread-safe."""

    def __init__(self, limit: int = _LIMIT_BYTES, per_object: int = _OBJECT_BYTES) -> None:
        self._limit = limit
        self._per_object = per_object
        self._changed = threading.Condition()
        self._headers: OrderedDict[_Key, _Header] = OrderedDict()
        self.size = 0

    def read(self, reader: ObjectReader, offset: int, length: int, *, keep: bool) -> tuple[bytes, int]:
        """Return a range of the object and the number of bytes that were read from the store.

        Ranges read with `keep` are cached.
        """
        if not keep:
            data = reader.read_at(offset, length)
            return data, len(data)
        end, first = min(offset + length, reader.info.size), offset // _BLOCK_BYTES
        wanted, read = range(first, -(-end // _BLOCK_BYTES)), 0
        key = (reader.info.key, reader.info.etag)
        cached, missing = self._claim(key, wanted)
        if missing:
            fresh: dict[int, bytes] = {}
            try:
                fresh = _read_blocks(reader, missing)
            finally:
                self._keep(key, fresh, missing)
            cached |= fresh
            read = sum(map(len, fresh.values()))
        joined = b"".join(cached[number] for number in wanted)
        begin = offset - first * _BLOCK_BYTES
        return joined[begin : begin + end - offset], read

    def _claim(self, key: _Key, wanted: range) -> tuple[dict[int, bytes], range]:
        """Return the cached blocks, and the blocks that the caller must read and `_keep`.

        Waits for blocks that another thread is reading.
        """
        with self._changed:
            while True:
                header = self._headers.setdefault(key, _Header())
                self._headers.move_to_end(key)
                cached = {number: header.blocks[number] for number in wanted if number in header.blocks}
                lacking = [number for number in wanted if number not in cached]
                # One request, from the first missing block to the last one.
                missing = range(lacking[0], lacking[-1] + 1) if lacking else range(0)
                if header.loading.isdisjoint(missing):
                    header.loading.update(missing)
                    return cached, missing
                self._changed.wait()

    def _keep(self, key: _Key, fresh: dict[int, bytes], claimed: range) -> None:
        with self._changed:
            header = self._headers.setdefault(key, _Header())
            header.loading.difference_update(claimed)
            self._changed.notify_all()
            for number, block in fresh.items():
                if number not in header.blocks and header.size + len(block) <= self._per_object:
                    header.blocks[number] = block
                    header.size += len(block)
                    self.size += len(block)
            if not header.blocks and not header.loading:
                del self._headers[key]
                return
            self._headers.move_to_end(key)
            while self.size > self._limit:
                _, oldest = self._headers.popitem(last=False)
                self.size -= oldest.size


def _read_blocks(reader: ObjectReader, numbers: range) -> dict[int, bytes]:
    start, length = numbers[0] * _BLOCK_BYTES, len(numbers) * _BLOCK_BYTES
    data = reader.read_at(start, length)[:length]  # in case the reader returns more
    parts = range(0, len(data), _BLOCK_BYTES)
    return {(start + part) // _BLOCK_BYTES: data[part : part + _BLOCK_BYTES] for part in parts}
