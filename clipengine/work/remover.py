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
    """Deletes unwanted objects, one batch after the other."""

    def __init__(self, ledger: Ledger, store: Store, faults: FaultInjection, *, owner: str) -> None:
        self._ledger = ledger
        self._store = store
        self._faults = faults
        self._owner = owner
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.in_flight = InFlight()

    def run_due(self) -> None:
        """Delete batches until no full one is due. Returns at once if another thread of this engine deletes."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            while not self._stopped.is_set() and self._run_batch():
                pass
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End `run_due` after its current batch."""
        self._stopped.set()

    def _run_batch(self) -> bool:
        """Claim and delete one batch, and return True if it was full and every object was deleted."""
        with self.in_flight.track_all(
            lambda: self._ledger.removals.claim(self._owner, limit=MAX_DELETE),
            lambda batch: [str(each.id) for each in batch],
        ) as batch:
            return bool(batch) and self._delete(batch) and len(batch) == MAX_DELETE

    def _delete(self, batch: Sequence[Removal]) -> bool:
        """Delete the objects and settle their removals. Return False if some could not be deleted."""
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
        return not failed
