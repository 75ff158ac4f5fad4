"""When a delivery that failed is tried again: the schedule of Standard Webhooks, about 76 hours in ten attempts."""

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
    """Seconds until the next try after `attempt` (1 is the first) failed, or None: given up.

    The delay is spread by 20 % to either side, so that receivers which fell together are not met all at once.
    `retry_after`, the receiver's own wish in seconds, can only make the delay longer, up to a day.
    """
    if not 1 <= attempt <= len(DELAYS_SECONDS):
        return None
    delay = DELAYS_SECONDS[attempt - 1] * (1 + _JITTER * (2 * random() - 1))
    return max(delay, min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))
