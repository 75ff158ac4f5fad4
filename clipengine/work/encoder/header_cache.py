"""The headers of recordings in remote stores: what every clip of a recording reads first, kept between its clips.

The bytes are those that a child has asked for as head or index. They are known by the object's key and ETag, so that
nothing here is ever stale, and bounded: the recordings that were cut longest ago go first.
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
    """Read through it; safe from any thread. At most `limit` bytes are kept, and `per_object` of one recording."""

    def __init__(self, limit: int = _LIMIT_BYTES, per_object: int = _OBJECT_BYTES) -> None:
        self._limit = limit
        self._per_object = per_object
        self._lock = threading.Lock()
        self._headers: OrderedDict[_Key, _Header] = OrderedDict()
        self.size = 0

    def read(self, reader: ObjectReader, offset: int, length: int, *, keep: bool) -> tuple[bytes, int]:
        """These bytes of the object, and how many of them were read from the store; with `keep`, kept from now on."""
        if not keep:
            data = reader.read_at(offset, length)
            return data, len(data)
        end = min(offset + length, reader.info.size)
        known, read = self._known(reader, offset, end), 0
        # One request, from the first block that is missing to the last one.
        missing = [at for at in range(offset // _BLOCK_BYTES, -(-end // _BLOCK_BYTES)) if at not in known]
        if missing:
            start = missing[0] * _BLOCK_BYTES
            wanted = (missing[-1] + 1) * _BLOCK_BYTES - start
            data = reader.read_at(start, wanted)[:wanted]  # what came beyond it would be other clips' bytes
            parts = range(0, len(data), _BLOCK_BYTES)
            fresh = {(start + part) // _BLOCK_BYTES: data[part : part + _BLOCK_BYTES] for part in parts}
            self._keep(reader, fresh)
            known |= fresh
            read = len(data)
        first = offset // _BLOCK_BYTES
        joined = b"".join(known[at] for at in range(first, -(-end // _BLOCK_BYTES)))
        begin = offset - first * _BLOCK_BYTES
        return joined[begin : begin + end - offset], read

    def _known(self, reader: ObjectReader, offset: int, end: int) -> dict[int, bytes]:
        key = (reader.info.key, reader.info.etag)
        with self._lock:
            head = self._headers.get(key)
            if head is None:
                return {}
            self._headers.move_to_end(key)
            wanted = range(offset // _BLOCK_BYTES, -(-end // _BLOCK_BYTES))
            return {at: head.blocks[at] for at in wanted if at in head.blocks}

    def _keep(self, reader: ObjectReader, fresh: dict[int, bytes]) -> None:
        key = (reader.info.key, reader.info.etag)
        with self._lock:
            head = self._headers.setdefault(key, _Header())
            for at, block in fresh.items():
                if at not in head.blocks and head.size + len(block) <= self._per_object:
                    head.blocks[at] = block
                    head.size += len(block)
                    self.size += len(block)
            self._headers.move_to_end(key)
            while self.size > self._limit:
                _, oldest = self._headers.popitem(last=False)
                self.size -= oldest.size
