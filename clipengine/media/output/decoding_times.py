"""Decoding times of a stream whose packets come from a recording or from several encoders: theirs are not used."""

from __future__ import annotations

from heapq import heappop, heappush


class DecodedTooLate(ValueError):
    """A frame would be decoded after it is shown. The text says why."""


class DecodingTimes:
    """Decoding times of the packets of a stream, from the times of their frames.

    The dts of a packet is the pts of the frame that a decoder with a delay of `reordered_frames` shows at that time.
    The container counts in units of `unit` ticks.
    """

    def __init__(self, reordered_frames: int, step: int, unit: int) -> None:
        self._delay = reordered_frames
        self._step = step
        self._unit = unit
        self._count = 0
        self._times: list[int] = []
        self._last: int | None = None

    def dts(self, pts: int) -> int:
        """Return the dts of the next packet. Raises DecodedTooLate if its frame would be decoded after it is shown."""
        heappush(self._times, pts)
        dts = (self._count - self._delay) * self._step if self._count < self._delay else heappop(self._times)
        if dts > pts or (self._last is not None and dts < self._last + self._unit):
            raise DecodedTooLate(f"its frames are reordered by more than {self._delay}, or two have the same time")
        self._count += 1
        self._last = dts
        return dts
