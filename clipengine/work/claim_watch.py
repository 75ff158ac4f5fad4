"""Watch of the children that work on a claimed item."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from clipengine.errors import StorageError
from clipengine.work.retry import Stopping
from clipengine.work.worker import ClaimLost

_CHECK_SECONDS = 1.0


class ClaimWatch:
    """Stops a child if the engine stops, or if the claim is not held any more: its recording was deleted, for example.

    `is_held` is called with the first message, and then at most once a second.
    """

    def __init__(self, is_held: Callable[[], bool], stopping: threading.Event) -> None:
        self._is_held = is_held
        self._stopping = stopping
        self._next_check = 0.0

    def __call__(self, message: object) -> None:
        """Raise Stopping or ClaimLost, which end the child."""
        if self._stopping.is_set():
            raise Stopping
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_SECONDS
        with suppress(StorageError):  # an outage of the ledger ends no work
            if not self._is_held():
                raise ClaimLost
