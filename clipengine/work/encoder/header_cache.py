"""Cache of the headers and indexes of recordings in remote stores, which every clip of a recording reads first.

Entries are keyed by object key and ETag, so they are never stale. The least recently used recordings are evicted.
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
    size: int = 0


class HeaderCache:
    """Read-through cache of at most `limit` bytes, and `per_object` bytes of one recording. Thread-safe."""

    def __init__(self, limit: int = _LIMIT_BYTES, per_object: int = _OBJECT_BYTES) -> None:
        self._limit = limit
        self._per_object = per_object
        self._lock = threading.Lock()
        self._headers: OrderedDict[_Key, _Header] = OrderedDict()
        self.size = 0

    def read(self, reader: ObjectReader, offset: int, length: int, *, keep: bool) -> tuple[bytes, int]:
        """Return a range of the object and the number of bytes that were read from the store.

        Ranges read with `keep` are cached.
        """
        if not keep:
            data = reader.read_at(offset, length)
            return data, len(data)
        end = min(offset + length, reader.info.size)
        cached, read = self._cached(reader, offset, end), 0
        # One request, from the first missing block to the last one.
        missing = [number for number in range(offset // _BLOCK_BYTES, -(-end // _BLOCK_BYTES)) if number not in cached]
        if missing:
            start = missing[0] * _BLOCK_BYTES
            wanted = (missing[-1] + 1) * _BLOCK_BYTES - start
            data = reader.read_at(start, wanted)[:wanted]  # in case the reader returns more
            parts = range(0, len(data), _BLOCK_BYTES)
            fresh = {(start + part) // _BLOCK_BYTES: data[part : part + _BLOCK_BYTES] for part in parts}
            self._keep(reader, fresh)
            cached |= fresh
            read = len(data)
        first = offset // _BLOCK_BYTES
        joined = b"".join(cached[number] for number in range(first, -(-end // _BLOCK_BYTES)))
        begin = offset - first * _BLOCK_BYTES
        return joined[begin : begin + end - offset], read

    def _cached(self, reader: ObjectReader, offset: int, end: int) -> dict[int, bytes]:
        key = (reader.info.key, reader.info.etag)
        with self._lock:
            header = self._headers.get(key)
            if header is None:
                return {}
            self._headers.move_to_end(key)
            wanted = range(offset // _BLOCK_BYTES, -(-end // _BLOCK_BYTES))
            return {number: header.blocks[number] for number in wanted if number in header.blocks}

    def _keep(self, reader: ObjectReader, fresh: dict[int, bytes]) -> None:
        key = (reader.info.key, reader.info.etag)
        with self._lock:
            header = self._headers.setdefault(key, _Header())
            for number, block in fresh.items():
                if number not in header.blocks and header.size + len(block) <= self._per_object:
                    header.blocks[number] = block
                    header.size += len(block)
                    self.size += len(block)
            self._headers.move_to_end(key)
            while self.size > self._limit:
                _, oldest = self._headers.popitem(last=False)
                self.size -= oldest.size
