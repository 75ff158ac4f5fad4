"""Byte source that keeps what was read first, so that further readings of a range do not read the recording again."""

from __future__ import annotations

from bisect import bisect_right
from threading import Lock

from clipengine.media.input.containers.cached_reader import ByteSource

MAX_KEPT_BYTES = 32 << 20


class KeptBytes:
    """Allowance of bytes that the sources of a clip keep together. When it `is_spent`, nothing more is kept."""

    def __init__(self) -> None:
        self._left = MAX_KEPT_BYTES

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def take(self, size: int) -> bool:
        """Return True if so many more bytes may be kept."""
        self._left -= size
        return not self.is_spent

    def close(self) -> None:
        self._left = 0


class KeptSource:
    """Reads a recording and keeps its bytes as long as the allowance lasts. `bytes_read` counts those read from it.

    Two threads may read: the demuxer's, and the read-ahead's.
    """

    def __init__(self, source: ByteSource, allowance: KeptBytes) -> None:
        self._source = source
        self._allowance = allowance
        self._lock = Lock()
        self._starts: list[int] = []  # of the kept ranges, which are sorted and disjoint
        self._ranges: list[bytes] = []
        self.size, self.remote = source.size, source.remote
        self.bytes_read = 0

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        end = min(offset + length, self.size)
        read: list[bytes] = []
        while offset < end:
            kept, until = self._kept(offset, end)
            data = kept or self._read(offset, until - offset, keep=keep)
            read.append(data)
            offset += len(data)
        return read[0] if len(read) == 1 else b"".join(read)

    def _kept(self, offset: int, end: int) -> tuple[bytes, int]:
        """Return the kept bytes at the offset, and where the next kept range begins, `end` at most."""
        with self._lock:
            number = bisect_right(self._starts, offset)
            start = self._starts[number - 1] if number else 0
            data = self._ranges[number - 1][offset - start : end - start] if number else b""
            return data, min(end, self._starts[number]) if number < len(self._starts) else end

    def _read(self, offset: int, length: int, *, keep: bool) -> bytes:
        data = self._source.read_at(offset, length, keep=keep)
        with self._lock:
            self.bytes_read += len(data)
            number = bisect_right(self._starts, offset)
            before = self._starts[number - 1] + len(self._ranges[number - 1]) if number else 0
            after = self._starts[number] if number < len(self._starts) else self.size
            if (
                before <= offset and offset + length <= after and self._allowance.take(length)
            ):  # not read by both threads
                self._starts.insert(number, offset)
                self._ranges.insert(number, data)
        return data
