"""The bytes of a recording as the demuxer reads them: ranged reads behind a file object, never the whole of it."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from clipengine.errors import RecordingTruncated, RecordingUnreadable
from clipengine.media.input.throughput import ThroughputEstimator

BLOCK_BYTES = 16 * 1024
_CACHED_BYTES = 24 * 1024 * 1024  # as far as interleaved streams lie apart in the worst of files
_CACHED_LOCAL_BYTES = 2 * 1024 * 1024  # what is read of a file once more, the kernel has
Span = tuple[int, int]  # from a byte to the one behind the last
# A run of which nobody has said how long it will be: how far to read beyond what was asked for.
_AHEAD_BLOCKS = 3
_AHEAD_PART = 24
_RUNS = 8
_MAX_BYTES_WITHOUT_PACKET = 1 << 30


class ByteSource(Protocol):
    """Random access to one recording of `size` bytes. `remote`: a read costs a round trip, so that it pays to begin
    the next one before it is needed; reads then come from two threads at once."""

    size: int
    remote: bool

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        """Exactly `min(length, size - offset)` bytes. `keep`: other clips of the recording will need them too."""


class DescriptorSource:
    """A recording that lies in a file, by an open descriptor. The descriptor stays its giver's to close."""

    remote = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.lseek(descriptor, 0, os.SEEK_END)

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
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
    """A read-only, seekable file object over a ByteSource, for `av.open`. One thread reads; `release` it afterwards.

    Reads whole blocks and keeps the latest, because demuxers jump to and fro between interleaved streams. Never
    returns more than was asked for (the demuxer copies without a check), knows its size without a request, and counts
    what it read from the source in `bytes_read`. An error of the source is kept in `error`: the demuxer may swallow it.

    Who knows which bytes will be needed says so (`expect`): those are read in requests as large as the way to the
    source deserves, the next one under way while the one before is decoded. Elsewhere little more is read than was
    asked for.
    """

    def __init__(self, source: ByteSource, *, block_bytes: int = BLOCK_BYTES, cached_bytes: int | None = None) -> None:
        self._source = source
        self._position = 0
        self._block_bytes = block_bytes
        if cached_bytes is None:
            cached_bytes = _CACHED_BYTES if source.remote else _CACHED_LOCAL_BYTES
        self._cached_blocks = cached_bytes // block_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._runs: OrderedDict[int, int] = OrderedDict()  # the block after a run -> how many blocks it has
        self._starts: list[int] = []  # of the expected spans, in blocks
        self._ends: list[int] = []
        self._throughput = ThroughputEstimator()
        self._thread = ThreadPoolExecutor(1, "read-ahead") if source.remote else None
        self._in_flight: tuple[int, int, Future[bytes]] | None = None  # blocks from, to (exclusive), under way
        self._masked: tuple[int, int, bytes] | None = None
        self.size = source.size
        # What is read now, and lies before this, is head or index: other clips will need it as well.
        self.shared_until = source.size
        self.bytes_read = 0
        self._bytes_without_packet = 0  # bytes read since the demuxer found something
        self.error: BaseException | None = None

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go of the read-ahead; a request that is under way ends first, and what it brought counts as read."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        if (
            self._in_flight is not None
            and not self._in_flight[2].cancelled()
            and self._in_flight[2].exception() is None
        ):
            self.bytes_read += len(self._in_flight[2].result())
        self._in_flight = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, length: int) -> bytes:
        end = min(self._position + length, self.size)
        if end <= self._position:
            return b""
        if self._masked is not None and end > self._masked[0] and self._position < self._masked[1]:
            if self._position >= self._masked[0]:
                return self._read_filler(min(length, self._masked[1] - self._position))
            end = self._masked[0]
        first, last = self._position // self._block_bytes, (end - 1) // self._block_bytes
        try:
            self._fetch(first, last)
        except BaseException as error:
            self.error = error
            raise
        joined = (
            self._blocks[first] if first == last else b"".join(map(self._blocks.__getitem__, range(first, last + 1)))
        )
        start = self._position - first * self._block_bytes
        part = joined[start : start + end - self._position]
        self._position += len(part)
        while len(self._blocks) > self._cached_blocks:
            self._blocks.popitem(last=False)
        return part

    def mask(self, start: int, end: int, filler: bytes) -> None:
        """Show `cover` and zeros behind it in place of the bytes from `start` to `end`."""
        self._masked = (start, end, filler) if end > start else None

    def _read_filler(self, length: int) -> bytes:
        assert self._masked is not None
        at = self._position - self._masked[0]
        self._position += length
        return self._masked[2][at : at + length].ljust(length, b"\0")

    def found(self) -> None:
        """The demuxer has made something of what it read."""
        self._bytes_without_packet = 0

    def expect(self, spans: Iterable[Span]) -> None:
        """These bytes will be read, whatever was expected before. In order, without overlap."""
        size = self._block_bytes
        self._starts, self._ends = [], []
        for start, end in spans:
            first, after = start // size, -(-min(end, self.size) // size)
            if self._ends and first <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], after)
            else:
                self._starts.append(first)
                self._ends.append(after)

    def _fetch(self, first: int, last: int) -> None:
        """Have blocks `first` to `last` in the cache, with one request for each run that is missing."""
        number = first
        while number <= last:
            if number in self._blocks:
                self._blocks.move_to_end(number)
                number += 1
            elif self._in_flight and self._in_flight[0] <= number < self._in_flight[1]:
                self._take()
            else:
                stop = number
                while (
                    stop <= last and stop not in self._blocks and not (self._in_flight and stop == self._in_flight[0])
                ):
                    stop += 1
                stop += self._ahead(number, stop)
                self._store(number, self._request(number, stop))
                number = stop
        if self._thread is not None:
            self._look_ahead(last + 1)

    def _request(self, number: int, stop: int) -> bytes:
        offset, length = number * self._block_bytes, (stop - number) * self._block_bytes
        with self._throughput.timed(length):
            data = self._source.read_at(offset, length, keep=offset < self.shared_until)
        wanted = min(length, self.size - offset)
        if len(data) < wanted:
            raise RecordingTruncated(f"{len(data)} bytes were read where the recording has {wanted}")
        return data[:wanted]  # blocks lie by their numbers: a byte too many would stand in another's place

    def _store(self, number: int, data: bytes) -> None:
        self.bytes_read += len(data)
        self._bytes_without_packet += len(data)
        if self._bytes_without_packet > _MAX_BYTES_WITHOUT_PACKET:
            raise RecordingUnreadable(f"no packet found in {_MAX_BYTES_WITHOUT_PACKET >> 20} MiB of the recording")
        for start in range(0, len(data), self._block_bytes):
            self._blocks[number] = data[start : start + self._block_bytes]
            number += 1

    def _take(self) -> None:
        """Wait for the request that is under way. Its error is raised to whoever needs its bytes, and only then."""
        assert self._in_flight is not None
        number, _, future = self._in_flight
        self._in_flight = None
        self._store(number, future.result())

    def _look_ahead(self, number: int) -> None:
        """Begin the next request where what is expected from here on is not in the cache for long."""
        if self._in_flight is not None:
            if not self._in_flight[2].done() or self._in_flight[2].exception() is not None:
                return
            self._take()
        end, chunk = self._expected_end(number), self._throughput.chunk_bytes // self._block_bytes
        limit = min(end, number + chunk)
        while number < limit and number in self._blocks:
            number += 1
        if number == limit:
            return
        stop = number + 1
        while stop < min(end, number + chunk) and stop not in self._blocks:
            stop += 1
        assert self._thread is not None
        self._in_flight = number, stop, self._thread.submit(self._request, number, stop)

    def _expected_end(self, number: int) -> int:
        """The block behind the expected span that holds this one; the block itself where none does."""
        at = bisect_right(self._starts, number) - 1
        return max(number, self._ends[at]) if at >= 0 else number

    def _ahead(self, number: int, stop: int) -> int:
        """How many blocks to read beyond `stop` in the same request.

        What is expected, as far as one request should reach. Otherwise a small part of what was read in one run up to
        here, so that a long run costs few requests and at its end at most that part was read in vain; interleaved
        streams make several runs at once.
        """
        run = self._runs.pop(number, 0)
        expected = self._expected_end(stop - 1)
        if expected > stop:
            ahead = min(expected, number + self._throughput.chunk_bytes // self._block_bytes) - stop
        else:
            ahead = (
                min(max(run // _AHEAD_PART, _AHEAD_BLOCKS), self._throughput.chunk_bytes // self._block_bytes)
                if run
                else 0
            )
        ahead = max(0, ahead)
        if self._in_flight and stop <= self._in_flight[0]:
            ahead = min(ahead, self._in_flight[0] - stop)
        while ahead and stop + ahead - 1 in self._blocks:
            ahead -= 1
        self._runs[stop + ahead] = run + stop - number + ahead
        while len(self._runs) > _RUNS:
            self._runs.popitem(last=False)
        return ahead
