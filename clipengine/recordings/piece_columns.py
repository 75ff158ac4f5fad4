"""Pieces in columns: a piece takes 48 bytes and its texts, which the columns of a recording share, instead of 400."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Self, TypeVar, overload

from clipengine.recordings.pieces import ObjectRange, Piece

T = TypeVar("T")

# Without the function in Python that named tuples have for this, which takes three times as long.
_NEW_RANGE: Callable[[Iterable[Any]], ObjectRange] = partial(tuple.__new__, ObjectRange)
_NEW_PIECE: Callable[[Iterable[Any]], Piece] = partial(tuple.__new__, Piece)


class _Rows(Sequence[T]):
    """Rows in columns. A row is an object only while it is in use."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, number: int) -> T: ...

    @overload
    def __getitem__(self, number: slice) -> Self: ...

    def __getitem__(self, number: int | slice) -> T | Self:
        return self._part(number) if isinstance(number, slice) else self._row(number)

    def _row(self, number: int) -> T:
        raise NotImplementedError

    def _part(self, rows: slice) -> Self:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        """Compare the rows with any sequence."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


class ObjectRanges(_Rows[ObjectRange]):
    """Ranges of objects of the store."""

    __slots__ = ("_etags", "_keys", "_lengths", "_offsets")

    def __init__(self, ranges: Iterable[ObjectRange] = ()) -> None:
        self._keys: list[str] = []
        self._etags: list[str] = []
        self._offsets, self._lengths = array("q"), array("q")
        for each in ranges:
            self.append(each)

    def append(self, data: ObjectRange) -> None:
        self._keys.append(data.key)
        self._etags.append(data.etag)
        self._offsets.append(data.offset)
        self._lengths.append(data.length)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[ObjectRange]:
        return map(_NEW_RANGE, zip(self._keys, self._etags, self._offsets, self._lengths, strict=True))

    def _row(self, number: int) -> ObjectRange:
        return ObjectRange(self._keys[number], self._etags[number], self._offsets[number], self._lengths[number])

    def _part(self, rows: slice) -> Self:
        part = type(self)()
        part._keys, part._etags = self._keys[rows], self._etags[rows]
        part._offsets, part._lengths = self._offsets[rows], self._lengths[rows]
        return part


class Pieces(_Rows[Piece]):
    """Pieces of a run."""

    __slots__ = ("_data", "_durations", "_starts")

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self._data = ObjectRanges()
        self._starts, self._durations = array("q"), array("q")
        for each in pieces:
            self.append(each)

    def append(self, piece: Piece) -> None:
        self._data.append(piece.data)
        self._starts.append(piece.start)
        self._durations.append(piece.duration)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Piece]:
        return map(_NEW_PIECE, zip(self._data, self._starts, self._durations, strict=True))

    def _row(self, number: int) -> Piece:
        return Piece(self._data[number], self._starts[number], self._durations[number])

    def _part(self, rows: slice) -> Self:
        part = type(self)()
        part._data, part._starts, part._durations = self._data[rows], self._starts[rows], self._durations[rows]
        return part
