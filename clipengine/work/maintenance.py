"""Periodic work of an engine: orphans, scratch, the commit watermark, and old records."""

from __future__ import annotations

import logging
import time

from clipengine.errors import StorageError
from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store
from clipengine.work.deliveries import DeliveryWorker
from clipengine.work.metrics import Metrics
from clipengine.work.prober import Prober
from clipengine.work.publisher import Publisher
from clipengine.work.remover import Remover
from clipengine.work.runner import ClipRunner
from clipengine.work.scratch import Scratch

log = logging.getLogger(__name__)

_DUE_CHECK_SECONDS = 20
_WATERMARK_SECONDS = 5


class Maintenance:
    """Idempotent jobs, cheap if there is nothing to do. `run` is called each second, `run_hourly` each hour."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        scratch: Scratch,
        metrics: Metrics,
        *,
        owner: str,
        runner: ClipRunner,
        publisher: Publisher,
        prober: Prober,
        remover: Remover,
        deliveries: DeliveryWorker,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._scratch = scratch
        self._metrics = metrics
        self._owner = owner
        self._runner = runner
        self._publisher = publisher
        self._prober = prober
        self._remover = remover
        self._deliveries = deliveries
        self.has_commits = False  # since the latest advance of the commit watermark
        self._watermark_at = self._due_check_at = 0.0

    def run(self) -> None:
        released = self.release_orphans()
        if released:
            log.warning("%d orphaned jobs are queued again", released)
            self._metrics.rescues.inc(released)
        self.tidy_scratch()
        self._metrics.follow()
        now = time.monotonic()
        if self.has_commits and now >= self._watermark_at:
            self.has_commits, self._watermark_at = False, now + _WATERMARK_SECONDS
            self._ledger.commit_watermark.advance()
        if now >= self._due_check_at:
            self._due_check_at = now + _DUE_CHECK_SECONDS
            if reset := self._ledger.reset_far_future_due():
                log.warning("the clock was set back: %d jobs that were due far in the future are due now", reset)

    def run_hourly(self) -> None:
        self._ledger.idempotency.purge()
        self._ledger.engines.forget(self._owner)
        try:
            aborted = self._store.sweep_uploads()
        except StorageError as error:
            log.warning("unfinished uploads cannot be removed from the store yet: %s", error.message)
            return
        if aborted:
            log.info("%d unfinished uploads were aborted", aborted)

    def release_orphans(self) -> int:
        """Release the jobs of dead engines and dead threads, and return how many there were."""
        ledger, living = self._ledger, self._ledger.engines.living
        died = ledger.engines.died
        released = ledger.clips.requeue_orphans(self._owner, in_flight=self._clips_in_flight, living=living, died=died)
        released += ledger.recordings.release_orphans(
            self._owner, in_flight=self._prober.in_flight.ids, living=living, died=died
        )
        ledger.removals.release_orphans(self._owner, in_flight=self._remover.in_flight.ids, living=living)
        if ledger.engines.shared:
            released += self._deliveries.recover()
        return released

    def tidy_scratch(self) -> None:
        """Delete the scratch folders of clips that were cancelled, deleted or cut by a dead engine."""
        self._scratch.tidy(self._clips_in_flight, self._ledger.uploads.waiting)

    def _clips_in_flight(self) -> set[str]:
        return self._runner.in_flight.ids() | self._publisher.in_flight.ids()
