"""Composition root: builds every part from the settings, and starts and stops them.

`serve` runs an `Engine` with the API, `worker` one without.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any, get_args

from clipengine.basis.disk_reserve import DiskReserve
from clipengine.basis.disk_space import DiskSpace
from clipengine.basis.events import ConfiguredEndpoint
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import Conflict, RequestError, SettingsError, StorageError
from clipengine.ledger.database.database import Queue
from clipengine.ledger.ledger import Ledger
from clipengine.parts import (
    build_courier,
    build_fetcher,
    build_health,
    build_oidc,
    build_pools,
    build_previews,
    build_prober,
    build_refresher,
    build_suggester,
    build_transcriptions,
    build_watch,
)
from clipengine.rules.rule import ConfiguredRule
from clipengine.settings.settings import Settings
from clipengine.settings.sources import injected_faults
from clipengine.stores.base import Store
from clipengine.stores.build import store_of
from clipengine.webhooks.configured_endpoints import configured_endpoints
from clipengine.work.children.watermarks import read_watermarks
from clipengine.work.cutting.rule_clips import ClipBodies, RuleClips
from clipengine.work.cutting.variants import Variants
from clipengine.work.documents import Documents
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.jobs.batches import BatchJobs
from clipengine.work.jobs.clips import ClipRunner
from clipengine.work.jobs.deliveries import PARALLEL
from clipengine.work.jobs.removals import Remover
from clipengine.work.jobs.scratch import Scratch
from clipengine.work.jobs.uploads import Publisher
from clipengine.work.previews.ahead import PreviewsAhead
from clipengine.work.queue import WorkQueue
from clipengine.work.transcribers.sources import warn_if_unusable
from clipengine.work.upkeep.cleanup import Cleanup
from clipengine.work.upkeep.health import Check
from clipengine.work.upkeep.heartbeat import Heartbeat
from clipengine.work.upkeep.lock import FolderLock
from clipengine.work.upkeep.maintenance import Maintenance
from clipengine.work.upkeep.metrics import Metrics
from clipengine.work.upkeep.sweep import Sweep
from clipengine.work.upload_receiver import UploadReceiver
from clipengine.work.worker import JobContext, Worker

log = logging.getLogger(__name__)

_UPLOAD_WORKERS, _PROBE_WORKERS, _LIVE_WORKERS, _CHORE_WORKERS = 2, 2, 2, 2
# Engines that restart in a loop do not live this long, so their clips are not blamed for it.
_STEADY_SECONDS = 15.0
_DRAIN_POLL_SECONDS = 0.2


class Engine:
    """All parts of one running engine. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        lock: FolderLock,
        disk: DiskSpace,
        metrics: Metrics,
        bodies: ClipBodies,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.store = store
        self.instance_id = new_id("inst")
        self._lock = lock
        self.disk = disk
        self._heartbeat = Heartbeat(ledger.engines, self.instance_id, encoders=settings.encoding.workers)
        self._scratch = Scratch(settings.data.folder / "scratch", lock.check)
        ledger.events.engine_id = self.instance_id
        self._metrics = metrics
        self._pools = pools = build_pools(settings.encoding, on_loss=lambda cause: metrics.children.labels(cause).inc())
        self.documents = Documents(pools.documents)
        read = self.documents.read
        self.previews = build_previews(settings, store, ledger.recordings, pools.previews, disk=disk)
        self._previews_ahead = PreviewsAhead(ledger, self.previews, is_busy=self._is_reading)
        self._faults = FaultInjection(injected_faults())
        self._stopping = threading.Event()
        jobs = JobContext(ledger, self.instance_id, self._stopping, self._faults, disk)
        self._runner = ClipRunner(
            jobs,
            settings,
            store,
            pools.clips,
            self._scratch,
            watermarks=read_watermarks(settings.watermarks),
            suspects_allowed=self._is_steady,
            on_claimed=lambda clip: metrics.queue_wait.observe(max(0, now_ms() - clip.queued_at) / 1000),
            on_finished=lambda: self._queues["uploads"].put(""),
        )
        self._publisher = Publisher(jobs, settings, store, self._scratch, on_uploaded=metrics.uploads.observe)
        fetcher = build_fetcher(settings, jobs, store, self.previews.copies, check_disk=self._check_disk)
        self.suggester = build_suggester(settings)
        self.oidc = build_oidc(settings)
        self.rule_clips = RuleClips(ledger, settings, bodies)
        self.upload_receiver = UploadReceiver(
            ledger,
            store,
            self.previews.copies,
            settings.limits,
            self._faults,
            disk=disk,
            owner=self.instance_id,
            link_seconds=settings.storage.link_seconds if settings.storage.direct_uploads else None,
        )
        self.variants = Variants(ledger, self.rule_clips)
        self._workers: dict[str, Worker[Any]] = {
            "clips": Worker(self._runner),
            "uploads": Worker(self._publisher),
            "fetches": Worker(fetcher),
            "probes": Worker(
                build_prober(settings, jobs, store, pools.clips, read=read, suspects_allowed=self._is_steady)
            ),
            "live": Worker(build_refresher(settings, jobs, store, pools.clips, read=read)),
            "transcriptions": Worker(
                build_transcriptions(settings, jobs, store, pools.speech, read=read, may_run=self._has_free_encoder)
            ),
            "batches": Worker(
                BatchJobs(jobs, self.rule_clips, self.variants, admit=self._check_disk, abandon=self.abandon, read=read)
            ),
            "removals": Worker(Remover(jobs, store)),
            "deliveries": Worker(
                build_courier(settings, jobs, on_attempt=lambda outcome: metrics.deliveries.labels(outcome).inc())
            ),
        }
        self._make_after_events()
        self._own_endpoints = configured_endpoints(settings.webhooks)
        self._queues = self._build_queues()
        self._sweep = Sweep(self._run_maintenance, lambda: self._queues["chores"].put("tidy"))
        queues = list(self._queues.values())
        self._health = build_health(
            settings, ledger, store, disk, check_folder=lock.check, queues=queues, sweep=self._sweep
        )
        self._watch = build_watch(settings, ledger, store, read=read)
        self._maintenance = Maintenance(
            ledger,
            store,
            self._scratch,
            fetcher,
            metrics,
            self._workers,
            self.upload_receiver,
            owner=self.instance_id,
            disk=disk,
        )
        metrics.show(self.health, slots=settings.encoding.workers, busy=lambda: len(self._workers["clips"].in_flight()))
        self._cleanup = Cleanup(ledger, settings.retention, disk)
        self._started = False
        self._steady_at = math.inf

    def _make_after_events(self) -> None:
        """Let the ledger create the shares and transcriptions that the settings ask for with each clip or recording."""
        settings, transcription = self.settings, self.settings.transcription
        if settings.webhooks.links:
            self.ledger.share_ready_clips(keep_ms=settings.link_keep_ms)
        if transcription.ahead:
            self.ledger.transcribe_ahead(transcription.sources[0], transcription.language or None)

    def _build_queues(self) -> dict[str, WorkQueue]:
        """Return the queues of the workers, and the maintenance queue.

        Engines that share the ledger share the queues of jobs that any of them may run.
        """
        encoders = self.settings.encoding.workers
        threads = {
            "clips": encoders,
            "uploads": max(_UPLOAD_WORKERS, encoders),
            "fetches": self.settings.fetch.parallel,
            "probes": min(encoders, _PROBE_WORKERS),
            "live": _LIVE_WORKERS,
            "transcriptions": 1,
            "batches": 1,
            "removals": 1,
            "deliveries": PARALLEL,
            "chores": _CHORE_WORKERS,
        }
        database = self.ledger.database if self.ledger.engines.shared else None
        for name in threads:
            self._metrics.restarts.labels(name)  # now: an alert does not notice the first increase of a new series
        return {
            name: WorkQueue(
                name,
                number,
                partial(self._work, name),
                lambda queue: self._metrics.restarts.labels(queue).inc(),
                database=database if name in get_args(Queue) else None,
            )
            for name, number in threads.items()
        }

    @classmethod
    def build(cls, settings: Settings, bodies: ClipBodies) -> Engine:
        """Lock the data folder and build every part. Raises StartupError, and leaves nothing open then.

        `bodies` reads the requests for clips that rules make.
        """
        settings.data.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(settings.data.folder)
        lock.acquire()
        try:
            ledger = Ledger.of_settings(settings)
            try:
                metrics = Metrics(ledger, settings.data.folder)
                disk = _disk_of(settings, ledger)
                store = store_of(
                    settings, identity=ledger.store_identity, on_request=metrics.observe_store_request, disk=disk
                )
                return cls(settings, ledger, store, lock, disk, metrics, bodies)
            except BaseException:
                ledger.close()
                raise
        except BaseException:
            lock.release()
            raise

    def start(self, *, leads: bool = True) -> None:
        """Recover from the crash of an earlier engine, then start all threads. Raises SandboxIncomplete.

        An engine that does not lead (a worker) neither watches the store, nor registers the endpoints of the settings,
        nor makes previews.
        """
        if self.settings.encoding.sandbox == "required":
            self._pools.clips.check_sandbox()
        warn_if_unusable(self.settings)
        self._started = True
        self._steady_at = time.monotonic() + _STEADY_SECONDS
        self.disk.restore()
        self.disk.freeing(self._heartbeat.start)  # the disk may be full
        if leads:
            self._sync_rules()
            self._sync_endpoints()
        orphans = self._maintenance.release_orphans()
        self._scratch.prepare()
        self.previews.copies.clear()
        self._maintenance.tidy_scratch()
        if orphans:
            self._metrics.rescues.inc(orphans)
            log.info("%d jobs of a killed engine are queued again", orphans)
        self.ledger.on_change(self._on_commit)
        self.ledger.on_message(lambda queue, id: self._queues[queue].put(id))
        self.ledger.follow({queue.channel: queue.wake for queue in self._queues.values() if queue.shared})
        self._pools.clips.warm_up()
        for queue in self._queues.values():
            queue.start()
        self._sweep.start()
        if leads:
            self._watch.start()
            if self.settings.previews.ahead:
                if self.settings.storage.kind != "folder":
                    self.previews.copies.enable()
                self._previews_ahead.start()
        self._run_maintenance()

    def _sync_rules(self) -> None:
        """Store the rules of the settings. Raises SettingsError."""
        rules = []
        for number, rule in enumerate(self.settings.rules):
            try:
                spec = self.rule_clips.checked(rule)
            except RequestError as error:
                raise SettingsError(f"rules.{number}: {error.message}", hint=error.hint) from None
            rules.append(ConfiguredRule.model_validate({**dict(rule), "clip": spec.clip}))
        try:
            self.ledger.rules.sync_settings(rules)
        except Conflict as error:
            raise SettingsError(f"rules: {error.message}", hint=error.hint) from None

    def _sync_endpoints(self) -> None:
        """Store the webhook endpoints of the settings, with the ids of the rules that they name."""
        ids = {rule.name: rule.rule_id for rule in self.ledger.rules.all() if rule.origin == "settings"}

        def with_ids(endpoint: ConfiguredEndpoint) -> ConfiguredEndpoint:
            wants = dict(endpoint.wants or {})
            if "rules" in wants:
                wants["rules"] = [ids[name] for name in wants["rules"]]
            return endpoint._replace(wants=wants)

        self.ledger.endpoints.sync_settings([with_ids(each) for each in self._own_endpoints])

    def drain(self, seconds: float) -> bool:
        """Claim no more clips and probes, and wait until the current ones are cut, uploaded and probed.

        Return False if that takes longer than `seconds`. `/readyz` fails meanwhile; everything else continues.
        """
        self._health.draining = True
        self._workers["clips"].close()
        self._workers["probes"].close()
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
        return self._is_reading() or bool(self._workers["uploads"].in_flight())

    def _is_reading(self) -> bool:
        return any(self._workers[name].in_flight() for name in ("clips", "probes"))

    def _has_free_encoder(self) -> bool:
        return len(self._workers["clips"].in_flight()) < self.settings.encoding.workers

    def stop(self, timeout: float) -> None:
        """Stop within about `timeout` seconds. Running clips return to the queue."""
        deadline = time.monotonic() + timeout
        self._heartbeat.announce_stop()
        for worker in self._workers.values():
            worker.stop()
        self._cleanup.stop()
        self._previews_ahead.stop()
        self.previews.stop()
        self.documents.stop()
        if self._started:
            self._watch.stop(1.0)
            self._sweep.stop(0.5)
            for queue in self._queues.values():
                queue.stop(max(0.1, deadline - time.monotonic()))
            self._heartbeat.stop(0.5)
        if self.suggester is not None:
            self.suggester.close()
        if self.oidc is not None:
            self.oidc.close()
        self._pools.clips.close()
        self._pools.speech.close()
        with suppress(StorageError):  # counts of the last minute
            self.ledger.audit.flush()
        self.ledger.close()
        self._lock.release()

    # ---- called by the API

    def admit(self) -> None:
        """Raise DiskLow if new clips and uploads must be refused, StorageUnavailable if the data folder was moved."""
        self._faults.reach("accepting")
        self._check_disk()

    def _check_disk(self) -> None:
        self._lock.check()
        self.disk.check()

    def abandon(self, clip_id: str) -> None:
        """Stop the work on a clip that was cancelled or deleted."""
        self._runner.abandon(clip_id)
        self._publisher.abandon(clip_id)

    def health(self) -> list[Check]:
        return self._health.checks()

    def awaited(self) -> list[str]:
        return self._health.awaited()

    def left_out(self) -> int:
        return self._watch.left_out

    def metrics(self) -> bytes:
        return self._metrics.text()

    # ---- called by the queues

    def _work(self, queue: str, id: str) -> None:
        """Run the due jobs of a queue, or the chore `id`."""
        if queue == "clips":
            self._faults.reach("nudged")
            while self._workers["clips"].run_next():
                self._metrics.attempts.inc()
        elif queue != "chores":
            self._workers[queue].run_due()
        elif id == "tidy":
            self.disk.freeing(self._maintenance.run_hourly)
            self._cleanup.index_missing()
        elif id == "speech":
            self._cleanup.read_speech()
        elif id == "rules":
            while self.ledger.rule_matching.act():
                pass
        else:
            self._cleanup.run()

    def _on_commit(self, kind: str, id: str) -> None:
        self._maintenance.has_commits = True
        if kind == "clip":
            self._faults.reach("accepted")

    def _run_maintenance(self) -> None:
        """Replace lost messages, restart dead threads and run maintenance.

        Raises StorageUnavailable, before it changes anything, if the data folder was moved.
        """
        self._lock.check()
        self.disk.restore()
        self._replace_messages()
        for queue in self._queues.values():
            queue.alive()  # restarts dead threads
        if self.ledger.rule_matching.is_due():
            self._queues["chores"].put("rules")
        if self._cleanup.is_due():
            self._queues["chores"].put("clean")
        if self._cleanup.is_speech_unread():
            self._queues["chores"].put("speech")
        self._maintenance.run()

    def _replace_messages(self) -> None:
        """Send messages to each queue that is empty although jobs are due. Retries become due without a message."""
        for name, worker in self._workers.items():
            if worker.is_due():
                self._queues[name].replace_messages()

    def _is_steady(self) -> bool:
        """Return True if this engine is up long enough to try clips that may have killed an engine."""
        return time.monotonic() >= self._steady_at


def _disk_of(settings: Settings, ledger: Ledger) -> DiskSpace:
    """Return the disk of the data folder, with a reserve for deletions if the ledger is on it."""
    folder = settings.data.folder
    reserve = None if ledger.engines.shared else DiskReserve(folder / "reserve")
    return DiskSpace(folder, settings.limits.min_free_bytes, reserve=reserve)
