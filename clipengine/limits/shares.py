"""Shares of callers: how much of something limited one caller, and all together, may have at the same time.

A caller is a key, a user or a link. `LIMITS` is the table of them; limits that an operator sets are in the settings
(`[limits]`, `[shares]`), and the rate of requests is in `limits.rate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from clipengine.errors import Busy, RateLimited

StreamKind = Literal["downloads", "event streams", "waiting requests", "large requests"]
SlotKind = Literal["uploads", "requests of uploads", "assemblies of uploads"]
QueueKind = Literal["previews of this kind"]
Limited = StreamKind | SlotKind | QueueKind


@dataclass(frozen=True)
class Limit:
    """Limit of one caller and of all.

    Without `of_caller`, a caller has at most as many as are free, so that each further caller finds some.
    """

    of_caller: int | None = None
    of_all: int | None = None
    state: str = "open"
    retry_after: int = 10  # seconds


LIMITS: dict[Limited, Limit] = {
    "downloads": Limit(200),  # each keeps about 0.4 MiB
    "event streams": Limit(200),
    "waiting requests": Limit(1000),  # each keeps about 20 KiB
    "large requests": Limit(16),  # a plan with 5,000 ranges keeps about 4 MiB
    "uploads": Limit(of_all=16, state="under way"),  # each occupies a thread while its client sends
    "requests of uploads": Limit(of_all=8, state="under way", retry_after=1),
    "assemblies of uploads": Limit(of_all=4, state="under way", retry_after=1),
    # Frames, plans, filmstrips, waveforms, proxies, and documents that a child reads. They take turns as well.
    "previews of this kind": Limit(32, of_all=64, state="queued", retry_after=2),
}
# Of one caller at the same time: a quarter of the pool, so that requests of others find a free one.
THREADS = 10
# Sign-ins come from callers that are not known yet: threads for requests to the provider, and sign-ins that wait.
SIGN_IN_THREADS, SIGN_INS_WAITING = 8, 100


def check_share(kind: Limited, *, held: int, used: int) -> None:
    """Check that a caller that has `held` of the `used` ones may have one more.

    Raises RateLimited if it has its share, and Busy if others have all.
    """
    limit = LIMITS[kind]
    is_full = limit.of_all is not None and used >= limit.of_all
    free = used if limit.of_all is None else limit.of_all - used
    if not is_full and held < (free if limit.of_caller is None else limit.of_caller):
        return
    if is_full and (not held or limit.of_caller is not None):
        raise Busy(f"{used} {kind} are {limit.state}", retry_after=limit.retry_after)
    raise RateLimited(
        f"{held} {kind} of this key or link are {limit.state}",
        hint="Close one or wait until one ends, and send the request again.",
        retry_after=limit.retry_after,
    )


class Shares:
    """What each caller has now. Not thread-safe."""

    def __init__(self) -> None:
        self._held: Counter[tuple[Limited, str]] = Counter()
        self._used: Counter[Limited] = Counter()

    @contextmanager
    def one_more(self, caller: str, kind: Limited) -> Iterator[None]:
        """Count one more of a caller for the duration of the context. Raises as `check_share`."""
        check_share(kind, held=self._held[kind, caller], used=self.used(kind))
        self._held[kind, caller] += 1
        self._used[kind] += 1
        try:
            yield
        finally:
            self._used[kind] -= 1
            self._held[kind, caller] -= 1
            if not self._held[kind, caller]:
                del self._held[kind, caller]

    def used(self, kind: Limited) -> int:
        """Return how many of a kind all callers have."""
        return self._used[kind]
