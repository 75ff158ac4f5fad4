"""Seek index: places at which a recording can be entered, as the probe has noted them.

Pure: numbers in, numbers out. Times are on the recording's own timeline, in exact seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clipengine.clips.facts import ExactSeconds

MAX_POINTS = 4096  # of one recording
Offset = Annotated[int, Field(ge=0, lt=2**63)]  # in bytes
Part = Annotated[int, Field(ge=0, lt=MAX_POINTS)]
Stamp = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # FFmpeg's int64
# As far before a clip's start as a landing may look for a place.
_REACH = Fraction(125)


class SeekPoint(NamedTuple):
    """A keyframe. Reading begins at the byte `offset`; it is presented at `time` = container time + `shift`."""

    time: Fraction
    offset: int
    shift: Fraction


class SeekIndex(BaseModel):
    """The landmarks of one recording, in columns and in order: millions of bytes of media for each few here.

    `stamps` are the keyframes' timestamps in ticks. Where the container's clock jumps, its parts lie at different
    `shifts` on the recording's timeline; `parts` says in which one a landmark lies. `exact`: the stamps are those of
    the packets; otherwise they are what the container's own index says, and only near to them.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    tick: ExactSeconds
    shifts: Annotated[tuple[ExactSeconds, ...], Field(min_length=1, max_length=MAX_POINTS)]
    head_bytes: Offset  # where the first media begins: what a demuxer has to read before it can read anywhere
    exact: bool
    offsets: Annotated[tuple[Offset, ...], Field(max_length=MAX_POINTS)]
    stamps: Annotated[tuple[Stamp, ...], Field(max_length=MAX_POINTS)]
    parts: Annotated[tuple[Part, ...], Field(max_length=MAX_POINTS)]

    @model_validator(mode="after")
    def _whole(self) -> SeekIndex:
        if not len(self.offsets) == len(self.stamps) == len(self.parts):
            raise ValueError("the columns are of different lengths")
        if any(not 0 <= part < len(self.shifts) for part in self.parts):
            raise ValueError("a landmark lies in no part of the recording")
        return self

    def before(self, time: Fraction) -> SeekPoint | None:
        """The last landmark that is presented at `time` or before."""
        at = bisect_right(self._times, time) - 1
        return self._landmark(at) if at >= 0 else None

    def near(self, time: Fraction) -> SeekIndex:
        """Those that a clip which starts at `time` may use: little enough to go with each job."""
        first = max(0, bisect_right(self._times, time - _REACH) - 1)
        last = bisect_right(self._times, time)
        columns = {name: getattr(self, name)[first:last] for name in ("offsets", "stamps", "parts")}
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_construct(**kept | columns)  # not model_copy, which would copy the cached times as well

    @cached_property
    def _times(self) -> list[Fraction]:
        return [self._landmark(at).time for at in range(len(self.stamps))]

    def _landmark(self, at: int) -> SeekPoint:
        shift = self.shifts[self.parts[at]]
        return SeekPoint(self.stamps[at] * self.tick + shift, self.offsets[at], shift)
