"""The bytes of a recording as the demuxer reads them: ranged reads behind a file object, never the whole of it."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Protocol

from clipengine.errors import RecordingTruncated

_AHEAD_PART = 24
_MAX_AHEAD_BYTES = 4 * 1024 * 1024
_RUNS = 8


class ByteSource(Protocol):
    """Random access to one recording of `size` bytes."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `min(length, size - offset)` bytes."""


class DescriptorSource:
    """A recording that lies in a file, by an open descriptor. The descriptor stays its giver's to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = os.pread(self._descriptor, length - len(parts), offset + len(parts))
            if not part:
                break
            parts += part
        if len(parts) < min(length, self.size - offset):
            raise RecordingTruncated("the recording became shorter while it was read")
        return bytes(parts)


class MediaReader:
    """A read-only, seekable file object over a ByteSource, for `av.open`.

    Reads whole blocks and keeps the latest, because demuxers jump to and fro between interleaved streams. Never
    returns more than was asked for (the demuxer copies without a check), knows its size without a request, and counts
    what it read from the source in `bytes_read`. An error of the source is kept in `error`: the demuxer may swallow it.
    """

    def __init__(self, source: ByteSource, *, block_bytes: int = 64 * 1024, cached_blocks: int = 512) -> None:
        self._source = source
        self._position = 0
        self._block_bytes = block_bytes
        self._cached_blocks = cached_blocks
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._runs: OrderedDict[int, int] = OrderedDict()  # the block after a run -> how many blocks it has
        self.bytes_read = 0
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, length: int) -> bytes:
        end = min(self._position + length, self._source.size)
        if end <= self._position:
            return b""
        first, last = self._position // self._block_bytes, (end - 1) // self._block_bytes
        try:
            self._fetch(first, last)
        except BaseException as error:
            self.error = error
            raise
        joined = b"".join(self._blocks[number] for number in range(first, last + 1))
        start = self._position - first * self._block_bytes
        part = joined[start : start + end - self._position]
        self._position += len(part)
        while len(self._blocks) > self._cached_blocks:
            self._blocks.popitem(last=False)
        return part

    def _fetch(self, first: int, last: int) -> None:
        """Have blocks `first` to `last` in the cache, with one request for each run that is missing."""
        number = first
        while number <= last:
            if number in self._blocks:
                self._blocks.move_to_end(number)
                number += 1
                continue
            stop = number
            while stop <= last and stop not in self._blocks:
                stop += 1
            stop += self._ahead(number, stop)
            data = self._source.read_at(number * self._block_bytes, (stop - number) * self._block_bytes)
            self.bytes_read += len(data)
            for index in range(stop - number):
                self._blocks[number + index] = data[index * self._block_bytes : (index + 1) * self._block_bytes]
            number = stop

    def _ahead(self, number: int, stop: int) -> int:
        """How many blocks to read beyond `stop`: a small part of what was read in one run up to here.

        So a long run costs few requests, and at its end at most that part was read in vain. Interleaved streams make
        several runs at once.
        """
        run = self._runs.pop(number, 0)
        ahead = min(run // _AHEAD_PART, _MAX_AHEAD_BYTES // self._block_bytes)
        self._runs[stop + ahead] = run + stop - number + ahead
        while len(self._runs) > _RUNS:
            self._runs.popitem(last=False)
        return ahead
