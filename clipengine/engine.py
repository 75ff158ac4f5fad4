"""Composition root: builds every part from the settings, and starts and stops them.

`serve` runs an `Engine` with the API, `worker` one without.
"""

from __future__ import annotations

import logging
import math
import time

from clipengine.errors import StorageError
from clipengine.ids import new_id
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import location_of
from clipengine.settings import Settings, injected_faults
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.timecode import now_ms
from clipengine.webhooks.configured_endpoints import configured_endpoints
from clipengine.webhooks.send import Sender
from clipengine.work.cleanup import Cleanup
from clipengine.work.deliveries import DeliveryWorker
from clipengine.work.disk_reservation import DiskReservation
from clipengine.work.encoder.header_cache import HeaderCache
from clipengine.work.encoder.pool import EncoderPool
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.health import Check, Health
from clipengine.work.heartbeat import Heartbeat
from clipengine.work.lock import FolderLock
from clipengine.work.maintenance import Maintenance
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
_MAX_WARM_ENCODERS = 4  # each uses memory for its libraries
_CHORES = ("probe", "remove", "deliver")
_PREVIEW_NICE, _MAX_NICE = 5, 19  # added to the nice value of clips
_FOLDER_SECONDS, _S3_SECONDS = 1, 30  # between two health checks of the store
# Engines that restart in a loop do not live this long, so their clips are not blamed for it.
_STEADY_SECONDS = 15.0
_DRAIN_POLL_SECONDS = 0.2


