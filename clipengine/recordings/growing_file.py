"""A file that a program is still writing: its whole packets, fragments or clusters, as pieces. Pure.

MPEG-TS, fragmented MP4 and Matroska can be read while they grow. Hybrid MP4 is fragmented until it is closed. The times
that packets, fragments and clusters state are hints, as the durations of a playlist are. The pieces are of one run, or
in MPEG-TS of one for each clock.
"""

from __future__ import annotations

import hashlib
import os
from fractions import Fraction
from typing import NamedTuple, Protocol

from clipengine.errors import ObjectChanged
from clipengine.recordings.assembly import StoredPiece
from clipengine.recordings.growing_formats import LEAST_SECONDS, Format, Place, Unit, format_of, just_begun
from clipengine.recordings.playlist import MAX_SEGMENT_SECONDS
from clipengine.recordings.segments import ByteRange, Segment

TARGET_SECONDS = 6  # between two looks at a file
_PIECE_SECONDS = 4
_MOST_PIECES = 10_000  # in the part of a file before the next piece, so that a year has fewer than 100,000
_TAIL_BYTES = 64 * 1024  # whose digest shows that the file was only appended to
_WINDOW_BYTES = 16 * 1024
# Of one look, so that it takes some tenths of a second: a file may be large already when it is registered.
_LOOK_BYTES = 64 << 20
_READ_COST = 1024  # bytes as which each header counts that is read, beside its own


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


class _Group:
    """Units of one part that follow each other, and become a piece that begins at the offset `begin`."""

    def __init__(self, begin: int, unit: Unit) -> None:
        self.begin, self.end = begin, unit.end
        self.first = self.last = unit.start
        self.part = unit.place.part

    def add(self, unit: Unit) -> None:
        self.end, self.last = unit.end, unit.start

    def put_before(self, piece: Segment) -> None:
        """Begin with the piece before."""
        self.begin, self.first = piece.data.offset, self.first - piece.seconds

    def is_whole(self, after: Unit) -> bool:
        """Return True if the unit `after` it begins another piece: after seconds, and more the larger the file is."""
        enough = self.end - self.begin >= self.begin // _MOST_PIECES
        return enough and after.start - self.first >= _PIECE_SECONDS

    def segment(self, key: str, init: ByteRange | None, until: Fraction) -> tuple[int, Segment]:
        """Return the piece, which lasts until the next one starts, with the offset of its last byte."""
        data = ByteRange(key, self.begin, self.end - self.begin)
        return self.end - 1, Segment(data, init, _bounded(until - self.first), self.part, False)


class GrowingFile:
    """A file with this key that is still written. It is used as a `GrowingPlaylist`, whose pieces are its ranges.

    `next_number` is the offset after its whole units. `end` describes the bytes up to `offset`, which are in an index
    already. It `is_behind` if a look has not reached the end of the file, and another one continues there.
    """

    target_seconds = TARGET_SECONDS

    def __init__(self, key: str, end: FileEnd, *, offset: int = 0) -> None:
        self.key = key
        self.ended = False
        self.jumps = False
        self.size = 0
        self.next_number = offset
        self.end = end
        self.is_behind = False
        self.taken_seconds = Fraction(0)  # stated by the pieces that were taken last
        self._format: Format | None = None
        self._pieces: list[tuple[int, Segment]] = []
        self._pieces_seconds = Fraction(0)
        self._open: _Group | None = None
        self._last: Unit | None = None
        self._last_seconds = Fraction(0)  # assumed for the last unit: the duration of the unit before it

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
        reader.limit = _LOOK_BYTES
        self.is_behind = False
        try:
            for unit in self._format.units(reader, begin):
                self._add(unit, self._format.head_end)
        except _LookEnds:
            self.is_behind = self.next_number > begin
        reader.limit = None
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
        if sum((each.seconds for each in found), Fraction(0)) < LEAST_SECONDS:
            raise just_begun()
        return found

    def take(self, number: int) -> list[tuple[int, Segment]]:
        """Return the pieces from an offset on, each with its last byte's offset, and forget earlier pieces."""
        self.forget(number)
        found = [*self._pieces]
        self.taken_seconds = self._pieces_seconds
        if self._open is not None:
            found.append(self._open.segment(self.key, self._init(), self._open.last + self._last_seconds))
            self.taken_seconds += found[-1][1].seconds
        return found

    def forget(self, number: int) -> None:
        """Forget the pieces before an offset, which are in an index. Units that follow become other pieces."""
        before = sum(last < number for last, _ in self._pieces)
        self._pieces_seconds -= sum((piece.seconds for _, piece in self._pieces[:before]), Fraction(0))
        del self._pieces[:before]
        if self._open is not None:
            self._open.begin = max(self._open.begin, number)
            if self._open.end <= number:
                self._open = None

    def _add(self, unit: Unit, head_end: int) -> None:
        """Add a unit to the last piece, or begin another one with it."""
        part, group = unit.place.part, self._open
        if group is not None and group.part != part:
            self._end_part(group)
        elif group is not None and group.is_whole(unit):
            self._end_piece(group, unit.start)
        if self._open is None:
            self._open = _Group(max(self.next_number, head_end), unit)
        else:
            self._open.add(unit)
        if self._last is not None and self._last.place.part == part:
            self._last_seconds = _bounded(unit.start - self._last.start)
        self._last, self.next_number = unit, unit.end

    def _end_part(self, group: _Group) -> None:
        """End the last piece of a part. A short one may lack some streams: it is joined to the piece before."""
        is_short = group.last - group.first < LEAST_SECONDS
        if is_short and self._pieces and self._pieces[-1][1].discontinuity == group.part:
            _, before = self._pieces.pop()
            self._pieces_seconds -= before.seconds
            group.put_before(before)
        self._end_piece(group, group.last + self._last_seconds)

    def _end_piece(self, group: _Group, until: Fraction) -> None:
        piece = group.segment(self.key, self._init(), until)
        self._pieces.append(piece)
        self._pieces_seconds += piece[1].seconds
        self._open = None

    def _init(self) -> ByteRange | None:
        head_end = 0 if self._format is None else self._format.head_end
        return ByteRange(self.key, 0, head_end) if head_end else None


def _bounded(seconds: Fraction) -> Fraction:
    return min(max(seconds, Fraction(0)), Fraction(MAX_SEGMENT_SECONDS))


class _LookEnds(Exception):
    """A look has read as much as it may."""


class _Window:
    """A SeekableReader of a file, which is read in blocks. With a `limit`, it raises _LookEnds after so many bytes."""

    def __init__(self, source: RangeReader, size: int) -> None:
        self.size = size
        self.limit: int | None = None
        self._source = source
        self._position = self._begin = self._spent = 0
        self._data = b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def read(self, length: int) -> bytes:
        offset, length = self._position, max(0, min(length, self.size - self._position))
        at = offset - self._begin
        self._spend(_READ_COST)
        if at < 0 or at + length > len(self._data):
            self._data = self._source.read_at(offset, min(max(length, _WINDOW_BYTES), self.size - offset))
            self._begin, at = offset, 0
            self._spend(len(self._data))
        self._position += length
        return self._data[at : at + length]

    def _spend(self, cost: int) -> None:
        if self.limit is None:
            return
        if self._spent >= self.limit:
            raise _LookEnds
        self._spent += cost


def _digest(reader: _Window, end: int) -> str:
    """Return a digest of the bytes before an offset."""
    begin = max(0, end - _TAIL_BYTES)
    reader.seek(begin)
    return hashlib.sha256(reader.read(end - begin)).hexdigest()
