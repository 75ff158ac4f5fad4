"""Number of frames of a clip, from the facts of its recording: exact at a constant rate, else an estimate. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from clipengine.clips.cut_range import CutRange, begun_frames
from clipengine.clips.options.effects import FADE_STEP, Effects, effect_steps
from clipengine.clips.options.profiles import ANIMATION_TICKS, MAX_ANIMATION_FPS, Profile
from clipengine.recordings.facts import SourceFacts, VideoFacts

HELD_SECONDS = Fraction(1, 1000)  # for which the frame before a part is held, more than rounding


def frame_count(
    facts: SourceFacts,
    profile: Profile,
    cut: CutRange,
    origin: Fraction,
    effects: Effects,
    *,
    held: Fraction = Fraction(0),
    removed: Fraction = Fraction(0),
    times: Sequence[Fraction] | None = None,
) -> int:
    """Return the number of frames of a part that begins at `origin` of the recording.

    For `held` seconds it shows the frame before it. The `removed` seconds are whole frames at a constant rate. `times`
    are the times of its frames in seconds from its origin, None if they were not read.
    """
    video = facts.video
    assert video is not None
    if profile.fps is not None:
        return _frames_at_set_rate(video, profile, origin, effects, held)
    speed = profile.output.tempo
    if times is None:
        own = _own_frames(facts, video, cut, origin, effects, speed)
    else:
        shown = [time / speed for time in times]
        own = len(shown) + sum(_more(shown, effects, video.frame_seconds / speed, range(len(shown)), fades=True))
    return max(1, own - round(removed * mean_rate(facts))) + (held > HELD_SECONDS)


def _frames_at_set_rate(video: VideoFacts, profile: Profile, origin: Fraction, effects: Effects, held: Fraction) -> int:
    late = max(Fraction(0), (video.first_frame or Fraction(0)) - origin) / profile.output.tempo - held
    step = 1 / Fraction(str(profile.fps))
    count = _frames_at_rate(effects.length - late, profile)
    points = [late + number * step for number in range(count)] if effects.blurred and step > FADE_STEP else []
    return count + sum(_more(points, effects, step, range(len(points)), fades=False))


def _own_frames(
    facts: SourceFacts, video: VideoFacts, cut: CutRange, origin: Fraction, effects: Effects, speed: Fraction
) -> int:
    if video.variable_rate or video.frame_seconds <= 0:
        return max(1, round((cut.end - origin) * mean_rate(facts)))
    times = _FrameTimes(video, facts.origin, cut, origin, speed)
    first = 0 if times.step > FADE_STEP else max(0, len(times) - 1)  # only the last one may be held otherwise
    return len(times) + sum(_more(times, effects, times.step, range(first, len(times)), fades=True))


def held_seconds(facts: SourceFacts, profile: Profile, origin: Fraction, end: Fraction, *, is_first: bool) -> Fraction:
    """Return the seconds at the start of a part for which its clip shows the frame before it."""
    length = (end - origin) / profile.output.tempo
    if is_first or profile.video == "none":
        return Fraction(0)
    if facts.video is None:
        return length
    late = max(Fraction(0), (facts.video.first_frame or Fraction(0)) - origin) / profile.output.tempo
    return min(late, length)


def held_until_frame(held: Fraction, before: Fraction, profile: Profile) -> Fraction:
    """Return the seconds up to the first own frame of a part, after parts of `before` seconds.

    `held` are the seconds up to the first frame of its recording. A set frame rate goes on over the seam.
    """
    if profile.fps is None:
        return held
    step = 1 / Fraction(str(profile.fps))
    lead = -before % step
    return lead + math.ceil((held - lead) / step) * step


def mean_rate(facts: SourceFacts) -> Fraction:
    """Return the mean number of frames a second of a recording with video; the usual one if they were not counted."""
    video = facts.video
    assert video is not None
    if video.variable_rate and video.frames:
        return video.frames / facts.duration
    return 1 / (video.frame_seconds or Fraction(1, 25))


def joined_frames(parts: Sequence[tuple[Fraction, int]], profile: Profile) -> int:
    """Return the number of frames of a clip of parts with these lengths and frames.

    A set rate goes on over the seams. A part without video shows the frame before it.
    """
    frames, lengths = [count for _, count in parts], [length for length, _ in parts]
    if not frames[0]:
        return 0
    if profile.fps is None:
        return sum(count or 1 for count in frames)
    alone = [_frames_at_rate(length, profile) for length in lengths]
    more = sum(count - own for count, own in zip(frames, alone, strict=True) if count)
    return more + _frames_at_rate(sum(lengths, Fraction(0)), profile)


def _frames_at_rate(length: Fraction, profile: Profile) -> int:
    """Return the number of frames that begin within so many seconds at the profile's rate."""
    step = 1 / Fraction(str(profile.fps))
    count = max(1, begun_frames(length / step))
    if profile.is_animation:
        tick = ANIMATION_TICKS[profile.container]
        shown = round(length / tick) - round((count - 1) * step / tick)
        count -= count > 1 and shown * tick * MAX_ANIMATION_FPS < 1  # the last one is left out
    return count


def _more(
    times: Sequence[Fraction] | _FrameTimes, effects: Effects, step: Fraction, held: range, *, fades: bool
) -> Iterator[int]:
    """Yield how often each frame that may be held is repeated, because the picture drawn over it changes."""
    for number in held:
        start = times[number]
        end = times[number + 1] if number + 1 < len(times) else effects.length
        yield sum(1 for _ in effect_steps(start, end - start, effects, step=step, fades=fades)) - 1


class _FrameTimes:
    """Times of the frames of a part in seconds from its origin, at the speed of the clip, at a constant rate.

    Stored times are rounded to the time base of the video, on the clock of the file.
    """

    def __init__(self, video: VideoFacts, clock: Fraction, cut: CutRange, origin: Fraction, speed: Fraction) -> None:
        self._step, self._tick, self._clock, self._origin = video.frame_seconds, video.tick, clock, origin
        self.step, self._speed = video.frame_seconds / speed, speed
        begins = video.first_frame if video.first_frame is not None else origin
        number = max(0, round((origin - begins) / self._step))
        self._grid = begins
        on_grid = abs(self._stored(number) - origin) <= self._tick
        if not on_grid and begins < origin and (video.last_frame is None or origin < video.last_frame):
            self._grid, number = origin, 0  # frames are missing before the clip, or the rate is not exact
        last = math.floor((cut.last_moment - self._grid) / self._step) + 1
        while last >= 0 and self._stored(last) >= cut.last_moment:
            last -= 1
        if video.last_frame is not None:
            last = min(last, math.floor((video.last_frame - self._grid) / self._step + Fraction(1, 4)))
        self._first = number if last < 0 else min(number, last)
        self._count = last + 1 - self._first

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Fraction:
        return max(Fraction(0), self._stored(self._first + number) - self._origin) / self._speed

    def _stored(self, number: int) -> Fraction:
        time = self._grid + number * self._step
        return round((time + self._clock) / self._tick) * self._tick - self._clock if self._tick > 0 else time
