"""Leaving ranges out of the video of a clip: the frames after a range are shown earlier."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from clipengine.clips.cut_range import CutRange
from clipengine.clips.removed import Removed
from clipengine.media.input.decoding.events import BeginEvent, Event, VideoFrameEvent

_USUAL_SECONDS = Fraction(1, 25)  # between frames, if that is not known
_LONGEST_STEP = Fraction(3, 2)  # of a frame


def without_removed(events: Iterator[Event], removed: Removed, cut: CutRange) -> Iterator[Event]:
    """Yield the events without the frames of the removed ranges. Audio is left as it is.

    The frame that is on screen at the end of a range is shown from the seam on, unless another frame begins within one
    and a half frames of the last one: then seams neither repeat frames nor hold them.
    """
    frames = _KeptFrames(removed, cut)
    for event in events:
        if isinstance(event, BeginEvent):
            frames.origin = event.origin
        if isinstance(event, VideoFrameEvent):
            yield from frames.push(event)
        else:
            yield event
    yield from frames.finish()


class _KeptFrames:
    """Moves the frames of a clip, which are pushed in order."""

    def __init__(self, removed: Removed, cut: CutRange) -> None:
        self.origin = cut.start
        self._removed = removed
        self._end = cut.end
        self._step = cut.frame_seconds or _USUAL_SECONDS
        self._seams = 0  # before the latest frame
        self._last: Fraction | None = None  # time of the latest frame that is shown
        self._at_seam: VideoFrameEvent | None = None  # the latest frame at or before a seam, which may be shown there

    def push(self, event: VideoFrameEvent) -> Iterator[VideoFrameEvent]:
        time = self.origin + event.time
        moved = VideoFrameEvent(self._removed.place(time) - self.origin, event.frame)
        if self._removed.has(time) or self._follows_seam(time):
            if self._at_seam is not None and moved.time > self._at_seam.time + self._step / 2:  # of an earlier seam
                yield from self._settle(moved.time)
            self._at_seam = moved
            return
        yield from self._settle(moved.time)
        self._last = moved.time
        yield moved

    def _follows_seam(self, time: Fraction) -> bool:
        """Return True if the frame is the first one after a seam, and within half a frame of it."""
        seams = self._removed.number(time)
        is_first, self._seams = seams > self._seams, seams
        return is_first and time - self._removed.spans[seams - 1][1] <= self._step / 2

    def finish(self) -> Iterator[VideoFrameEvent]:
        yield from self._settle(self._removed.place(self._end) - self.origin)

    def _settle(self, following: Fraction) -> Iterator[VideoFrameEvent]:
        """Yield the frame at the seam if the next one, at `following`, would be too late without it."""
        frame, self._at_seam = self._at_seam, None
        if frame is None:
            return
        earliest = Fraction(0) if self._last is None else self._last + self._step / 2
        time = max(frame.time, earliest)
        if time < following and (self._last is None or following - self._last > self._step * _LONGEST_STEP):
            self._last = time
            yield VideoFrameEvent(time, frame.frame)
