"""Estimate of a source's latency and bandwidth, measured on its reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_MIN_BYTES = 256 * 1024
_MAX_BYTES = 4 * 1024 * 1024
_SMALL_BYTES = 64 * 1024  # the latency dominates smaller reads
_WEIGHT = 0.3  # of the latest measurement
# Bytes per request, in latency times bandwidth: transfer then takes four fifths of the time.
_ROUND_TRIPS = 4


class ThroughputEstimator:
    """Estimates the best request size from reads measured with `timed`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._round_trip: float | None = None  # seconds
        self._bandwidth: float | None = None  # bytes a second

    @contextmanager
    def timed(self, length: int) -> Iterator[None]:
        """Measure a read of `length` bytes. Failed reads are not counted."""
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
        """Best size of one request in bytes."""
        if self._round_trip is None or self._bandwidth is None:
            return _MIN_BYTES
        wanted = int(_ROUND_TRIPS * self._round_trip * self._bandwidth)
        return max(_MIN_BYTES, min(wanted, _MAX_BYTES))


def _mixed(before: float | None, now: float) -> float:
    return now if before is None else before + _WEIGHT * (now - before)
