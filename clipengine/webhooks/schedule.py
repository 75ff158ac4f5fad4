"""Retry schedule of deliveries, as Standard Webhooks recommends: ten attempts within about 76 hours."""

from __future__ import annotations

import random as randomness
from collections.abc import Callable

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS_SECONDS = (
    5.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
MAX_RETRY_AFTER_SECONDS = 24 * _HOUR
_JITTER = 0.2


def next_delay_seconds(
    attempt: int, *, retry_after: float | None = None, random: Callable[[], float] = randomness.random
) -> float | None:
    """Return the seconds until the next attempt after `attempt` (from 1) failed, or None after the last one.

    Jitter of ±20 % spreads retries to receivers that failed at the same time. `retry_after`, the receiver's Retry-After
    in seconds, can lengthen the delay up to a day.
    """
    if not 1 <= attempt <= len(DELAYS_SECONDS):
        return None
    delay = DELAYS_SECONDS[attempt - 1] * (1 + _JITTER * (2 * random() - 1))
    return max(delay, min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))
