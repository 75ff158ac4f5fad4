"""A file that a program is still writing: its whole packets, fragments or clusters, as pieces of one run. Pure.

MPEG-TS, fragmented MP4 and Matroska can be read while they grow. Hybrid MP4 is fragmented until it is closed. The times
that packets, fragments and clusters state are hints, as the durations of a playlist are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

from clipengine.errors import ObjectChanged
from clipengine.recordings.assembly import StoredPiece
from clipengine.recordings.growing_formats import Format, Place, Unit, format_of, just_begun
from clipengine.recordings.playlist import MAX_SEGMENT_SECONDS, ByteRange, Segment

TARGET_SECONDS = 6  # between two looks at a file
_PIECE_SECONDS = 4
_MOST_PIECES = 10_000  # in the part of a file before the next piece, so that a year has fewer than 100,000
_TAIL_BYTES = 64 * 1024  # whose digest shows that the file was only appended to
_WINDOW_BYTES = 16 * 1024
_LEAST_SECONDS = 1  # of the first look: all streams should be there


class RangeReader(Protocol):
    """A file of which ranges are read."""

    def read_at(self, offset: int, length: int) -> bytes: ...


class FileEnd(NamedTuple):
    """The ETag under which a growing file is opened, and the digest of the last bytes that are in the index.

    `part` and `clock` are the place of the last unit.
    """

    etag: str
    digest: str
    part: int = 0
    clock: int | None = None


class GrowingFile:
    """A file with this key that is still written. It is used as a `GrowingPlaylist`, whose pieces are its ranges.

    `next_number` is the offset after its whole units. `end` describes the bytes up to `offset`, which are in an index
    already.
    """

    target_seconds = TARGET_SECONDS

    def __init__(self, key: str, end: FileEnd, *, offset: int = 0) -> None:
        self.key = key
        self.ended = False
        self.jumps = False
        self.size = 0
        self.next_number = offset
        self.end = end
        self._format: Format | None = None
        self._units: list[Unit] = []
        self._last_seconds = Fraction(0)  # of the last unit, which are those of the one before

    @property
    def grows(self) -> bool:
        """Return True if the file can be read while it grows, and has no end yet. Call it after `read`."""
        return self._format is not None and not self.ended

    def read(self, source: RangeReader, size: int) -> None:
        """Find the units that were added to a file of this size.

        Raises ObjectChanged if it was not only appended to, RecordingNotReady for an MP4 file whose index is written at
        its end, and RecordingTruncated if nothing is whole yet.
        """
        reader = _Window(source, size)
        if self.end.digest:
            self._check(reader)
        if self._format is None:
            self._format = format_of(reader)
        if self._format is None:
            return
        self._format.place = Place(self.end.part, self.end.clock)
        self.size = size
        begin = max(self.next_number, self._format.head_end)
        for unit in self._format.units(reader, begin):
            if self._units and self._units[-1].place.part == unit.place.part:
                self._last_seconds = _bounded(unit.start - self._units[-1].start)
            self._units.append(unit)
            self.next_number = unit.end
        self.ended = self._format.closed
        self.jumps = self._format.jumps
        self.end = FileEnd(self.end.etag, _digest(reader, self.next_number), *self._format.place)

    def _check(self, reader: _Window) -> None:
        """Raise ObjectChanged if the last bytes that were read before are not the same."""
        if reader.size < self.next_number or _digest(reader, self.next_number) != self.end.digest:
            raise ObjectChanged(f"{self.key} was shortened or written anew")

    def is_same(self, source: RangeReader, size: int) -> bool:
        """Return True if the file still has the bytes that are in the index."""
        try:
            self._check(_Window(source, size))
        except ObjectChanged:
            return False
        return True

    def stored(self) -> dict[str, StoredPiece]:
        """Return the file as the object that has its pieces."""
        return {self.key: StoredPiece(self.end.etag, self.size)}

    def first_pieces(self) -> list[Segment]:
        """Return the pieces of a file that was read once. Raises RecordingTruncated if that is too little."""
        found = [segment for _, segment in self.take(0)]
        if sum((each.seconds for each in found), Fraction(0)) < _LEAST_SECONDS:
            raise just_begun()
        return found

    def take(self, number: int) -> list[tuple[int, Segment]]:
        """Return the pieces from an offset on, each with that of its last byte, and forget those before it."""
        self._units = [unit for unit in self._units if unit.end > number]
        if self._format is None or not self._units:
            return []
        begin = max(number, self._format.head_end)
        init = ByteRange(self.key, 0, self._format.head_end) if self._format.head_end else None
        found: list[tuple[int, Segment]] = []
        for part, units in groupby(self._units, key=lambda unit: unit.place.part):
            groups = self._groups(begin, list(units))
            starts = [*(group[0].start for group in groups), groups[-1][-1].start + self._last_seconds]
            for group, (start, until) in zip(groups, pairwise(starts), strict=True):
                end = group[-1].end
                data = ByteRange(self.key, begin, end - begin)
                found.append((end - 1, Segment(data, init, _bounded(until - start), part, False)))
                begin = end
        return found

    def _groups(self, begin: int, units: Sequence[Unit]) -> list[list[Unit]]:
        """Return the units of each piece of a part: some seconds, and more the larger the file is."""
        groups = [[units[0]]]
        for unit in units[1:]:
            group = groups[-1]
            is_large = group[-1].end - begin >= begin // _MOST_PIECES
            is_last = unit.place.part != self._units[-1].place.part and units[-1].start - unit.start < _LEAST_SECONDS
            if unit.start - group[0].start >= _PIECE_SECONDS and is_large and not is_last:
                begin = group[-1].end
                groups.append([])
            groups[-1].append(unit)
        return groups


def _bounded(seconds: Fraction) -> Fraction:
    return min(max(seconds, Fraction(0)), Fraction(MAX_SEGMENT_SECONDS))


class _Window:
    """A SeekableReader of a file, which is read in blocks."""

    def __init__(self, source: RangeReader, size: int) -> None:
        self.size = size
        self._source = source
        self._position = self._begin = 0
        self._data = b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def read(self, length: int) -> bytes:
        offset, length = self._position, max(0, min(length, self.size - self._position))
        at = offset - self._begin
        if at < 0 or at + length > len(self._data):
            self._data = self._source.read_at(offset, min(max(length, _WINDOW_BYTES), self.size - offset))
            self._begin, at = offset, 0
        self._position += length
        return self._data[at : at + length]


def _digest(reader: _Window, end: int) -> str:
    """Return a digest of the bytes before an offset."""
    begin = max(0, end - _TAIL_BYTES)
    reader.seek(begin)
    return hashlib.sha256(reader.read(end - begin)).hexdigest()
