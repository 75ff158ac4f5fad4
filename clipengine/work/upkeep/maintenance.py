"""Periodic work of an engine: orphans, scratch, the commit watermark, and old records."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from clipengine.basis.disk_space import DiskSpace
from clipengine.errors import StorageError
from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store
from clipengine.work.jobs.fetches import Fetcher
from clipengine.work.jobs.scratch import Scratch
from clipengine.work.upkeep.metrics import Metrics
from clipengine.work.upload_receiver import UploadReceiver
from clipengine.work.worker import Worker

log = logging.getLogger(__name__)

_DUE_CHECK_SECONDS = 20
_WATERMARK_SECONDS = 5
_FENCED = ("fetches", "probes", "live", "transcriptions", "batches", "removals", "deliveries")


class Maintenance:
    """Idempotent jobs, cheap if there is nothing to do. `run` is called each second, `run_hourly` each hour."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        scratch: Scratch,
        fetcher: Fetcher,
        metrics: Metrics,
        workers: Mapping[str, Worker[Any]],
        upload_receiver: UploadReceiver,
        *,
        owner: str,
        disk: DiskSpace,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._scratch = scratch
        self._fetcher = fetcher
        self._metrics = metrics
        self._workers = workers
        self._upload_receiver = upload_receiver
        self._owner = owner
        self._disk = disk
        self.has_commits = False  # since the latest advance of the commit watermark
        self._watermark_at = self._due_check_at = 0.0

    def run(self) -> None:
        released = self.release_orphans()
        if released:
            log.warning("%d orphaned jobs are queued again", released)
            self._metrics.rescues.inc(released)
        self.tidy_scratch()
        self._ledger.clips.end_waits()
        self._fetcher.end_deleted()
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
        self._ledger.storage_use.note_day()
        if removed := self._upload_receiver.remove_idle():
            log.info("%d idle uploads were deleted", removed)
        try:
            aborted = self._store.sweep_uploads()
        except StorageError as error:
            log.warning("unfinished uploads cannot be removed from the store yet: %s", error.message)
            return
        if aborted:
            log.info("%d unfinished uploads were aborted", aborted)

    def release_orphans(self) -> int:
        """Release the jobs of dead engines and dead threads, also on a full disk, and return how many there were."""
        return self._disk.freeing(self._release_orphans)

    def _release_orphans(self) -> int:
        ledger, owner, living, died = self._ledger, self._owner, self._ledger.engines.living, self._ledger.engines.died
        released = ledger.clips.requeue_orphans(owner, in_flight=self._clips_in_flight, living=living, died=died)
        fetches, probes, live, transcriptions, batches, removals, deliveries = (
            self._workers[name].in_flight for name in _FENCED
        )
        released += ledger.recordings.release_orphans(owner, in_flight=probes, living=living, died=died)
        released += ledger.fetches.release_orphans(owner, in_flight=fetches, living=living)
        released += ledger.transcriptions.release_orphans(owner, in_flight=transcriptions, living=living)
        released += ledger.batches.release_orphans(owner, in_flight=batches, living=living)
        ledger.live.release_orphans(owner, in_flight=live, living=living)
        ledger.resumable_uploads.release_orphans(owner, in_flight=self._upload_receiver.in_flight, living=living)
        ledger.removals.release_orphans(owner, in_flight=removals, living=living)
        repeated = ledger.deliveries.release_orphans(owner, in_flight=deliveries, living=living)
        self._metrics.repeated_deliveries.inc(repeated)
        return released

    def tidy_scratch(self) -> None:
        """Delete the scratch folders of clips that were cancelled, deleted or cut by a dead engine."""
        self._scratch.tidy(self._clips_in_flight, self._ledger.uploads.waiting)

    def _clips_in_flight(self) -> set[str]:
        return self._workers["clips"].in_flight() | self._workers["uploads"].in_flight()
