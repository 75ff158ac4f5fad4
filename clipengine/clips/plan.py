"""The plan of a clip: which frames it holds and where they stand. Pure: times in, decisions out; no media is touched.

All times are exact seconds. Recording time starts at the recording's first presented moment, clip time at the clip's
origin. The range asked for is half-open, `[start, end)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Generic, TypeVar

from clipengine.clips.facts import AudioFacts
from clipengine.clips.profiles import Profile

Item = TypeVar("Item")
# A frame counts as ended with the range when it begins this close before the range's end: stored times are rounded.
_EDGE = Fraction(1, 2000)


@dataclass(frozen=True)
class CutRange:
    """What is cut, clamped to the recording. `frame_seconds` is the recording's usual frame distance, 0 without video.

    `tick` is the time base of the recording's video, so that its rounding is not taken for a difference.
    """

    start: Fraction
    end: Fraction
    frame_seconds: Fraction = Fraction(0)
    tick: Fraction = Fraction(0)

    @property
    def half_frame(self) -> Fraction:
        return self.frame_seconds / 2

    @cached_property
    def last_moment(self) -> Fraction:
        """Frames that begin here or later are not part of the clip."""
        return self.end - min(self.tick / 2, _EDGE)


class FrameSelector(Generic[Item]):
    """Chooses the clip's frames from a recording's, given in presentation order, one at a time.

    The rule (see the documents, "What a clip holds"): when a frame begins within half a frame of `start`, and before
    `end`, the clip begins on the nearest such frame. Otherwise it begins exactly at `start`, with the frame that is on
    screen then held from 0. Every later frame that begins before `end` keeps its own time. None is missing, none comes
    twice.
    """

    def __init__(self, cut: CutRange) -> None:
        self.cut = cut
        self._earliest = cut.start - cut.half_frame  # of the frames on which the clip may begin
        self._latest = cut.start + cut.half_frame
        self.origin: Fraction | None = None
        self.done = False
        self._on_screen: Item | None = None  # the latest frame that begins before the range
        self._candidate: tuple[Fraction, Item] | None = None  # begins within half a frame of start

    def push(self, time: Fraction, item: Item) -> Iterator[tuple[Fraction, Item]]:
        """Give the frame that begins at `time`; yields `(clip time, frame)` for each frame that is now decided."""
        if self.done:
            return
        if time >= self.cut.last_moment:
            self.done = True
            yield from self._settle()
            return
        if self.origin is not None:
            yield time - self.origin, item
            return
        if time < self._earliest:
            self._on_screen = item
            return
        if time <= self._latest:
            if self._candidate is None or self._distance(time) < self._distance(self._candidate[0]):
                if self._candidate is not None:
                    self._on_screen = self._candidate[1]
                self._candidate = (time, item)
                return
            yield from self._settle()
            yield time - self._origin(), item
            return
        yield from self._settle()
        yield time - self._origin(), item

    def finish(self) -> Iterator[tuple[Fraction, Item]]:
        """The recording has no more frames."""
        if not self.done:
            self.done = True
            yield from self._settle()

    def _settle(self) -> Iterator[tuple[Fraction, Item]]:
        if self.origin is not None:
            return
        if self._candidate is not None:
            self.origin = self._candidate[0]
            yield Fraction(0), self._candidate[1]
        else:
            self.origin = self.cut.start
            if self._on_screen is not None:
                yield Fraction(0), self._on_screen
        self._candidate = self._on_screen = None

    def _origin(self) -> Fraction:
        assert self.origin is not None
        return self.origin

    def _distance(self, time: Fraction) -> Fraction:
        return abs(time - self.cut.start)


def kept_tracks(profile: Profile, audio: Sequence[AudioFacts]) -> tuple[AudioFacts, ...]:
    """The recording's audio tracks that go into the clip; several as one where the profile says `mix`."""
    chosen = profile.audio_tracks
    if profile.audio == "none":
        return ()
    if isinstance(chosen, int):
        return tuple(audio[chosen : chosen + 1])
    if profile.container == "mp3" and chosen == "all":  # a file of one track
        return tuple(audio[:1])
    return tuple(audio)


def output_size(width: int, height: int, *, rotation: int, max_height: int | None) -> tuple[int, int]:
    """Width and height of the upright clip: even, at most `max_height` high, the picture's shape kept."""
    if rotation % 180:
        width, height = height, width
    if max_height is not None and height > max_height:
        width, height = round(width * max_height / height), max_height
    return max(2, width + width % 2), max(2, height + height % 2)
