"""Rate limit by the generic cell rate algorithm: a steady rate, with bursts of one minute's requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from clipengine.errors import RateLimited


class RateLimiter:
    """Limit of the requests per minute of each key or link. Kept in memory, so a restart resets it.

    0 means no limit. `subject` begins the message of the error.
    """

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic, *, subject: str = "This key may send"
    ) -> None:
        self._per_minute = per_minute
        self._subject = subject
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}  # when a full burst is allowed again

    def spend(self, ident: str) -> None:
        """Count one request of an id. Raise RateLimited with the seconds until the next one is allowed."""
        if not self._per_minute:
            return
        now, interval = self._clock(), 60 / self._per_minute
        with self._lock:
            full_at = max(self._full_at.get(ident, now), now) + interval
            if full_at - now <= 60 + interval / 1000:
                self._full_at[ident] = full_at
                return
        wait = math.ceil(full_at - now - 60)
        raise RateLimited(f"{self._subject} {self._per_minute} requests a minute", retry_after=max(1, wait))
