"""Items in progress in this engine. A ledger claim of this engine that is not listed here is stale."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class InFlight:
    """The ids of the items that threads are working on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._closed = False

    def close(self) -> None:
        """Claim nothing more: `track` yields None from now on."""
        with self._lock:
            self._closed = True

    @contextmanager
    def track(self, claim: Callable[[], T | None], name: Callable[[T], str]) -> Iterator[T | None]:
        """Yield the result of `claim`, and list its id until the block ends. Yield None after `close`."""
        with self.track_all(
            lambda: None if self._closed else claim(), lambda taken: () if taken is None else (name(taken),)
        ) as taken:
            yield taken

    @contextmanager
    def track_all(self, claim: Callable[[], T], names: Callable[[T], Iterable[str]]) -> Iterator[T]:
        """Yield the result of `claim`, and list its ids until the block ends.

        Claims hold the lock, so that a thread that has read a claim from the ledger finds its id in `ids`.
        """
        with self._lock:
            taken = claim()
            claimed = set(names(taken))
            self._ids |= claimed
        try:
            yield taken
        finally:
            with self._lock:
                self._ids -= claimed

    def ids(self) -> set[str]:
        with self._lock:
            return set(self._ids)
