"""The composition root: builds every part from the settings, wires them, starts and stops them.

Nothing else knows the whole. `Engine` is what `serve` runs, and `worker`, which has no API.
"""

from __future__ import annotations

import logging
import math
import time

from clipengine.errors import StorageError
from clipengine.ids import new_id
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import location_of
from clipengine.settings import Settings, faults
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.timecode import now_ms
from clipengine.webhooks.configured_endpoints import configured_endpoints
from clipengine.webhooks.send import Sender
from clipengine.work.deliveries import DeliveryWorker
from clipengine.work.disk_reservation import DiskReservation
from clipengine.work.encoder.header_cache import HeaderCache
from clipengine.work.encoder.pool import EncoderPool
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.health import Check, Health
from clipengine.work.heartbeat import Heartbeat
from clipengine.work.lock import FolderLock
from clipengine.work.metrics import Metrics
from clipengine.work.previews import Previews
from clipengine.work.prober import Prober
from clipengine.work.publisher import Publisher
from clipengine.work.queue import WorkQueue
from clipengine.work.remover import Remover
from clipengine.work.runner import ClipRunner
from clipengine.work.scratch import Scratch
from clipengine.work.sweep import Sweep
from clipengine.work.watch import Watch

log = logging.getLogger(__name__)

_CHORE_WORKERS = 4
_UPLOAD_WORKERS = 2
_MAX_AHEAD = 4  # encoders that wait for clips, each with the memory of its libraries
_CHORES = ("probe", "remove", "deliver")
_EXPIRE_SECONDS = 5
_CLAMP_SECONDS = 20
_PREVIEW_NICE, _MAX_NICE = 5, 19  # previews are nicer than clips by so much
_MARK_SECONDS = 5
_FOLDER_SECONDS, _S3_SECONDS = 1, 30  # from one look at the store's health to the next
# A storm of restarts must not be blamed on what the engines held: none of them lives this long.
_STEADY_SECONDS = 15.0
_DAY_MS = 24 * 3600 * 1000


