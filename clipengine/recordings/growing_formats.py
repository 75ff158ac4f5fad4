"""Formats of files that can be read while a program writes them: the parts that are whole, and their times. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol, Self

from clipengine.errors import RecordingNotReady, RecordingTruncated
from clipengine.recordings.containers import (
    EBML_MAGIC,
    SeekableReader,
    boxes,
    element_at,
    element_number,
    time_scales,
)
from clipengine.recordings.pieces import MAX_RUNS
from clipengine.recordings.timeline import ts_clock

_MAX_UNITS = 1_000_000  # boxes or elements of one look
_TS_UNIT = 100 * ts_clock.PACKET_BYTES
LEAST_SECONDS = 1  # of a part of a file: then all of its streams should be there
_MOST_UNSEEN = 2  # fragments of a track without one of another track, which has then ended
_SEGMENT, _CLUSTER, _INFO = 0x18538067, 0x1F43B675, 0x1549A966
_TIMESTAMP_SCALE, _TIMESTAMP = 0x2AD7B1, 0xE7
_MAX_HEAD = 100  # elements
_IN_CLUSTER = {_TIMESTAMP, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF, 0xEC, 0xBF}
_HINT = (
    "Register it again when it is closed, or record MPEG-TS, Matroska or fragmented MP4 (`-movflags "
    "frag_keyframe+empty_moov`, or hybrid MP4)."
)


def just_begun() -> RecordingTruncated:
    """Return the error of a file that has too little for a recording."""
    return RecordingTruncated("the recording has only just begun", hint="Register it again a little later.")


class Format(Protocol):
    """The whole parts of a file of one format. `head_end` is the end of its header, `closed` is True if it has its end.

    If its clock `jumps` so that its parts cannot be determined, no unit follows. `place` is the place of the last unit;
    set it before the first unit to continue from there.
    """

    head_end: int
    closed: bool
    jumps: bool
    place: Place

    def units(self, reader: SeekableReader, offset: int) -> Iterator[Unit]:
        """Yield the whole units from an offset on, at which one begins."""


class Place(NamedTuple):
    """The part of a file in which a unit lies, and the last time of its clock: another part has another clock."""

    part: int = 0
    clock: int | None = None


_FIRST = Place()


class Unit(NamedTuple):
    """A whole packet, fragment or cluster, or several: its end in the file, and its start by the clock of its place."""

    end: int
    start: Fraction
    place: Place = _FIRST


def format_of(reader: SeekableReader) -> Format | None:
    """Return the format of a file, or None if it cannot be read while it grows.

    Raises RecordingTruncated if the header is not complete, and RecordingNotReady.
    """
    reader.seek(0)
    head = reader.read(ts_clock.PACKET_BYTES + 1)
    if len(head) <= ts_clock.PACKET_BYTES:
        raise just_begun()
    if head[0] == head[ts_clock.PACKET_BYTES] == 0x47:
        return _TransportStream()
    if head[4:8] == b"ftyp":
        return _FragmentedMp4.of(reader)
    return _Matroska.of(reader) if head.startswith(EBML_MAGIC) else None


@dataclass
class _TransportStream:
    """MPEG-TS: packets up to the last one with a clock reference. It has no end.

    Another part begins where its clock jumps, as soon as it has a second of media: then all of its streams are there.
    """

    head_end: int = 0
    closed: bool = False
    jumps: bool = False
    place: Place = _FIRST

    def units(self, reader: SeekableReader, offset: int) -> Iterator[Unit]:
        held: list[Unit] = []  # of a part that has just begun
        for unit in self._units(reader, offset):
            if unit.place.part == self.place.part:
                self.place, offset = unit.place, unit.end
                yield unit
                continue
            held.append(unit)
            clock, part = unit.place.clock or 0, unit.place.part
            self.jumps = (
                part != held[0].place.part
                or part >= MAX_RUNS
                or ts_clock.has_other_clock(reader, offset, unit.end, clock)
            )
            if self.jumps:
                return
            offset = unit.end
            if Fraction(clock, ts_clock.HZ) - held[0].start >= LEAST_SECONDS:
                self.place = unit.place
                yield from held
                held = []

    def _units(self, reader: SeekableReader, offset: int) -> Iterator[Unit]:
        """Yield the units of all parts."""
        (part, clock), begin, known = self.place, offset, offset
        start = clock
        for at, reference in ts_clock.references(reader, offset):
            time = clock if reference is None else ts_clock.nearest(reference, clock)
            if clock is not None and time is not None and ts_clock.is_jump(clock, time):
                split = ts_clock.begin_of_clock(reader, known, at, clock, time)
                if split > begin:
                    yield Unit(split, Fraction(start or 0, ts_clock.HZ), Place(part, clock))
                part, begin, start = part + 1, split, time
            clock, known = time, at + ts_clock.PACKET_BYTES
            start = time if start is None else start
            if known - begin >= _TS_UNIT:
                yield Unit(known, Fraction(start or 0, ts_clock.HZ), Place(part, clock))
                begin, start = known, time


@dataclass
class _FragmentedMp4:
    """Fragmented MP4: `moof` and `mdat`, until all tracks have a fragment. Its end is `mfra`, or another `moov`."""

    head_end: int
    scales: dict[int, int]
    closed: bool = False
    jumps: bool = False
    place: Place = _FIRST
    _tracks: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self._tracks = set(self.scales)

    @classmethod
    def of(cls, reader: SeekableReader) -> Self | None:
        """Return None for an MP4 file with its index, and raise RecordingNotReady if that comes at its end."""
        kinds: set[bytes] = set()
        for kind, content, end in boxes(reader):
            kinds.add(kind)
            if kind == b"moov" and end <= reader.size:
                scales = time_scales(reader, content, end)
                return cls(end, scales) if scales and b"mdat" not in kinds else None
        if b"mdat" in kinds:
            raise RecordingNotReady("the recording is an MP4 file whose index is written at its end", hint=_HINT)
        raise just_begun()

    def units(self, reader: SeekableReader, offset: int) -> Iterator[Unit]:
        start: Fraction | None = None
        pending: list[int] = []  # tracks of the fragments since the last unit
        media = 0
        if offset == self.head_end:  # the first media may be described by the header
            pending, media = [*self.scales], len(self.scales)
        for kind, content, end in boxes(reader, offset, limit=_MAX_UNITS):
            if end > reader.size or end <= content:
                return
            if kind in (b"mfra", b"moov"):
                self.closed = True
                return
            if kind == b"moof":
                found = self._fragment(reader, content, end)
                pending = [*(pending if start is not None else ()), *(track for track, _ in found)]
                media = len(found)
                start = next((time for _, time in found), None) if start is None else start
            elif kind == b"mdat" and media:
                media = 0
                if self._is_complete(pending):
                    yield Unit(end, start or Fraction(0))
                    start, pending = None, []

    def _is_complete(self, pending: list[int]) -> bool:
        """Return True if all tracks have a fragment. A track without one has ended if others have several."""
        found = set(pending)
        if max(map(pending.count, found)) > _MOST_UNSEEN:
            self._tracks = found
        self._tracks |= found
        return self._tracks == found

    def _fragment(self, reader: SeekableReader, content: int, end: int) -> list[tuple[int, Fraction]]:
        """Return the tracks of a fragment with their times."""
        found = []
        for kind, inner, last in boxes(reader, content, end):
            track = time = None
            for each, at, _ in boxes(reader, inner, last) if kind == b"traf" else ():
                reader.seek(at)
                data = reader.read(12)
                if each == b"tfhd":
                    track = int.from_bytes(data[4:8], "big")
                elif each == b"tfdt":
                    time = int.from_bytes(data[4:12] if data[:1] == b"\x01" else data[4:8], "big")
            if track is not None:
                found.append((track, Fraction(time or 0, self.scales.get(track, 0) or 1)))
        return found


@dataclass
class _Matroska:
    """Matroska: clusters. One of unknown size ends where the next element begins. A closed segment states its size."""

    head_end: int
    scale: int  # nanoseconds
    closed: bool = False
    jumps: bool = False
    place: Place = _FIRST

    @classmethod
    def of(cls, reader: SeekableReader) -> Self | None:
        offset, scale, closed = 0, 1_000_000, False
        for _ in range(_MAX_HEAD):
            element = element_at(reader, offset)
            if element is None or (element.end is None and element.id not in (_SEGMENT, _CLUSTER)):
                break
            if element.id == _CLUSTER:
                return cls(offset, scale, closed)
            if element.id == _INFO:
                scale = _number_in(reader, element.content, element.end or 0, _TIMESTAMP_SCALE) or scale
            closed = closed or (element.id == _SEGMENT and element.end is not None)
            offset = element.content if element.id == _SEGMENT else element.end or 0
        raise just_begun()

    def units(self, reader: SeekableReader, offset: int) -> Iterator[Unit]:
        for _ in range(_MAX_UNITS):
            element = element_at(reader, offset)
            if element is None:
                return
            end = element.end if element.id != _CLUSTER or element.end is not None else _end_of(reader, element.content)
            if end is None or end > reader.size:
                return
            if element.id == _CLUSTER:
                time = _number_in(reader, element.content, end, _TIMESTAMP) or 0
                yield Unit(end, Fraction(time * self.scale, 10**9))
            offset = end


def _end_of(reader: SeekableReader, offset: int) -> int | None:
    """Return the end of a cluster of unknown size, or None if the next element is not there yet."""
    for _ in range(_MAX_UNITS):
        element = element_at(reader, offset)
        if element is None:
            return None
        if element.id not in _IN_CLUSTER:
            return offset
        if element.end is None:
            return None
        offset = element.end
    return None


def _number_in(reader: SeekableReader, offset: int, end: int, id: int) -> int | None:
    """Return the number of an element between two offsets, or None."""
    for _ in range(_MAX_HEAD):
        element = element_at(reader, offset) if offset < end else None
        if element is None or element.end is None:
            return None
        if element.id == id:
            return element_number(reader, element)
        offset = element.end
    return None
