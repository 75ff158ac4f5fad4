"""How long a clip waits for a store that is out of reach, and how often it asks.

What is counted is the time that was waited, in the row of the clip: neither a step of the clock nor a day with the
engine switched off shortens the patience, and no restart renews it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from clipengine.errors import ClipEngineError, StorageDenied, StorageError, StorageUnavailable

log = logging.getLogger(__name__)

_PATIENCE_MS: dict[type[ClipEngineError], int] = {
    StorageUnavailable: 24 * 3600 * 1000,
    # Long enough for a key that is being exchanged; somebody has to act on everything else, and should soon know.
    StorageDenied: 30_000,
}
_SHORTEST_MS = 2_000
LONGEST_MS = 300_000
_LEDGER_SECONDS = 1.0
T = TypeVar("T")


class Stopping(Exception):
    """The engine stops: what is under way goes back, as if it had not begun."""


def next_wait(error: ClipEngineError, waited_ms: int) -> int | None:
    """The ms to wait after `error`, when `waited_ms` were waited before; None where that would not help.

    The longer it has lasted, the longer the next wait: doubling from 2 s up to 5 minutes, with jitter.
    """
    patience = _PATIENCE_MS.get(type(error))
    if patience is None or waited_ms >= patience:
        return None
    delay = min(max(waited_ms, _SHORTEST_MS), LONGEST_MS) * random.uniform(0.5, 1)
    return round(min(delay, patience - waited_ms)) or 1


def insist(change: Callable[[], T], stopping: threading.Event) -> T:
    """Write an outcome into the ledger, however long its disk is full or somebody else holds it.

    Raises Stopping where the engine stops before that.
    """
    while True:
        try:
            return change()
        except StorageError as error:
            log.warning("what happened cannot be written down yet: %s", error.message)
            if stopping.wait(_LEDGER_SECONDS):
                raise Stopping from error
