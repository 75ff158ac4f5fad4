"""What the threads of this engine work on right now: what the ledger says they hold and is not here, nobody holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
        """What `claim` gives; its id is here until the block ends.

        Claims go one by one, so that whoever has seen a claim in the ledger and asks `ids` afterwards finds it there.
        """
        with self._lock:
            taken = claim()
            if taken is not None:
                self._ids.add(name(taken))
        try:
            yield taken
        finally:
            if taken is not None:
                with self._lock:
                    self._ids.discard(name(taken))

    def ids(self) -> set[str]:
        with self._lock:
            return set(self._ids)
