"""Repeated times: frames that lie before frames already shown, as in a segment that is listed twice."""

from __future__ import annotations

from fractions import Fraction

# Timestamps that go back by less are jitter, or frames that a writer stored in another order.
REPEATED_SECONDS = Fraction(1, 10)
_LEAST_FRAMES = Fraction(5, 2)


class RepeatedTimes:
    """Finds the frames to leave out of a video stream whose timestamps go back.

    Frames are added in display order, or packets in decoding order.
    """

    def __init__(self, frame_seconds: Fraction) -> None:
        self._least = max(REPEATED_SECONDS, _LEAST_FRAMES * frame_seconds)
        self._half_frame = frame_seconds / 2
        self._latest: Fraction | None = None
        self._latest_dts: Fraction | None = None
        self._shown_until: Fraction | None = None  # while times are repeated, the time of the first frame that is not

    def add(self, time: Fraction, dts: Fraction) -> bool:
        """Add the next frame or packet and return True if it is to be left out. The dts of a frame is its time."""
        if self._latest is None or self._latest_dts is None:
            self._latest, self._latest_dts = time, dts
            return False
        if self._shown_until is None:
            if dts < self._latest_dts - self._least and time < self._latest - self._least:
                self._shown_until = self._latest + self._half_frame
        elif dts >= self._shown_until:
            self._shown_until = None
        if self._shown_until is not None and time < self._shown_until:
            return True
        self._latest, self._latest_dts = max(self._latest, time), max(self._latest_dts, dts)
        return False
