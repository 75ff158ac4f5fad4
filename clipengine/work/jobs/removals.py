"""Deletion of the objects that the ledger lists as unwanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from clipengine.errors import ClipEngineError
from clipengine.ledger.stored_objects.removals import Removal
from clipengine.stores.base import MAX_DELETE, Store
from clipengine.work.retry import retry_until_written
from clipengine.work.worker import JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_RETRY_MS = 30_000
_RECHECK_MS = 180_000  # longer than a store works on a PUT request after its sender is gone


class Remover(Jobs[Sequence[Removal]]):
    """The deletions of unwanted objects, in batches."""

    activity = "objects were deleted"

    def __init__(self, context: JobContext, store: Store) -> None:
        super().__init__(context)
        self._store = store

    def claim(self) -> Sequence[Removal] | None:
        removals = self._ledger.removals
        return self.disk.freeing(lambda: removals.claim(self._owner, limit=MAX_DELETE)) or None

    def is_due(self) -> bool:
        return bool(self._ledger.removals.due(limit=1))

    def ids(self, item: Sequence[Removal]) -> list[str]:
        return [str(each.id) for each in item]

    def label(self, item: Sequence[Removal]) -> str:
        return f"deletion of {len(item)} objects"

    def run(self, item: Sequence[Removal]) -> None:
        """Delete the objects and settle their removals."""
        failed = self._store.delete_many([each.key for each in item])
        deleted = [each for each in item if each.key not in failed]
        again_ms = self.faults.scale_delay(_RECHECK_MS)
        settle = partial(self._ledger.removals.deleted, deleted, again_ms=again_ms)
        retry_until_written(lambda: self.disk.freeing(settle), self.stopping)
        for message in {error.message for error in failed.values()}:
            log.warning("objects cannot be deleted yet: %s", message)
        if failed:
            self._release([each for each in item if each.key in failed])

    def retry(self, item: Sequence[Removal], error: ClipEngineError) -> Retry:
        return Retry(_RETRY_MS)

    def later(self, item: Sequence[Removal], error: ClipEngineError, retry: Retry) -> bool:
        self._release(item)
        return True

    def fail(self, item: Sequence[Removal], error: ClipEngineError) -> bool:
        raise NotImplementedError  # deletions are retried until they succeed

    def _release(self, removals: Sequence[Removal]) -> None:
        delay = self.faults.scale_delay(_RETRY_MS)
        release = partial(self._ledger.removals.later, removals, delay_ms=delay)
        retry_until_written(lambda: self.disk.freeing(release), self.stopping)
