"""Seek index: byte positions and times of keyframes, recorded by the probe. Pure.

Times are on the recording's timeline, in exact seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clipengine.recordings.facts import ExactSeconds

MAX_POINTS = 4096  # of one recording
Offset = Annotated[int, Field(ge=0, lt=2**63)]  # in bytes
Part = Annotated[int, Field(ge=0, lt=MAX_POINTS)]
Stamp = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # FFmpeg's int64
# A seek never starts farther before a clip, in seconds.
_REACH = Fraction(125)


class SeekPoint(NamedTuple):
    """A keyframe. Reading begins at the byte `offset`; `time`, its presentation time, is container time + `shift`."""

    time: Fraction
    offset: int
    shift: Fraction


class SeekIndex(BaseModel):
    """Where reading of a recording begins for a time: at a keyframe of its file, or at one of its pieces."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    def before(self, time: Fraction) -> SeekPoint | None:
        """Return the last seek point at or before `time`, or None."""
        raise NotImplementedError

    def near(self, time: Fraction, until: Fraction | None = None) -> SeekIndex:
        """Return the part of the index that reading from `time` on may need, small enough to send with a job.

        Seeks go to `time`, or up to `until` if it is given.
        """
        raise NotImplementedError

    def between(self, start: Fraction, end: Fraction) -> SeekIndex:
        """Return the part of the index that reading the range may need, small enough to send with a job."""
        return self.near(start)

    def around(self, times: Sequence[Fraction]) -> SeekIndex | None:
        """Return the part of the index that reading a frame at each of the times needs, or None if it needs none."""
        return None


class KeyframeIndex(SeekIndex):
    """The seek points of one file, in columns and in order.

    `stamps` are the timestamps of keyframes in ticks. If the container's timestamps jump, each part of the recording
    has its own shift to the recording's timeline: `parts` is the index of a seek point's part in `shifts`. The stamps
    are `exact` if they were read from packets; timestamps in the container's index may differ a little.
    """

    tick: ExactSeconds
    shifts: Annotated[tuple[ExactSeconds, ...], Field(min_length=1, max_length=MAX_POINTS)]
    head_bytes: Offset  # of headers before the first packet, which a demuxer must read before it can seek
    exact: bool
    offsets: Annotated[tuple[Offset, ...], Field(max_length=MAX_POINTS)]
    stamps: Annotated[tuple[Stamp, ...], Field(max_length=MAX_POINTS)]
    parts: Annotated[tuple[Part, ...], Field(max_length=MAX_POINTS)]

    @model_validator(mode="after")
    def _check_columns(self) -> KeyframeIndex:
        if not len(self.offsets) == len(self.stamps) == len(self.parts):
            raise ValueError("the columns have different lengths")
        if any(not 0 <= part < len(self.shifts) for part in self.parts):
            raise ValueError("a seek point is in a part that does not exist")
        return self

    def before(self, time: Fraction) -> SeekPoint | None:
        index = bisect_right(self._times, time) - 1
        return self._point(index) if index >= 0 else None

    def near(self, time: Fraction, until: Fraction | None = None) -> KeyframeIndex:
        first = max(0, bisect_right(self._times, time - _REACH) - 1)
        last = bisect_right(self._times, time if until is None else until)
        columns = {name: getattr(self, name)[first:last] for name in ("offsets", "stamps", "parts")}
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_construct(**kept | columns)  # not model_copy, which would copy the cached times as well

    @cached_property
    def _times(self) -> list[Fraction]:
        return [self._point(index).time for index in range(len(self.stamps))]

    def _point(self, index: int) -> SeekPoint:
        shift = self.shifts[self.parts[index]]
        return SeekPoint(self.stamps[index] * self.tick + shift, self.offsets[index], shift)
