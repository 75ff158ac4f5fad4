"""The range to cut from a recording, and the frames on which its clip may begin. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

# Clients may round durations up: an end this far past the recording's end is clamped, farther is an error.
END_TOLERANCE_SECONDS = 1.0
# A frame that begins this close before the end is not part of the clip, because stored times are rounded.
_EDGE = Fraction(1, 2000)
_ROUNDED_FRAMES = Fraction(1, 1000)  # by which stored times may lie behind a frame, in frames


@dataclass(frozen=True)
class CutRange:
    """The range to cut, clamped to the recording. `frame_seconds` is its usual frame distance, 0 without video.

    `tick` is the time base of the recording's video, to tolerate its rounding.
    """

    start: Fraction
    end: Fraction
    frame_seconds: Fraction = Fraction(0)
    tick: Fraction = Fraction(0)

    @property
    def half_frame(self) -> Fraction:
        """The longest time between the start and a frame on which the clip may begin."""
        return self.frame_seconds / 2

    @cached_property
    def first_moment(self) -> Fraction:
        """The earliest time of a frame on which the clip may begin."""
        return self.start - self.half_frame

    @cached_property
    def latest_start(self) -> Fraction:
        """The latest time of a frame on which the clip may begin."""
        return self.start + self.half_frame

    @cached_property
    def last_moment(self) -> Fraction:
        """The time from which on frames are not part of the clip."""
        return self.end - min(self.tick / 2, _EDGE)

    def may_begin_at(self, time: Fraction) -> bool:
        """Return True if the clip may begin on a frame at this time."""
        return self.first_moment <= time <= self.latest_start


def begun_frames(frames: Fraction) -> int:
    """Return how many frames have begun after the time of so many `frames`, of which times are rounded."""
    return math.ceil(frames - _ROUNDED_FRAMES)
