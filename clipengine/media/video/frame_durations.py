"""Frame durations: until the next frame, or one step of the constant rate if the profile sets `fps`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.decoding.events import (
    AudioFrameEvent,
    BeginEvent,
    Event,
    NextKeyframeEvent,
    SeamEvent,
    VideoFrameEvent,
    VideoPacketEvent,
)

_TIE = Fraction(1, 1000)
FrameWithDuration = tuple[VideoFrameEvent, Fraction]  # duration in seconds


class Seams(NamedTuple):
    """Seams of a part with its neighbours at a constant rate.

    The last frame of the parts before it is shown until `lead` of the part, None if there is none. Unless the part
    `is_last`, its last frame is shown for a whole step.
    """

    lead: Fraction | None = None
    is_last: bool = True


def with_durations(
    events: Iterator[Event],
    fps: float | None,
    cut: CutRange,
    *,
    speed: Fraction = Fraction(1),
    seams: Seams = Seams(),
) -> Iterator[BeginEvent | AudioFrameEvent | VideoPacketEvent | SeamEvent | NextKeyframeEvent | FrameWithDuration]:
    """Yield the events, each video frame with its duration. The last frame lasts until the clip's end.

    The last frame before packets that are copied lasts until the first of them. Times of frames are divided by `speed`.
    """
    rate: _VariableRate | _ConstantRate = (
        _VariableRate() if fps is None else _ConstantRate(Fraction(str(fps)), cut.frame_seconds / speed, seams)
    )
    for event in events:
        if isinstance(event, VideoFrameEvent):
            yield from rate.push(event if speed == 1 else VideoFrameEvent(event.time / speed, event.frame))
            continue
        if isinstance(event, VideoPacketEvent):
            yield from rate.end_segment(event.time)
        if isinstance(event, BeginEvent):
            rate.length = (cut.end - event.origin) / speed
        yield event
    yield from rate.finish()


class _VariableRate:
    """Keeps each frame's own time."""

    def __init__(self) -> None:
        self.length = Fraction(0)  # of the clip
        self._last: VideoFrameEvent | None = None

    def push(self, event: VideoFrameEvent) -> Iterator[FrameWithDuration]:
        if self._last is not None:
            yield self._last, event.time - self._last.time
        self._last = event

    def end_segment(self, time: Fraction) -> Iterator[FrameWithDuration]:
        """Yield the last frame, which lasts until `time`."""
        if self._last is not None:
            yield self._last, max(Fraction(0), time - self._last.time)
            self._last = None

    def finish(self) -> Iterator[FrameWithDuration]:
        yield from self.end_segment(self.length)


class _ConstantRate:
    """Repeats or drops frames so that one begins every 1/fps seconds.

    A frame that begins up to half a frame after a point in time counts as on screen there, as at the clip's start.
    So at the recording's own rate no frame is repeated or dropped because of rounded times.
    """

    def __init__(self, fps: Fraction, frame_seconds: Fraction, seams: Seams) -> None:
        self._step, self._seams = 1 / fps, seams
        self._tolerance = max(min(self._step, frame_seconds or self._step) / 2 - _TIE, Fraction(0))
        self.length = Fraction(0)  # of the clip
        self._last: VideoFrameEvent | None = None
        self._start = Fraction(0)
        self._count = 0

    def push(self, event: VideoFrameEvent) -> Iterator[FrameWithDuration]:
        if self._last is None:
            self._start = self._first_point(event.time)
        else:
            yield from self._until(event.time - self._tolerance)
        self._last = event

    def _first_point(self, time: Fraction) -> Fraction:
        """Return the point in time at which the first frame, which begins at `time`, is shown."""
        lead = self._seams.lead
        if lead is None:
            return time
        return lead + max(0, math.ceil((time - self._tolerance - lead) / self._step)) * self._step

    def end_segment(self, time: Fraction) -> Iterator[FrameWithDuration]:
        raise AssertionError("packets are not copied at a constant rate")

    def finish(self) -> Iterator[FrameWithDuration]:
        yield from self._until(self.length - self._step / 1000)

    def _until(self, time: Fraction) -> Iterator[FrameWithDuration]:
        while self._last is not None and (point := self._start + self._count * self._step) < time:
            self._count += 1
            shown = min(self._step, self.length - point) if self._seams.is_last else self._step
            yield VideoFrameEvent(point, self._last.frame), shown
