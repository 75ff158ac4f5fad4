"""Options of a request to remove pauses and fillers from a clip, and to keep some of them. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from clipengine.basis.settings_table import Options
from clipengine.basis.timecode import exact

Removable = Literal["silence", "fillers"]
MAX_REMOVED = 5000  # ranges of a clip
_Seconds = Annotated[float, Field(ge=0, le=1_000_000)]


def _after_the_start(end: float, info: ValidationInfo) -> float:
    if end <= info.data.get("start_seconds", end - 1):
        raise PydanticCustomError("range_order", "must be greater than start_seconds")
    return end


class KeptRange(Options):
    """A range of a recording of which nothing is removed. The ranges in `removed` of a plan have this form."""

    start_seconds: _Seconds = Field(description="On the recording's timeline.")
    end_seconds: Annotated[_Seconds, AfterValidator(_after_the_start)]
    part: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Number of the part, from 0. Default: each part that contains it."
    )


@dataclass(frozen=True)
class Without:
    """The kinds of ranges that are removed from a clip, except in the ranges to `keep`."""

    kinds: tuple[Removable, ...] = ()
    keep: tuple[KeptRange, ...] = ()

    def kept_in(self, part: int, start: Fraction, end: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield the ranges to keep of a part with these bounds: those that it contains or that cross a bound."""
        for number in (None, part):
            spans = self._exact.get(number, [])
            first = bisect_right(spans, start, key=itemgetter(1))
            yield from spans[first : bisect_left(spans, end, key=itemgetter(0))]

    def keeps(self, start_ms: int, end_ms: int) -> bool:
        """Return True if the middle of a word with these times is in a range to keep."""
        middle = (start_ms + end_ms) / 2000
        place = bisect_right(self._merged, (middle, math.inf)) - 1
        return place >= 0 and middle < self._merged[place][1]

    @cached_property
    def _merged(self) -> list[tuple[float, float]]:
        """The ranges to keep of all parts in order, merged if they overlap: words are looked up in thousands."""
        return _merged(self.keep)

    @cached_property
    def _exact(self) -> dict[int | None, list[tuple[Fraction, Fraction]]]:
        """The ranges to keep by the number of their part, in order and merged: a clip may have 100 parts."""
        by_part: dict[int | None, list[KeptRange]] = {}
        for each in self.keep:
            by_part.setdefault(each.part, []).append(each)
        return {
            part: [(exact(start), exact(end)) for start, end in _merged(ranges)] for part, ranges in by_part.items()
        }

    def to_object(self) -> list[Any] | None:
        """Return the value for the ledger: the kinds, among which engines of 0.2.0 ignore the ranges to keep."""
        kept = [[each.start_seconds, each.end_seconds, each.part] for each in self.keep]
        return [*self.kinds, *([{"keep": kept}] if kept else [])] or None

    @classmethod
    def from_object(cls, stored: list[Any] | None) -> Without:
        kinds: tuple[Any, ...] = tuple(each for each in stored or () if isinstance(each, str))
        kept = [span for each in stored or () if isinstance(each, dict) for span in each["keep"]]
        return cls(
            kinds, tuple(KeptRange(start_seconds=start, end_seconds=end, part=part) for start, end, part in kept)
        )


def _merged(ranges: Iterable[KeptRange]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted((each.start_seconds, each.end_seconds) for each in ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


NOTHING = Without()
