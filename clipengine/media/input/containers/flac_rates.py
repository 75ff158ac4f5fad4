"""Times of a FLAC stream whose sample rate changes: FFmpeg counts its samples as if all had the first rate."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.packet import Packet

# Of a frame's header (RFC 9639, section 9.1.2). Rates with other codes are taken for the first one.
_RATE_AT, _RATE_BITS = 2, 15
_RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)


class FlacTimes:
    """Gives packets the times of their samples.

    After a seek the packets before are unknown, so the times are others. The probe's check of seeks finds that, and the
    recording is read from its start.
    """

    def __init__(self) -> None:
        self._first_rate = 0
        self._shift = Fraction(0)
        self._last: tuple[int, int] | None = None  # timestamp and rate of the last packet

    def apply(self, packet: Packet[Any]) -> None:
        """Correct the timestamps of the next packet."""
        stamp = packet.pts
        if stamp is None or packet.size <= _RATE_AT:
            return
        code = memoryview(packet)[_RATE_AT] & _RATE_BITS
        rate = _RATES[code] if code < len(_RATES) else 0
        self._first_rate = self._first_rate or rate
        if self._last is not None and self._last[1]:
            samples = stamp - self._last[0]
            self._shift += samples * Fraction(self._first_rate, self._last[1]) - samples
        self._last = stamp, rate
        packet.pts = packet.dts = stamp + round(self._shift)
