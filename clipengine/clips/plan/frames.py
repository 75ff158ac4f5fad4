"""The plan of a clip: its frames and their times, its audio tracks and its size. Pure.

All times are exact seconds. Recording time starts at the recording's earliest presentation time, clip time at the
clip's origin. The requested range is half-open, `[start, end)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Generic, TypeVar

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.profiles import Profile
from clipengine.recordings.facts import AudioFacts, SourceFacts

Item = TypeVar("Item")
MAX_CHANNELS = {"aac": 6, "opus": 6, "mp3": 2}  # of an audio track, by its codec


class FrameSelector(Generic[Item]):
    """Selects the frames of a clip from the recording's frames, which are pushed in presentation order.

    If a frame begins within half a frame of `start`, and before `end`, the clip begins on the nearest such frame.
    Otherwise it begins exactly at `start`, with the frame on screen held from 0. Every later frame that begins before
    `end` keeps its own time. No frame is missing or repeated.
    """

    def __init__(self, cut: CutRange) -> None:
        self.cut = cut
        self.origin: Fraction | None = None
        self.done = False
        self._on_screen: Item | None = None  # the latest frame that begins before the range
        self._candidate: tuple[Fraction, Item] | None = None  # begins within half a frame of start

    def push(self, time: Fraction, item: Item) -> Iterator[tuple[Fraction, Item]]:
        """Push the frame that begins at `time`, and yield `(clip time, frame)` for each frame that is now decided."""
        if self.done:
            return
        if time >= self.cut.last_moment:
            self.done = True
            yield from self._settle()
            return
        if self.origin is not None:
            yield time - self.origin, item
            return
        if time < self.cut.first_moment:
            self._on_screen = item
            return
        if time <= self.cut.latest_start:
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
        """Yield the frames that are still undecided at the end of the recording."""
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


def lacking_media(profile: Profile, facts: SourceFacts) -> str | None:
    """Return what a recording lacks for a clip of the profile, or None if the profile keeps a stream of it."""
    if (facts.video is not None and profile.video != "none") or kept_tracks(profile, facts.audio):
        return None
    if profile.video == "none":
        return "the profile makes clips of audio, and the recording has no such audio"
    return "the recording has no video" if profile.audio == "none" else "the recording has no video and no such audio"


def kept_tracks(profile: Profile, audio: Sequence[AudioFacts]) -> tuple[AudioFacts, ...]:
    """Return the recording's audio tracks that the clip contains, or mixes into one if the profile says `mix`."""
    chosen = profile.audio_tracks
    if profile.audio == "none":
        return ()
    if isinstance(chosen, int):
        return tuple(audio[chosen : chosen + 1])
    if profile.container == "mp3" and chosen == "all":  # a file of one track
        return tuple(audio[:1])
    return tuple(audio)
