"""Deletion of the objects that the ledger lists as unwanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from clipengine.errors import ClipEngineError, StorageError
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.removals import Removal
from clipengine.stores.base import MAX_DELETE, Store
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.in_flight import InFlight

log = logging.getLogger(__name__)

_RETRY_MS = 30_000
_RECHECK_MS = 180_000  # longer than a store works on a PUT request after its sender is gone


class Remover:
    """Deletes unwanted objects, one batch at a time."""

    def __init__(self, ledger: Ledger, store: Store, faults: FaultInjection, *, owner: str) -> None:
        self._ledger = ledger
        self._store = store
        self._faults = faults
        self._owner = owner
        self._lock = threading.Lock()
        self.in_flight = InFlight()

    def run_due(self) -> None:
        """Claim and delete one batch. Returns at once if another thread of this engine is deleting one."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            with self.in_flight.track_all(
                lambda: self._ledger.removals.claim(self._owner, limit=MAX_DELETE),
                lambda batch: [str(each.id) for each in batch],
            ) as batch:
                if batch:
                    self._delete(batch)
        finally:
            self._lock.release()

    def _delete(self, batch: Sequence[Removal]) -> None:
        failed: Mapping[str, ClipEngineError]
        try:
            failed = self._store.delete_many([each.key for each in batch])
        except StorageError as error:
            failed = dict.fromkeys((each.key for each in batch), error)
        for message in {error.message for error in failed.values()}:
            log.warning("objects cannot be deleted yet: %s", message)
        deleted = [each for each in batch if each.key not in failed]
        self._ledger.removals.deleted(deleted, again_ms=self._faults.scale_delay(_RECHECK_MS))
        if failed:
            again = [each for each in batch if each.key in failed]
            self._ledger.removals.later(again, delay_ms=self._faults.scale_delay(_RETRY_MS))
