"""Segments of a playlist, in columns: one takes about 60 bytes and its key, instead of 270 as objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from fractions import Fraction
from typing import NamedTuple, Self, overload

_GAP, _ENCRYPTED = 1, 2
_ABSENT = -1  # of a length and a date
_COLUMNS = ("_keys", "_offsets", "_lengths", "_inits", "_seconds", "_discontinuities", "_dates", "_flags")


class ByteRange(NamedTuple):
    """A range of an object of the store; without a length it reaches to the object's end."""

    key: str
    offset: int = 0
    length: int | None = None


class Segment(NamedTuple):
    """A piece of a media playlist. `gap`: the playlist says that it is missing. `encrypted`: it cannot be read.

    `date` is the date of its first frame, in microseconds since 1970, if the playlist states it here.
    """

    data: ByteRange
    init: ByteRange | None
    seconds: Fraction
    discontinuity: int
    gap: bool
    date: int | None = None
    encrypted: bool = False


class Segments(MutableSequence[Segment]):
    """Segments of a playlist in order. A segment is an object only while it is in use."""

    __slots__ = _COLUMNS
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self._keys: list[str] = []
        self._offsets, self._lengths = array("q"), array("q")
        self._inits: list[ByteRange | None] = []
        self._seconds: list[Fraction] = []
        self._discontinuities, self._dates = array("q"), array("q")
        self._flags = bytearray()
        self.extend(segments)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Segment]:
        return map(_segment, *(getattr(self, name) for name in _COLUMNS))

    @overload
    def __getitem__(self, number: int) -> Segment: ...

    @overload
    def __getitem__(self, number: slice) -> Self: ...

    def __getitem__(self, number: int | slice) -> Segment | Self:
        if isinstance(number, int):
            return _segment(*(getattr(self, name)[number] for name in _COLUMNS))
        part = type(self)()
        for name in _COLUMNS:
            setattr(part, name, getattr(self, name)[number])
        return part

    def __setitem__(self, number: int | slice, segment: Segment | Iterable[Segment]) -> None:
        raise TypeError("a segment of a playlist cannot be replaced")

    def __delitem__(self, number: int | slice) -> None:
        for name in _COLUMNS:
            del getattr(self, name)[number]

    def insert(self, number: int, segment: Segment) -> None:
        data = segment.data
        self._keys.insert(number, data.key)
        self._offsets.insert(number, data.offset)
        self._lengths.insert(number, _ABSENT if data.length is None else data.length)
        self._inits.insert(number, segment.init)
        self._seconds.insert(number, segment.seconds)
        self._discontinuities.insert(number, segment.discontinuity)
        self._dates.insert(number, _ABSENT if segment.date is None else segment.date)
        self._flags.insert(number, _GAP * segment.gap | _ENCRYPTED * segment.encrypted)

    def clear(self) -> None:
        del self[:]

    def __eq__(self, other: object) -> bool:
        """Compare the segments with any sequence."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"Segments({list(self)!r})"


def _segment(
    key: str,
    offset: int,
    length: int,
    init: ByteRange | None,
    seconds: Fraction,
    discontinuity: int,
    date: int,
    flags: int,
) -> Segment:
    return Segment(
        ByteRange(key, offset, None if length == _ABSENT else length),
        init,
        seconds,
        discontinuity,
        bool(flags & _GAP),
        None if date == _ABSENT else date,
        bool(flags & _ENCRYPTED),
    )
