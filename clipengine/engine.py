"""Composition root: builds every part from the settings, and starts and stops them.

`serve` runs an `Engine` with the API, `worker` one without.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import partial
from typing import Any, get_args

from clipengine.errors import StorageError
from clipengine.ids import new_id
from clipengine.ledger.database.database import Queue
from clipengine.ledger.endpoints import ConfiguredEndpoint
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import location_of
from clipengine.outbound.download import Downloader
from clipengine.outbound.posts import Poster
from clipengine.settings import Settings
from clipengine.settings_sources import injected_faults
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.timecode import now_ms
from clipengine.webhooks.configured_endpoints import configured_endpoints
from clipengine.webhooks.send import Sender
from clipengine.work.children.header_cache import HeaderCache
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.watermarks import read_watermarks
from clipengine.work.documents import Documents
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.jobs.clips import ClipRunner
from clipengine.work.jobs.deliveries import PARALLEL, Courier
from clipengine.work.jobs.disk_reservation import DiskReservation
from clipengine.work.jobs.fetches import Fetcher
from clipengine.work.jobs.probes import Prober
from clipengine.work.jobs.refreshes import Refresher
from clipengine.work.jobs.removals import Remover
from clipengine.work.jobs.scratch import Scratch
from clipengine.work.jobs.transcriptions import TranscriptionJobs
from clipengine.work.jobs.uploads import Publisher
from clipengine.work.previews.ahead import PreviewsAhead
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.previews.previews import Previews
from clipengine.work.queue import WorkQueue
from clipengine.work.suggester import Suggester
from clipengine.work.transcribers.sources import speech_sources, warn_if_unusable
from clipengine.work.upkeep.cleanup import Cleanup
from clipengine.work.upkeep.health import Check, Health
from clipengine.work.upkeep.heartbeat import Heartbeat
from clipengine.work.upkeep.lock import FolderLock
from clipengine.work.upkeep.maintenance import Maintenance
from clipengine.work.upkeep.metrics import Metrics
from clipengine.work.upkeep.sweep import Sweep
from clipengine.work.upkeep.watch import Watch
from clipengine.work.worker import JobContext, Worker

log = logging.getLogger(__name__)

_UPLOAD_WORKERS, _PROBE_WORKERS, _LIVE_WORKERS, _CHORE_WORKERS = 2, 2, 2, 2
_MAX_WARM_ENCODERS = 4  # each uses memory for its libraries
_PREVIEW_NICE, _MAX_NICE = 5, 19  # previews: added to the nice value of clips
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
        encoding, webhooks = settings.encoding, settings.webhooks
        self._heartbeat = Heartbeat(ledger.engines, self.instance_id, encoders=encoding.workers)
        self._scratch = Scratch(settings.data.folder / "scratch", lock.check)
        ledger.events.engine_id = self.instance_id
        self._metrics = metrics
        lost, header_cache = self._metrics.children, HeaderCache()
        self._pool = ChildPool(
            nice=encoding.nice,
            sandbox=encoding.sandbox,
            ahead=min(encoding.workers, _MAX_WARM_ENCODERS),
            inspectors_ahead=1,
            header_cache=header_cache,
            on_loss=lambda cause: lost.labels(cause).inc(),
        )
        preview_nice = min(encoding.nice + _PREVIEW_NICE, _MAX_NICE)
        self.documents = Documents(ChildPool(nice=preview_nice, sandbox=encoding.sandbox, ahead=0))
        # A second pool: previews run at a lower priority, and must not take a child that was started for a clip.
        copies = LocalCopies(settings.data.folder / "copies")
        self.previews = Previews(
            encoding,
            store,
            ledger.recordings,
            ChildPool(nice=preview_nice, sandbox=encoding.sandbox, header_cache=header_cache),
            settings.data.folder / "previews",
            copies,
            max_bytes=settings.previews.max_bytes,
        )
        self._previews_ahead = PreviewsAhead(ledger, self.previews, is_busy=self._is_reading)
        self._disk = DiskReservation(settings.data.folder, settings.limits.min_free_bytes)
        self._faults = FaultInjection(injected_faults())
        self._stopping = threading.Event()
        jobs = JobContext(ledger, self.instance_id, self._stopping, self._faults)
        self._runner = ClipRunner(
            jobs,
            settings,
            store,
            self._pool,
            self._scratch,
            self._disk,
            watermarks=read_watermarks(settings.watermarks),
            suspects_allowed=self._is_steady,
            on_claimed=lambda clip: metrics.queue_wait.observe(max(0, now_ms() - clip.queued_at) / 1000),
            on_finished=lambda: self._queues["uploads"].put(""),
        )
        self._publisher = Publisher(jobs, settings, store, self._scratch, on_uploaded=metrics.uploads.observe)
        in_folder = settings.storage.kind == "folder"
        settle_seconds = settings.watch.settle_seconds if in_folder else 0
        prober = Prober(
            jobs,
            store,
            self._pool,
            suspects_allowed=self._is_steady,
            encoding=encoding,
            playlist_base_url=settings.storage.playlist_base_url,
            settle_seconds=settle_seconds,
            read=self.documents.read,
        )
        refresher = Refresher(
            jobs,
            store,
            self._pool,
            encoding=encoding,
            playlist_base_url=settings.storage.playlist_base_url,
            settle_seconds=settle_seconds,
            read=self.documents.read,
        )
        own_port = settings.server.port or None
        fetcher = Fetcher(
            jobs,
            store,
            Downloader(webhooks.allow_cidrs, own_port=own_port),
            settings.data.folder / "fetches",
            copies,
            settings=settings.fetch,
            check_disk=self._check_disk,
        )
        if webhooks.links:
            ledger.share_ready_clips(keep_ms=settings.shares.keep_ms)
        courier = Courier(
            jobs,
            Sender(webhooks.allow_cidrs, webhooks.timeout_seconds, own_port=own_port),
            trusted_urls=[endpoint.url for endpoint in webhooks.endpoints],
            per_target=webhooks.parallel_deliveries,
            link_base=settings.server.public_url.rstrip("/") if webhooks.links else None,
            on_attempt=lambda outcome: self._metrics.deliveries.labels(outcome).inc(),
        )
        # At the lowest priority and in a separate pool, like previews.
        speech_nice = min(2 * encoding.nice, _MAX_NICE)
        self._speech_pool = ChildPool(nice=speech_nice, sandbox=encoding.sandbox, ahead=0, header_cache=header_cache)
        transcriptions = TranscriptionJobs(
            jobs,
            store,
            self._speech_pool,
            speech_sources(settings, self._speech_pool, own_port=own_port, read=self.documents.read),
            encoding=encoding,
            may_run=self._has_free_encoder,
        )
        suggestions = settings.suggestions
        self.suggester = Suggester(suggestions, Poster(suggestions.url, own_port=own_port)) if suggestions.url else None
        if settings.transcription.ahead:
            transcription = settings.transcription
            ledger.transcribe_ahead(transcription.sources[0], transcription.language or None)
        self._workers: dict[str, Worker[Any]] = {
            "clips": Worker(self._runner),
            "uploads": Worker(self._publisher),
            "fetches": Worker(fetcher),
            "probes": Worker(prober),
            "live": Worker(refresher),
            "transcriptions": Worker(transcriptions),
            "removals": Worker(Remover(jobs, store)),
            "deliveries": Worker(courier),
        }
        self._own_endpoints = [ConfiguredEndpoint(*each) for each in configured_endpoints(webhooks)]
        self._queues = self._build_queues()
        self._sweep = Sweep(self._run_maintenance, lambda: self._queues["chores"].put("tidy"))
        self._health = Health(
            ledger,
            store,
            self._disk,
            check_folder=lock.check,
            store_seconds=_FOLDER_SECONDS if in_folder else _S3_SECONDS,
            floor=settings.limits.min_free_bytes,
            queues=list(self._queues.values()),
            sweep=self._sweep,
        )
        self._watch = Watch(
            ledger,
            store,
            prefixes=settings.watch.prefixes,
            rule=settings.watch.name,
            seconds=settings.watch.seconds,
            settle_seconds=settle_seconds,
            folder=settings.store_folder / settings.storage.prefix if in_folder else None,
            playlist_base_url=settings.storage.playlist_base_url,
            live=settings.watch.live,
            folders=settings.folder_rules,
            read=self.documents.read,
        )
        self._maintenance = Maintenance(
            ledger, store, self._scratch, fetcher, metrics, self._workers, owner=self.instance_id
        )
        metrics.show(self.health, slots=encoding.workers, busy=lambda: len(self._workers["clips"].in_flight()))
        self._cleanup = Cleanup(ledger, settings.retention)
        self._started = False
        self._steady_at = math.inf

    def _build_queues(self) -> dict[str, WorkQueue]:
        """Return the queues of the workers, and that of maintenance.

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

        An engine that does not lead (a worker) neither watches the store, nor registers the endpoints of the settings,
        nor makes previews.
        """
        if self.settings.encoding.sandbox == "required":
            self._pool.check_sandbox()
        warn_if_unusable(self.settings)
        self._started = True
        self._steady_at = time.monotonic() + _STEADY_SECONDS
        self._heartbeat.start()
        if leads:
            self.ledger.endpoints.sync_settings(self._own_endpoints)
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
        self._pool.warm_up()
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
        self._pool.close()
        self._speech_pool.close()
        self.ledger.close()
        self._lock.release()

    # ---- called by the API

    def admit(self) -> None:
        """Raise DiskLow if new clips and uploads must be refused, StorageUnavailable if the data folder was moved."""
        self._faults.reach("accepting")
        self._check_disk()

    def _check_disk(self) -> None:
        self._lock.check()
        self._disk.check()

    def abandon(self, clip_id: str) -> None:
        """Stop the work on a clip that was cancelled or deleted."""
        self._runner.abandon(clip_id)
        self._publisher.abandon(clip_id)

    def health(self) -> list[Check]:
        return self._health.checks()

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
            self._maintenance.run_hourly()
            self._cleanup.index_missing()
        elif id == "speech":
            self._cleanup.read_speech()
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
        self._replace_messages()
        for queue in self._queues.values():
            queue.alive()  # restarts dead threads
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