class Engine:
    """All parts of one running engine. Thread-safe."""

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, lock: FolderLock, metrics: Metrics) -> None:
        self.settings = settings
        self.ledger = ledger
        self.store = store
        self.instance_id = new_id("inst")
        self._lock = lock
        self._heartbeat = Heartbeat(ledger.engines, self.instance_id)
        encoding, webhooks = settings.encoding, settings.webhooks
        self._scratch = Scratch(settings.data.folder / "scratch", lock.check)
        ledger.events.engine_id = self.instance_id
        self._metrics = metrics
        lost, header_cache = self._metrics.children, HeaderCache()
        self._encoders = EncoderPool(
            nice=encoding.nice,
            sandbox=encoding.sandbox,
            ahead=min(encoding.workers, _MAX_WARM_ENCODERS),
            inspectors_ahead=1,
            header_cache=header_cache,
            on_loss=lambda cause: lost.labels(cause).inc(),
        )
        # A second pool: previews run at a lower priority, and must not take a child that was started for a clip.
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
        self._faults = FaultInjection(injected_faults())
        self._publisher = Publisher(
            settings,
            ledger,
            store,
            self._scratch,
            self._faults,
            owner=self.instance_id,
            on_uploaded=metrics.uploads.observe,
        )
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
            on_claimed=lambda clip: metrics.queue_wait.observe(max(0, now_ms() - clip.queued_at) / 1000),
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
            per_target=webhooks.parallel_deliveries,
            on_attempt=lambda outcome: self._metrics.deliveries.labels(outcome).inc(),
        )
        uploaders = max(_UPLOAD_WORKERS, encoding.workers)
        self._clips = WorkQueue("clips", encoding.workers, lambda id: self._run_clips(), self._count_restart)
        self._uploads = WorkQueue("uploads", uploaders, lambda id: self._publisher.run_due(), self._count_restart)
        self._chores = WorkQueue("chores", _CHORE_WORKERS, self._do_chore, self._count_restart)
        self._sweep = Sweep(self._run_maintenance, lambda: self._chores.nudge("tidy"))
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
        self._maintenance = Maintenance(
            ledger,
            store,
            self._scratch,
            self._metrics,
            owner=self.instance_id,
            runner=self._runner,
            publisher=self._publisher,
            prober=self._prober,
            remover=self._remover,
            deliveries=self._deliveries,
        )
        metrics.show(self.health, slots=encoding.workers, busy=lambda: len(self._runner.in_flight.ids()))
        self._cleanup = Cleanup(ledger, settings.retention)
        self._started = False
        self._steady_at = math.inf

    @classmethod
    def build(cls, settings: Settings) -> Engine:
        """Lock the data folder and build every part. Raises StartupError, and leaves nothing open then."""
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
                metrics = Metrics(ledger, settings.data.folder)
                store = build_store(
                    settings.storage,
                    folder=folder,
                    journal=journal,
                    identity=ledger.store_identity,
                    on_request=metrics.observe_store_request,
                )
                return cls(settings, ledger, store, lock, metrics)
            except BaseException:
                ledger.close()
                raise
        except BaseException:
            lock.release()
            raise

    def start(self, *, leads: bool = True) -> None:
        """Recover from the crash of an earlier engine, then start all threads. Raises SandboxIncomplete.

        An engine that does not lead (a worker) neither watches the store nor registers the endpoints of the settings.
        """
        if self.settings.encoding.sandbox == "required":
            self._encoders.check_sandbox()
        self._started = True
        self._steady_at = time.monotonic() + _STEADY_SECONDS
        self._heartbeat.start()
        if leads:
            self.ledger.endpoints.sync_settings(self._own_endpoints)
        orphans = self._maintenance.release_orphans()
        self._scratch.prepare()
        self._maintenance.tidy_scratch()
        self._deliveries.recover()
        if orphans:
            self._metrics.rescues.inc(orphans)
            log.info("%d jobs of a killed engine are queued again", orphans)
        self.ledger.on_change(self._on_commit)
        self.ledger.follow()
        self._encoders.warm_up()
        self._clips.start()
        self._uploads.start()
        self._chores.start()
        self._sweep.start()
        if leads:
            self._watch.start()
        self._run_maintenance()

    def drain(self, seconds: float) -> bool:
        """Claim no more clips and probes, and wait until the current ones are cut, uploaded and probed.

        Return False if that takes longer than `seconds`. `/readyz` fails meanwhile; everything else continues.
        """
        self._health.draining = True
        self._runner.in_flight.close()
        self._prober.in_flight.close()
        deadline = time.monotonic() + seconds
        while self._has_unfinished():
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(_DRAIN_POLL_SECONDS, seconds))
        return True

    def _has_unfinished(self) -> bool:
        try:
            # Waiting uploads count: their files are in this scratch folder, so other engines would cut the clips again.
            # The second look finds an upload that was claimed in between.
            return self._is_busy() or self.ledger.uploads.has_waiting(self.instance_id) or self._is_busy()
        except StorageError:
            return True

    def _is_busy(self) -> bool:
        return any(each.in_flight.ids() for each in (self._runner, self._prober, self._publisher))

    def stop(self, timeout: float) -> None:
        """Stop within about `timeout` seconds. Running clips return to the queue."""
        deadline = time.monotonic() + timeout
        self._heartbeat.announce_stop()
        self._runner.stop()
        self._publisher.stop()
        self._prober.stop()
        self._remover.stop()
        self._cleanup.stop()
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

    # ---- called by the API

    def admit(self) -> None:
        """Raise DiskLow if new clips and uploads must be refused, StorageUnavailable if the data folder was moved."""
        self._faults.reach("accepting")
        self._lock.check()
        self._disk.check()

    def wake_clips(self) -> None:
        self._faults.reach("accepted")
        # Each worker continues until the queue is empty, so that one nudge for each is enough.
        if self._clips.pending() < self.settings.encoding.workers:
            self._clips.nudge("")

    def wake_chores(self) -> None:
        for chore in _CHORES:
            self._chores.nudge(chore)

    def abandon(self, clip_id: str) -> None:
        """Stop the work on a clip that was cancelled or deleted."""
        self._runner.abandon(clip_id)
        self._publisher.abandon(clip_id)

    def health(self) -> list[Check]:
        return self._health.checks()

    def metrics(self) -> bytes:
        return self._metrics.text()

    # ---- called by the queues

    def _run_clips(self) -> None:
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
            self._maintenance.run_hourly()
        elif name == "clean":
            self._cleanup.run()

    def _count_restart(self, queue: str) -> None:
        self._metrics.restarts.labels(queue).inc()

    def _on_commit(self, kind: str, id: str) -> None:
        """Nudge the queue that has new work after a commit."""
        self._maintenance.has_commits = True
        if kind == "delivery":
            self._chores.nudge("deliver")
        elif kind == "removal":
            self._chores.nudge("remove")

    def _run_maintenance(self) -> None:
        """Nudge the queues, restart dead workers and run maintenance.

        Raises StorageUnavailable, before it changes anything, if the data folder was moved.
        """
        self._lock.check()
        self._nudge_queues()
        for queue in (self._clips, self._uploads, self._chores):
            queue.alive()  # restarts dead threads
        if self._cleanup.is_due():
            self._chores.nudge("clean")
        self._maintenance.run()

    def _nudge_queues(self) -> None:
        """Nudge each queue that has due work in the ledger but no nudge."""
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

    def _is_steady(self) -> bool:
        """Return True if this engine is up long enough to try clips that may have killed an engine."""
        return time.monotonic() >= self._steady_at
