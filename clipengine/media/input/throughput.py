"""The pace of a source: how long a round trip to it takes and how fast bytes come, measured on the reads themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LEAST_BYTES = 256 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_SMALL_BYTES = 64 * 1024  # such a read is nearly all round trip
_WEIGHT = 0.3  # of the newest measurement
# So many round trips' worth of bytes in one request: four fifths of its time are bytes coming in.
_ROUND_TRIPS = 4


class ThroughputEstimator:
    """Time reads with `timed`; `chunk_bytes` is what one request should ask for. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._round_trip: float | None = None  # seconds
        self._bandwidth: float | None = None  # bytes a second

    @contextmanager
    def timed(self, length: int) -> Iterator[None]:
        """Around a read of `length` bytes. One that fails measures nothing."""
        began = time.monotonic()
        yield
        self.note(length, time.monotonic() - began)

    def note(self, length: int, seconds: float) -> None:
        with self._lock:
            if length <= _SMALL_BYTES or self._round_trip is None:
                self._round_trip = _mixed(self._round_trip, seconds)
            if length > _SMALL_BYTES:
                self._bandwidth = _mixed(self._bandwidth, length / max(seconds - self._round_trip, seconds / 10, 1e-6))

    @property
    def chunk_bytes(self) -> int:
        """Latency times bandwidth, a few times over, within bounds."""
        if self._round_trip is None or self._bandwidth is None:
            return _LEAST_BYTES
        wanted = int(_ROUND_TRIPS * self._round_trip * self._bandwidth)
        return max(_LEAST_BYTES, min(wanted, _MOST_BYTES))


def _mixed(before: float | None, now: float) -> float:
    return now if before is None else before + _WEIGHT * (now - before)
