"""Retry policy for outages of the storage and of the engine's own files.

The total delay of a clip is counted in its row of the ledger. Clock changes and time in which the engine was off do not
count, and a restart does not reset it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from clipengine.basis.backoff import Backoff
from clipengine.errors import ClipEngineError, DecoderNotStarted, StorageDenied, StorageError, StorageUnavailable

log = logging.getLogger(__name__)

_MAX_TOTAL_MS: dict[type[ClipEngineError], int] = {
    StorageUnavailable: 24 * 3600 * 1000,
    # Long enough to replace an access key. Other causes need an operator, who must see the failure soon.
    StorageDenied: 30_000,
    DecoderNotStarted: 3600 * 1000,  # an upgrade that replaces the files is over by then
}
_BACKOFF_MS = Backoff(2_000, 300_000)
_WRITE_RETRY_SECONDS = 1.0
T = TypeVar("T")


class Stopping(Exception):
    """The engine stops: unfinished work returns to its queue."""


def next_delay(error: ClipEngineError, waited_ms: int) -> int | None:
    """Return the delay in ms before the retry, or None if `error` must not be retried after `waited_ms` of delays.

    The delay doubles from 2 s up to 5 minutes, with jitter.
    """
    limit = _MAX_TOTAL_MS.get(type(error))
    if limit is None or waited_ms >= limit:
        return None
    return round(min(_BACKOFF_MS.after_waiting(waited_ms), limit - waited_ms)) or 1


def retry_until_written(change: Callable[[], T], stopping: threading.Event) -> T:
    """Call `change`, which writes to the ledger, until it succeeds; the ledger may be locked or its disk full.

    Raises Stopping if the engine stops before that.
    """
    while True:
        try:
            return change()
        except StorageError as error:
            log.warning("an outcome cannot be recorded yet: %s", error.message)
            if stopping.wait(_WRITE_RETRY_SECONDS):
                raise Stopping from error
