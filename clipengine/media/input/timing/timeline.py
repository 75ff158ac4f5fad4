"""Timeline of a recording: container timestamps mapped to times that start at 0 without discontinuities.

The timestamps of a restarted stream (MPEG-TS) jump back or far ahead. As in a player, the part after the discontinuity
then follows directly on the part before it; shorter forward gaps are kept. All streams share the offsets, which keeps
audio and video in sync.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

# FFmpeg's default threshold of a discontinuity (dts_delta_threshold).
_MAX_FORWARD_STEP = Fraction(10)
_MAX_BACKWARD_STEP = Fraction(-1)
# Streams pass a discontinuity at slightly different times; within this distance it is the same one.
_SAME_PART = Fraction(3)


def as_fraction(ratio: Any) -> Fraction:
    """Return a time base or rate of PyAV as a Fraction. PyAV 19 has a type that Fraction accepts."""
    return ratio if type(ratio) is Fraction else Fraction(ratio)


class Clock:
    """Converts timestamps in units of `tick` to seconds, plus `shift`, and back.

    Every packet and frame needs it, and arithmetic with Fractions would take several times as long.
    """

    def __init__(self, tick: Fraction, shift: Fraction = Fraction(0)) -> None:
        self._denominator = math.lcm(tick.denominator, shift.denominator)
        self._factor = tick.numerator * (self._denominator // tick.denominator)
        self._shift = shift.numerator * (self._denominator // shift.denominator)

    def time(self, stamp: int) -> Fraction:
        """Return the time in seconds."""
        return Fraction(stamp * self._factor + self._shift, self._denominator)

    def stamp(self, time: Fraction) -> int:
        """Return the timestamp that is nearest to a time in seconds; of two the even one, like `round`."""
        divisor = time.denominator * self._factor
        stamp, rest = divmod(time.numerator * self._denominator - self._shift * time.denominator, divisor)
        return stamp + (2 * rest > divisor or (2 * rest == divisor and stamp % 2))


class Timeline:
    """Maps the timestamps of packets, added in file order, to the timeline."""

    def __init__(self, origin: Fraction, *, joins_discontinuities: bool) -> None:
        self.joins_discontinuities = joins_discontinuities  # False: container times are kept
        self.discontinuities = 0
        self._offsets: list[Fraction] = [-origin]  # one per part of the recording, in order
        self.part_began = Fraction(0)  # start of the latest part, on the timeline
        self._part: dict[int, int] = {}  # stream index -> current part
        self._last_dts: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}  # stream index -> end of its latest packet, on the timeline
        self._distance: dict[int, Fraction] = {}  # stream index -> distance of its last two packets

    def add(self, stream: int, pts: Fraction, dts: Fraction, duration: Fraction) -> Fraction:
        """Add the next packet in file order and return its time on the timeline.

        A duration of 0 means unknown: the distance of the previous packets is used.
        """
        last = self._last_dts.get(stream)
        step = None if last is None else dts - last
        if step is not None and step != self._distance.get(stream):  # it is the same for most packets
            self._add_step(stream, pts, step)
        self._last_dts[stream] = dts
        time = pts + self._offsets[self._part.setdefault(stream, 0)]
        duration = duration if duration > 0 else self._distance.get(stream, Fraction(0))
        self._ends[stream] = max(self._ends.get(stream, time), time + duration)
        return time

    def _add_step(self, stream: int, pts: Fraction, step: Fraction) -> None:
        if self.joins_discontinuities and not _MAX_BACKWARD_STEP <= step <= _MAX_FORWARD_STEP:
            self._join(stream, pts)
        elif 0 < step <= 4 * self._distance.get(stream, step):
            self._distance[stream] = step  # ignore gaps

    @property
    def offsets(self) -> list[Fraction]:
        """Offset of each part of the recording that is added to container time."""
        return list(self._offsets)

    def settled_part(self, seconds: Fraction) -> int | None:
        """Return the part that all streams have been in for `seconds`, or None near a discontinuity.

        Reading from here gives the same times as reading from the start.
        """
        part = len(self._offsets) - 1
        if any(each != part for each in self._part.values()):
            return None
        return part if part == 0 or self.end >= self.part_began + seconds else None

    @property
    def end(self) -> Fraction:
        """End of the media of all packets so far."""
        return max(self._ends.values(), default=Fraction(0))

    def _join(self, stream: int, pts: Fraction) -> None:
        expected = self._ends[stream]
        following = self._part[stream] + 1
        if following < len(self._offsets) and abs(pts + self._offsets[following] - expected) < _SAME_PART:
            self._part[stream] = following
            return
        self.discontinuities += 1
        self.part_began = self.end
        self._offsets.append(max(self._ends.values()) - pts)
        self._part[stream] = len(self._offsets) - 1
