"""Delays between attempts, which double and have jitter, so that clients that failed together return apart."""

from __future__ import annotations

import random
from typing import NamedTuple

_MOST_DOUBLINGS = 64  # more would overflow a float


class Backoff(NamedTuple):
    """Delays from `first` to `longest`, in one unit. Half of each is random."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Return the delay after this many failures in a row, at least one."""
        return self._jittered(self.first * 2 ** min(failures - 1, _MOST_DOUBLINGS))

    def after_waiting(self, waited: float) -> float:
        """Return the delay after all earlier ones took `waited` together, which doubles their sum."""
        return self._jittered(max(waited, self.first))

    def _jittered(self, delay: float) -> float:
        return min(delay, self.longest) * random.uniform(0.5, 1)
