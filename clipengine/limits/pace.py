"""Least throughput of a sender, so that slow connections do not hold slots for hours."""

from __future__ import annotations

from collections.abc import Callable

from clipengine.limits.shares import LIMITS

LEAST_BYTES_PER_SECOND = 1024
_RARE = (LIMITS["uploads"].of_all or 0) // 2  # slots of uploads; with more in use, free ones are rare


class Pace:
    """Throughput over the time spent waiting for a sender, checked after each `seconds` of it.

    `least` returns the least throughput that is accepted now, in bytes per second.
    """

    def __init__(self, seconds: float, least: Callable[[], int] = lambda: LEAST_BYTES_PER_SECOND) -> None:
        self._seconds = seconds
        self._least = least
        self._waited = 0.0
        self._received = 0

    def left(self) -> float:
        """Return the seconds that the next wait may take, more than 0 and at most `seconds`."""
        earned = self._received / self._least()
        return min(self._seconds, max(self._seconds, earned) - self._waited)

    def add(self, *, waited: float, received: int) -> None:
        """Count a wait. Raises TimeoutError if the sender is too slow."""
        self._waited += waited
        self._received += received
        if self._waited < self._seconds:
            return
        if self._received < self._waited * (least := self._least()):
            raise TimeoutError(f"less than {least} bytes per second")
        self._waited, self._received = 0.0, 0


def least_pace(used: int) -> int:
    """Return the least throughput of a sender, in bytes per second, while so many slots receive bodies.

    It doubles with every two slots beyond half of them: when slots are rare, slow senders leave them.
    """
    return LEAST_BYTES_PER_SECOND << max(0, used - _RARE) // 2
