"""Objects that the watch cannot understand and skips: each is logged once, and counted in each scan."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from clipengine.errors import ClipEngineError

log = logging.getLogger(__name__)

_MAX_LOGGED = 1000  # objects that are logged by their names
_MAX_CHARACTERS = 200  # of a name in the log


class SkippedObjects:
    """Counts of the skipped objects, by prefix. Thread-safe to read.

    `count` is the total of the last scans.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._current = 0
        self._logged: set[str] = set()

    @property
    def count(self) -> int:
        return sum(list(self._counts.values()))

    @contextmanager
    def scan(self, prefix: str) -> Iterator[None]:
        """Count the objects under this prefix that are skipped in the block."""
        self._current = 0
        try:
            yield
        finally:
            self._counts[prefix] = self._current

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Skip the object if the block fails because of it. Outages of the store and the ledger are raised."""
        try:
            yield
        except ClipEngineError as error:
            if error.retryable or error.fault == "engine":
                raise
            self.add(key, error.message)
        except (ValueError, OverflowError) as error:  # of names and times that no check has foreseen
            self.add(key, f"{type(error).__name__}: {error}")

    def add(self, key: str, reason: str, count: int = 1) -> None:
        self._current += count
        if key in self._logged or len(self._logged) > _MAX_LOGGED:
            return
        if len(self._logged) == _MAX_LOGGED:
            reason += "; others are only counted, in watch.left_out of /v1/status"
        self._logged.add(key)
        log.warning("the watch leaves out %r: %s", key[-_MAX_CHARACTERS:], reason[:_MAX_CHARACTERS])
