"""The recording's clock: container timestamps made into one timeline that starts at 0 and never jumps.

A stream that was restarted (MPEG-TS) jumps back, or far ahead, in its timestamps. A player goes on as if nothing had
happened; so does this clock: the part after the jump follows directly on the part before it. A gap forward that is
shorter stays a gap. All streams share the offsets, so that picture and sound stay together across a jump.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

# As FFmpeg's own default for a discontinuity (dts_delta_threshold): longer gaps are jumps of the clock.
_FORWARD_JUMP = Fraction(10)
_BACKWARD_JUMP = Fraction(-1)
# Streams pass the same jump at slightly different times; this near, they are taken to be in the same part.
_SAME_PART = Fraction(3)


def as_fraction(ratio: Any) -> Fraction:
    """A ratio of PyAV's (time base, rate), exact. 18 has Fractions, 19 a type of its own that Fraction takes."""
    return ratio if type(ratio) is Fraction else Fraction(ratio)


class Timeline:
    """Maps a stream's timestamps, in the order of its packets, onto the timeline."""

    def __init__(self, origin: Fraction, *, joins_discontinuities: bool) -> None:
        self._jumps_close = joins_discontinuities  # False: the container's times are what they are
        self.discontinuities = 0
        self._offsets: list[Fraction] = [-origin]  # one for each part of the recording, in order
        self.part_began = Fraction(0)  # where the latest part begins, on the timeline
        self._part: dict[int, int] = {}  # stream index -> the part it is in
        self._last_dts: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}  # stream index -> where its media ends so far, on the timeline
        self._distance: dict[int, Fraction] = {}  # stream index -> how far its last two packets were apart

    def add(self, stream: int, pts: Fraction, dts: Fraction, duration: Fraction) -> Fraction:
        """Where a packet with these container times stands on the timeline, in seconds; packets come in file order.

        A duration of 0 is not known: the packet is taken to last as long as the one before it.
        """
        last = self._last_dts.get(stream)
        if self._jumps_close and last is not None and not _BACKWARD_JUMP <= dts - last <= _FORWARD_JUMP:
            self._jump(stream, pts)
        elif last is not None and last < dts <= last + 4 * self._distance.get(stream, dts - last):
            self._distance[stream] = dts - last  # a gap is not how long a packet lasts
        self._last_dts[stream] = dts
        time = pts + self._offsets[self._part.setdefault(stream, 0)]
        duration = duration if duration > 0 else self._distance.get(stream, Fraction(0))
        self._ends[stream] = max(self._ends.get(stream, time), time + duration)
        return time

    @property
    def offsets(self) -> list[Fraction]:
        """Of each part of the recording: what is added to container time."""
        return list(self._offsets)

    def settled_part(self, seconds: Fraction) -> int | None:
        """The part in which every stream is, and was for so long; None while they are on their way to it.

        Read from here, all of them have the same times as on the way from the start.
        """
        part = len(self._offsets) - 1
        if any(each != part for each in self._part.values()):
            return None
        return part if part == 0 or self.end >= self.part_began + seconds else None

    @property
    def end(self) -> Fraction:
        """Where the media of all packets so far ends."""
        return max(self._ends.values(), default=Fraction(0))

    def _jump(self, stream: int, pts: Fraction) -> None:
        expected = self._ends[stream]
        following = self._part[stream] + 1
        if following < len(self._offsets) and abs(pts + self._offsets[following] - expected) < _SAME_PART:
            self._part[stream] = following
            return
        self.discontinuities += 1
        self.part_began = self.end
        self._offsets.append(max(self._ends.values()) - pts)
        self._part[stream] = len(self._offsets) - 1
