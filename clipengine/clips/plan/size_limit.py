"""Search for the bit rate with which a clip has at most a given size. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

MAX_ATTEMPTS = 7
_TARGET, _LEAST = 0.96, 0.92  # of the limit
_LEAST_BITRATE = 2_000  # bits per second, below any encoder's
_PACKET_BYTES, _HEADER_BYTES = 16, 2_000  # of the container
_EFFECT = 0.98  # a size that a halved bit rate does not reduce to this part cannot be reduced


class _Sample(NamedTuple):
    bitrate: int
    size: int


class BitrateSearch:
    """Chooses bit rates of the video until a size is below the limit, and not much below it.

    `other_bytes` is the estimated size of everything but the video. `bitrate` is the next one to try, in bits per
    second, or None at the end of the search; `reached` says whether the last size was below the limit.
    """

    def __init__(self, limit: int, seconds: Fraction, other_bytes: int) -> None:
        self._limit = limit
        self._other_bytes = other_bytes
        self._below: _Sample | None = None
        self._above: _Sample | None = None
        self._attempts = 0
        self.reached = False
        self._seconds = float(seconds)
        # If the estimate leaves nothing for the video, the least bit rate shows whether it is right.
        self.bitrate: int | None = self._possible(8 * (_TARGET * limit - other_bytes) / self._seconds) or _LEAST_BITRATE

    def add(self, size: int) -> None:
        """Add the size that the clip has with `bitrate`, and choose the next bit rate."""
        assert self.bitrate is not None
        sample = _Sample(self.bitrate, size)
        self._attempts += 1
        if self._other_bytes >= _TARGET * self._limit:
            self._other_bytes = max(0, size - round(self.bitrate * self._seconds / 8))
        self.reached = size <= self._limit
        stuck = not self.reached and self._is_stuck(sample)
        if self.reached and (self._below is None or size > self._below.size):
            self._below = sample
        if not self.reached and (self._above is None or size < self._above.size):
            self._above = sample
        if stuck or (self.reached and (size >= _LEAST * self._limit or self._attempts >= MAX_ATTEMPTS)):
            self.bitrate = None
        elif self._attempts >= MAX_ATTEMPTS:  # once more with the best that fitted
            self.bitrate = self._below.bitrate if self._below and self._attempts == MAX_ATTEMPTS else None
        else:
            self.bitrate = self._next(sample)

    def _is_stuck(self, sample: _Sample) -> bool:
        """Return True if a much lower bit rate has hardly reduced the size."""
        above = self._above
        return above is not None and 2 * sample.bitrate <= above.bitrate and sample.size > _EFFECT * above.size

    def _next(self, sample: _Sample) -> int | None:
        goal = _TARGET * self._limit
        if self._below is not None and self._above is not None:
            (low, small), (high, large) = self._below, self._above
            part = (goal - small) / max(1, large - small)
            return self._possible(low + min(max(part, 0.1), 0.9) * (high - low))
        factor = (goal - self._other_bytes) / max(1, sample.size - self._other_bytes)
        return self._possible(sample.bitrate * min(max(factor, 0.25), 4.0))

    @staticmethod
    def _possible(bitrate: float) -> int | None:
        return round(bitrate) if bitrate >= _LEAST_BITRATE else None


def other_bytes(audio_bitrate: int, tracks: int, seconds: Fraction, frames: int) -> int:
    """Return the estimated bytes of audio and container of a clip."""
    audio = tracks * (audio_bitrate / 8 + 50 * _PACKET_BYTES) * float(seconds)
    return round(audio) + frames * _PACKET_BYTES + _HEADER_BYTES