class Engine:
    """All parts of one running engine. Every method may be called from any thread."""

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, lock: FolderLock) -> None:
        self.settings = settings
        self.ledger = ledger
        self.store = store
        self.instance_id = new_id("inst")
        self._lock = lock
        self._heartbeat = Heartbeat(ledger.engines, self.instance_id)
        encoding, webhooks = settings.encoding, settings.webhooks
        self._scratch = Scratch(settings.data.folder / "scratch", lock.check)
        self._metrics = Metrics(ledger, settings.data.folder, self.health)
        lost, header_cache = self._metrics.children, HeaderCache()
        self._encoders = EncoderPool(
            nice=encoding.nice,
            sandbox=encoding.sandbox,
            ahead=min(encoding.workers, _MAX_AHEAD),
            inspectors_ahead=1,
            header_cache=header_cache,
            on_loss=lambda cause: lost.labels(cause).inc(),
        )
        # A pool of their own: previews run at a lower priority than clips and must not take the child started for one.
        self.previews = Previews(
            encoding,
            store,
            EncoderPool(
                nice=min(encoding.nice + _PREVIEW_NICE, _MAX_NICE), sandbox=encoding.sandbox, header_cache=header_cache
            ),
            settings.data.folder / "previews",
            max_bytes=settings.previews.max_bytes,
        )
        self._disk = DiskReservation(settings.data.folder, settings.limits.min_free_bytes)
        self._faults = FaultInjection(faults())
        self._publisher = Publisher(settings, ledger, store, self._scratch, self._faults, owner=self.instance_id)
        self._runner = ClipRunner(
            settings,
            ledger,
            store,
            self._encoders,
            self._scratch,
            self._disk,
            self._faults,
            owner=self.instance_id,
            suspects_allowed=self._is_steady,
            on_finished=lambda: self._uploads.nudge(""),
        )
        self._prober = Prober(
            ledger,
            store,
            self._encoders,
            owner=self.instance_id,
            suspects_allowed=self._is_steady,
            max_parallel=min(encoding.workers, _CHORE_WORKERS - 2),
            encoding=encoding,
        )
        self._remover = Remover(ledger, store, self._faults, owner=self.instance_id)
        self._own_endpoints = configured_endpoints(webhooks)
        self._deliveries = DeliveryWorker(
            ledger,
            Sender(webhooks.allow_cidrs, webhooks.timeout_seconds, own_port=settings.server.port or None),
            owner=self.instance_id,
            trusted_urls=[endpoint.url for endpoint in webhooks.endpoints],
            on_attempt=lambda outcome: self._metrics.deliveries.labels(outcome).inc(),
        )
        uploaders = max(_UPLOAD_WORKERS, encoding.workers)
        self._clips = WorkQueue("clips", encoding.workers, lambda id: self._cut_what_waits(), self._restarted)
        self._uploads = WorkQueue("uploads", uploaders, lambda id: self._publisher.run_due(), self._restarted)
        self._chores = WorkQueue("chores", _CHORE_WORKERS, self._do_chore, self._restarted)
        self._sweep = Sweep(self._nudge_what_waits, lambda: self._chores.nudge("tidy"))
        queues = (self._clips, self._uploads, self._chores)
        in_folder = settings.storage.kind == "folder"
        self._health = Health(
            ledger,
            store,
            self._disk,
            check_folder=lock.check,
            store_seconds=_FOLDER_SECONDS if in_folder else _S3_SECONDS,
            floor=settings.limits.min_free_bytes,
            queues=queues,
            sweep=self._sweep,
        )
        self._watch = Watch(
            ledger,
            store,
            prefixes=settings.watch.prefixes,
            rule=settings.watch.name,
            seconds=settings.watch.seconds,
            settle_seconds=settings.watch.settle_seconds if in_folder else 0,
            folder=settings.store_folder / settings.storage.prefix if in_folder else None,
            on_found=self.wake_chores,
        )
        self._expire_at = 0.0
        self._clamp_at = 0.0
        self._mark_at = 0.0
        self._stirred = False  # something was committed that the ledger's mark does not cover yet
        self._started = False
        self._steady_at = math.inf

    @classmethod
    def build(cls, settings: Settings) -> Engine:
        """Take the data folder and build every part. Raises StartupError and its kinds; nothing is left open then."""
        settings.data.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(settings.data.folder)
        lock.acquire()
        try:
            ledger = Ledger.open(
                location_of(settings),
                key_prefix=settings.auth.key_prefix,
                organisation_id=settings.server.organisation_id,
                max_queued=settings.limits.max_queued_clips,
            )
            try:
                folder, journal = settings.store_folder, settings.data.folder / "uploads"
                store = build_store(settings.storage, folder=folder, journal=journal, identity=ledger.store_identity)
                return cls(settings, ledger, store, lock)
            except BaseException:
                ledger.close()
                raise
        except BaseException:
            lock.release()
            raise

    def start(self, *, leads: bool = True) -> None:
        """Put right what a killed engine left behind, then work. Raises SandboxIncomplete.

        One that does not lead (a worker) leaves to others what is done once for all: it registers neither what appears
        in the store nor the endpoints of the settings.
        """
        if self.settings.encoding.sandbox == "required":
            self._encoders.check_sandbox()
        self._started = True
        self._steady_at = time.monotonic() + _STEADY_SECONDS
        self._heartbeat.start()
        if leads:
            self.ledger.endpoints.sync_settings(self._own_endpoints)
        orphans = self._free_orphans()
        self._scratch.prepare()
        self._tidy_scratch()
        self._deliveries.recover()
        if orphans:
            self._metrics.rescues.inc(orphans)
            log.info("%d jobs of an engine that was killed are queued again", orphans)
        self.ledger.on_change(self._changed)
        self.ledger.follow()
        self._encoders.warm_up()
        self._clips.start()
        self._uploads.start()
        self._chores.start()
        self._sweep.start()
        if leads:
            self._watch.start()
        self._nudge_what_waits()

    def stop(self, timeout: float) -> None:
        """Stop within about `timeout` seconds: running clips go back into the queue, nothing is lost."""
        deadline = time.monotonic() + timeout
        self._heartbeat.announce_stop()
        self._runner.stop()
        self._publisher.stop()
        self._prober.stop()
        self.previews.stop()
        if self._started:
            self._watch.stop(1.0)
            self._sweep.stop(0.5)
            self._deliveries.stop(max(0.1, min(1.0, deadline - time.monotonic())))
            self._clips.stop(max(0.1, deadline - time.monotonic()))
            self._uploads.stop(max(0.1, deadline - time.monotonic()))
            self._chores.stop(max(0.1, deadline - time.monotonic()))
            self._heartbeat.stop(0.5)
        self._encoders.close()
        self.ledger.close()
        self._lock.release()

    # ---- what the API asks for

    def admit(self) -> None:
        """Raises DiskLow where nothing new may be taken: what was accepted has to find room first.

        Raises StorageUnavailable where the data folder was moved away.
        """
        self._faults.reach("accepting")
        self._lock.check()
        self._disk.check()

    def wake_clips(self) -> None:
        self._faults.reach("accepted")
        # A worker that was nudged goes on until nothing waits: more nudges than workers would find nothing.
        if self._clips.pending() < self.settings.encoding.workers:
            self._clips.nudge("")

    def wake_chores(self) -> None:
        for chore in _CHORES:
            self._chores.nudge(chore)

    def abandon(self, clip_id: str) -> None:
        """Stop working on a clip that was cancelled or deleted."""
        self._runner.abandon(clip_id)
        self._publisher.abandon(clip_id)

    def health(self) -> list[Check]:
        return self._health.checks()

    def count_response(self, method: str, status: int) -> None:
        self._metrics.count_response(method, status)

    def metrics(self) -> bytes:
        return self._metrics.text()

    # ---- what the queues do

    def _cut_what_waits(self) -> None:
        while self._runner.run_next():
            self._metrics.attempts.inc()

    def _do_chore(self, name: str) -> None:
        if name == "probe":
            self._prober.run_due()
        elif name == "remove":
            self._remover.run_due()
        elif name == "deliver":
            self._deliveries.run_due()
        elif name == "tidy":
            self._tidy()

    def _restarted(self, queue: str) -> None:
        self._metrics.restarts.labels(queue).inc()

    def _changed(self, kind: str, id: str) -> None:
        """After each commit: nudge what has something to do now."""
        self._stirred = True
        if kind == "delivery":
            self._chores.nudge("deliver")
        elif kind == "removal":
            self._chores.nudge("remove")

    def _nudge_what_waits(self) -> None:
        """The sweep: idempotent, cheap when nothing waits, and enough by itself when every nudge was lost.

        Raises StorageUnavailable, with nothing done, where the data folder was moved away.
        """
        self._lock.check()
        if not self._clips.pending() and self.ledger.clips.counts()["queued"]:
            for _ in range(self.settings.encoding.workers):
                self._clips.nudge("")
        if not self._uploads.pending() and self.ledger.uploads.due(self.instance_id):
            self._uploads.nudge("")
        if not self._chores.pending():
            self._chores.nudge("probe")
            if self.ledger.removals.due(limit=1):
                self._chores.nudge("remove")
            due = self._deliveries.next_due()
            if due is not None and due <= now_ms():
                self._chores.nudge("deliver")
        for queue in (self._clips, self._uploads, self._chores):
            queue.alive()
        lost = self._free_orphans()
        if lost:
            log.warning("%d jobs that nobody worked on any more are queued again", lost)
            self._metrics.rescues.inc(lost)
        self._tidy_scratch()
        self._metrics.follow()
        if self._stirred and time.monotonic() >= self._mark_at:
            self._stirred, self._mark_at = False, time.monotonic() + _MARK_SECONDS
            self.ledger.commit_watermark.advance()
        if time.monotonic() >= self._expire_at:
            self._expire()
        if time.monotonic() >= self._clamp_at:
            self._clamp_at = time.monotonic() + _CLAMP_SECONDS
            if clamped := self.ledger.reset_far_future_due():
                log.warning("the clock was set back: %d jobs that waited for a time long past are due now", clamped)

    def _is_steady(self) -> bool:
        """Return True if this engine has been up for so long that clips which may kill it are worth a try."""
        return time.monotonic() >= self._steady_at

    def _busy_clips(self) -> set[str]:
        return self._runner.in_flight.ids() | self._publisher.in_flight.ids()

    def _free_orphans(self) -> int:
        """Release the jobs of engines that ended and of threads that died, and return how many there were."""
        ledger, living = self.ledger, self.ledger.engines.living
        died = ledger.engines.died
        freed = ledger.clips.requeue_orphans(self.instance_id, in_flight=self._busy_clips, living=living, died=died)
        freed += ledger.recordings.release_orphans(
            self.instance_id, in_flight=self._prober.in_flight.ids, living=living, died=died
        )
        ledger.removals.release_orphans(self.instance_id, in_flight=self._remover.in_flight.ids, living=living)
        if ledger.engines.shared:
            freed += self._deliveries.recover()
        return freed

    def _tidy_scratch(self) -> None:
        """Remove what clips left that were cancelled, deleted or cut by an engine that was killed."""
        self._scratch.tidy(self._busy_clips, self.ledger.uploads.waiting)

    def _expire(self) -> None:
        days = self.settings.retention.clips_days
        expired = self.ledger.expiry.run(keep_ms=round(days * _DAY_MS) if days else None)
        if expired:
            log.info("%d clips have expired", expired)
        # Where many have, the rest of them is not long in coming.
        self._expire_at = time.monotonic() + (0 if expired else _EXPIRE_SECONDS)

    def _tidy(self) -> None:
        self.ledger.idempotency.purge()
        self.ledger.engines.forget(self.instance_id)
        try:
            aborted = self.store.sweep_uploads()
        except StorageError as error:
            log.warning("what killed uploads have left in the store stays for now: %s", error.message)
            return
        if aborted:
            log.info("%d uploads that were left half done were aborted", aborted)
