"""How many requests a key may send: an allowance that fills evenly, with a minute's worth to spend at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from clipengine.errors import RateLimited


class Rates:
    """`per_minute` 0: no limit. In memory: a restart gives every key its whole allowance."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}  # when the key's allowance is whole again

    def spend(self, key_id: str) -> None:
        """Take one request from the key's allowance. Raises RateLimited that says when there is one again."""
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
