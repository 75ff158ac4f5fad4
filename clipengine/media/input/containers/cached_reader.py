"""File object for the demuxer that reads byte ranges of a recording on demand, with a cache and read-ahead."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from clipengine.errors import RecordingTruncated, RecordingUnreadable
from clipengine.media.input.containers.throughput import ThroughputEstimator

BLOCK_BYTES = 16 * 1024
_CACHED_BYTES = 24 * 1024 * 1024  # the largest known distance between interleaved streams
_CACHED_LOCAL_BYTES = 2 * 1024 * 1024  # the page cache keeps local files
Span = tuple[int, int]  # start, end (exclusive)
# Read-ahead of sequential runs that were not announced.
_AHEAD_BLOCKS = 3
_AHEAD_PART = 24
_RUNS = 8
_MAX_BYTES_WITHOUT_PACKET = 1 << 30


class ByteSource(Protocol):
    """Random access to one recording of `size` bytes.

    If `remote`, a read costs a round trip and reads are made ahead from a second thread.
    """

    size: int
    remote: bool

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        """Return exactly `min(length, size - offset)` bytes. With `keep`, other clips will need them too."""


class DescriptorSource:
    """A recording in an open file. The caller closes the descriptor."""

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
    """Read-only, seekable file object over a ByteSource, for `av.open`. Not thread-safe; `release` it afterwards.

    Whole blocks are read and the latest are cached, because demuxers jump between interleaved streams. It never returns
    more than requested (PyAV copies without a check). `bytes_read` counts the bytes read from the source. An error of
    the source is kept in `error`, because the demuxer may hide it.

    Ranges announced with `expect` are read in large requests, sized by latency and bandwidth, with the next request in
    progress while earlier data is decoded. Elsewhere little more is read than requested.
    """

    def __init__(self, source: ByteSource, *, block_bytes: int = BLOCK_BYTES, cached_bytes: int | None = None) -> None:
        self.source = source
        self._position = 0
        self._block_bytes = block_bytes
        if cached_bytes is None:
            cached_bytes = _CACHED_BYTES if source.remote else _CACHED_LOCAL_BYTES
        self._cached_blocks = cached_bytes // block_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._runs: OrderedDict[int, int] = OrderedDict()  # block after a sequential run -> length of the run in blocks
        self._starts: list[int] = []  # of the announced spans, in blocks
        self._ends: list[int] = []
        self._throughput = ThroughputEstimator()
        self._thread = ThreadPoolExecutor(1, "read-ahead") if source.remote else None
        self._in_flight: tuple[int, int, Future[bytes]] | None = None  # first block, end block (exclusive)
        self._masked: tuple[int, int, bytes] | None = None
        self.size = source.size
        # Bytes before this offset are header or index, which other clips need too.
        self.shared_until = source.size
        self.bytes_read = 0
        self._bytes_without_packet = 0  # since the last packet
        self.error: BaseException | None = None

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Stop reading ahead. Waits for a request in progress and counts its bytes."""
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
        """Replace the bytes from `start` to `end` with `filler` followed by zeros."""
        self._masked = (start, end, filler) if end > start else None

    def _read_filler(self, length: int) -> bytes:
        assert self._masked is not None
        offset = self._position - self._masked[0]
        self._position += length
        return self._masked[2][offset : offset + length].ljust(length, b"\0")

    def packet_found(self) -> None:
        """Note that the demuxer returned a packet."""
        self._bytes_without_packet = 0

    def expect(self, spans: Iterable[Span]) -> None:
        """Announce the byte ranges that will be read, sorted and disjoint. Replaces earlier announcements."""
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
        """Load blocks `first` to `last` into the cache, with one request per missing run."""
        number = first
        while number <= last:
            if number in self._blocks:
                self._blocks.move_to_end(number)
                number += 1
            elif self._in_flight and self._in_flight[0] <= number < self._in_flight[1]:
                self._await_in_flight()
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
            data = self.source.read_at(offset, length, keep=offset < self.shared_until)
        wanted = min(length, self.size - offset)
        if len(data) < wanted:
            raise RecordingTruncated(f"the store returned {len(data)} of {wanted} bytes")
        return data[:wanted]  # surplus bytes would shift later blocks

    def _store(self, number: int, data: bytes) -> None:
        self.bytes_read += len(data)
        self._bytes_without_packet += len(data)
        if self._bytes_without_packet > _MAX_BYTES_WITHOUT_PACKET:
            raise RecordingUnreadable(f"no packet found in {_MAX_BYTES_WITHOUT_PACKET >> 20} MiB of the recording")
        for start in range(0, len(data), self._block_bytes):
            self._blocks[number] = data[start : start + self._block_bytes]
            number += 1

    def _await_in_flight(self) -> None:
        """Wait for the request in progress and store its bytes, or raise its error."""
        assert self._in_flight is not None
        number, _, future = self._in_flight
        self._in_flight = None
        self._store(number, future.result())

    def _look_ahead(self, number: int) -> None:
        """Start the next request if the announced bytes from this block on are not cached."""
        if self._in_flight is not None:
            if not self._in_flight[2].done() or self._in_flight[2].exception() is not None:
                return
            self._await_in_flight()
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
        """Return the end of the announced span that contains the block, or the block itself if none does."""
        span = bisect_right(self._starts, number) - 1
        return max(number, self._ends[span]) if span >= 0 else number

    def _ahead(self, number: int, stop: int) -> int:
        """Return the number of blocks to read beyond `stop` in the same request.

        For announced bytes this is the rest of one request. Otherwise it is a small part of the sequential run up to
        here, which bounds both the number of requests and the wasted bytes. Interleaved streams form several runs.
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
