"""How long each picture stays: until the next one, or on the constant grid that a profile's `fps` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from clipengine.clips.plan import CutRange
from clipengine.media.input.decode import AudioFrameEvent, BeginEvent, Event, VideoFrameEvent

_TIE = Fraction(1, 1000)
Shown = tuple[VideoFrameEvent, Fraction]  # a picture and how many seconds it is shown


def with_durations(
    events: Iterator[Event], fps: float | None, cut: CutRange
) -> Iterator[BeginEvent | AudioFrameEvent | Shown]:
    """The events, each picture together with its duration; the last one stays until the clip's end."""
    pace: _VariableRate | _ConstantRate = (
        _VariableRate() if fps is None else _ConstantRate(Fraction(str(fps)), cut.frame_seconds)
    )
    for event in events:
        if isinstance(event, VideoFrameEvent):
            yield from pace.push(event)
            continue
        if isinstance(event, BeginEvent):
            pace.length = cut.end - event.origin
        yield event
    yield from pace.finish()


class _VariableRate:
    """Every picture at its own time."""

    def __init__(self) -> None:
        self.length = Fraction(0)  # of the clip
        self._held: VideoFrameEvent | None = None

    def push(self, picture: VideoFrameEvent) -> Iterator[Shown]:
        if self._held is not None:
            yield self._held, picture.time - self._held.time
        self._held = picture

    def finish(self) -> Iterator[Shown]:
        if self._held is not None:
            yield self._held, max(Fraction(0), self.length - self._held.time)


class _ConstantRate:
    """At every 1/fps the picture that is on screen then; pictures between two points of the grid are left out.

    A picture that begins within half a frame after a point counts as on screen there, as it does at the clip's start:
    so a grid of the recording's own rate repeats and drops nothing, however its times were rounded.
    """

    def __init__(self, fps: Fraction, frame_seconds: Fraction) -> None:
        self._step = 1 / fps
        self._early = max(min(self._step, frame_seconds or self._step) / 2 - _TIE, Fraction(0))
        self.length = Fraction(0)  # of the clip
        self._held: VideoFrameEvent | None = None
        self._start = Fraction(0)
        self._shown = 0

    def push(self, picture: VideoFrameEvent) -> Iterator[Shown]:
        if self._held is None:
            self._start = picture.time
        else:
            yield from self._until(picture.time - self._early)
        self._held = picture

    def finish(self) -> Iterator[Shown]:
        yield from self._until(self.length - self._step / 1000)

    def _until(self, time: Fraction) -> Iterator[Shown]:
        while self._held is not None and (point := self._start + self._shown * self._step) < time:
            self._shown += 1
            yield VideoFrameEvent(point, self._held.frame), min(self._step, self.length - point)
