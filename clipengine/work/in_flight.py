"""Items in progress in this engine. A ledger claim of this engine that is not listed here is stale."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Busy:
    """Ids, each for as long as a thread works on it, however that ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    @contextmanager
    def taking(self, claim: Callable[[], T | None], name: Callable[[T], str]) -> Iterator[T | None]:
        """Yield what `claim` returns, and list its id until the block ends."""
        with self.taking_all(claim, lambda taken: () if taken is None else (name(taken),)) as taken:
            yield taken

    @contextmanager
    def taking_all(self, claim: Callable[[], T], names: Callable[[T], Iterable[str]]) -> Iterator[T]:
        """Yield what `claim` returns, and list its ids until the block ends.

        Claims are serialised, so that a thread that reads a claim from the ledger and then calls `ids` finds it there.
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
