"""Rate limit per key (GCRA): a steady rate, with bursts of up to one minute's requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from clipengine.errors import RateLimited


class RateLimiter:
    """Requests per minute of each key; 0 means no limit. Kept in memory, so a restart resets it."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}  # when the key may send a full burst again

    def spend(self, key_id: str) -> None:
        """Count one request of a key. Raise RateLimited with the seconds until the next one is allowed."""
        if not self._per_minute:
            return
        now, interval = self._clock(), 60 / self._per_minute
        with self._lock:
            full_at = max(self._full_at.get(key_id, now), now) + interval
            if full_at - now <= 60 + interval / 1000:
                self._full_at[key_id] = full_at
                return
        wait = math.ceil(full_at - now - 60)
        raise RateLimited(f"This key may send {self._per_minute} requests a minute", retry_after=max(1, wait))
