"""Metrics in the text format of Prometheus.

Finished clips are counted from the events of the ledger that this engine has recorded, so that each is counted once,
also in the sum over all engines of a shared ledger. No label value comes from a client, so that the number of series is
bounded.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from clipengine import __version__
from clipengine.basis.moments import parse_moment
from clipengine.basis.timecode import age_seconds
from clipengine.errors import ClipEngineError
from clipengine.ledger.ledger import Ledger
from clipengine.work.upkeep.health import Check

# Error codes of clips that are not caused by the recording.
_ENGINE_ERRORS = (
    *("internal", "encoder_failed", "verification_failed", "timeout", "decoder_killed"),
    *("storage_denied", "storage_unavailable", "disk_full", "cancelled"),
)
_WAIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EVENTS_AT_ONCE = 100
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)


class Metrics:
    """The metrics of this engine. Thread-safe."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._seq = ledger.events.last_seq()
        self._following = threading.Lock()
        self._registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call] # unused
        self._gauges = _Gauges(ledger, folder)
        self._registry.register(self._gauges)
        ProcessCollector(registry=self._registry)
        self.attempts = self._counter("clip_attempts", "Attempts to cut a clip that have ended")
        self.rescues = self._counter("rescues", "Jobs of a killed engine or a dead thread that were queued again")
        self.children = self._counter("children_lost", "Child processes that ended before their job", "cause")
        self.deliveries = self._counter("delivery_attempts", "Attempts to deliver a webhook", "outcome")
        self.repeated_deliveries = self._counter(
            "deliveries_repeated", "Deliveries that are sent again because their engine ended during the request"
        )
        self.restarts = self._counter("worker_restarts", "Worker threads that died and were restarted", "queue")
        self._ended = self._counter("clips_ended", "Clips that have ended", "code")
        self._poisoned = self._counter(
            "clips_poisoned", "Clips that failed because their recording crashes the decoder"
        )
        self._expired = self._counter("clips_expired", "Clips that were deleted when they expired")
        self._recordings = self._counter("recordings_ended", "Recordings that were probed, or failed", "code")
        self._read = self._counter("clip_bytes_read", "Bytes of recordings that were read for complete clips")
        self._made = self._counter("clip_bytes_made", "Bytes of complete clips")
        self._cut = self._histogram("clip_encode_seconds", "Duration of encoding and verifying a complete clip")
        self._took = self._histogram("clip_ready_seconds", "From the request for a clip to its completion")
        self._length = self._histogram("clip_length_seconds", "Length of complete clips")
        self.queue_wait = self._histogram("clip_queue_seconds", "From queueing a clip to the start of an attempt")
        self.uploads = self._histogram("clip_upload_seconds", "Duration of the upload of a clip that succeeded")
        self._requests = self._histogram(
            "store_request_seconds",
            "From a request to the S3 store to its response",
            "method",
            "status",
            buckets=_REQUEST_SECONDS,
        )
        waits = self._histogram("ledger_wait_seconds", "Waits of threads for the ledger", "kind", buckets=_WAIT_SECONDS)
        ledger.on_wait(connection=waits.labels("connection").observe, lock=waits.labels("lock").observe)
        # Create the series now: an alert does not notice the first increase of a new series.
        for code in ("none", *_ENGINE_ERRORS):
            self._ended.labels(code)
        for cause in ("crashed", "killed", "cpu_time", "deadline", "stalled", "stopped"):
            self.children.labels(cause)
        for outcome in ("delivered", "failed"):
            self.deliveries.labels(outcome)

    def show(self, health: Callable[[], Sequence[Check]], *, slots: int, busy: Callable[[], int]) -> None:
        """Export the results of the health checks, and how many of the encoder `slots` are `busy`."""
        self._gauges.health = health
        self._gauges.slots, self._gauges.busy = slots, busy

    def observe_store_request(self, method: str, status: str, seconds: float) -> None:
        self._requests.labels(method, status).observe(seconds)

    def follow(self) -> None:
        """Count the events that this engine has recorded since the last call."""
        with self._following:
            last = self._ledger.events.last_seq()
            while self._seq < last:
                events = self._ledger.events.own(self._seq, last, limit=_EVENTS_AT_ONCE)
                for event in events:
                    self._count(event.type, event.clip_id, event.payload["data"])
                    self._seq = event.seq
                if len(events) < _EVENTS_AT_ONCE:
                    self._seq = last

    def text(self) -> bytes:
        """Return the metrics. Raises StorageUnavailable if the events of the ledger cannot be read."""
        self.follow()
        return generate_latest(self._registry)

    def _count(self, kind: str, clip_id: str | None, data: dict[str, Any]) -> None:
        code = (data.get("error") or {}).get("code", "none")
        if kind == "clip.failed":
            self._ended.labels(code).inc()
            self._poisoned.inc(code == "decoder_crashed")
        elif kind == "clip.ready" and clip_id is not None:  # a sample event has no clip
            result = data["result"]
            self._ended.labels("none").inc()
            self._read.inc(result["bytes_read"])
            self._made.inc(result["size_bytes"])
            self._cut.observe(result["encode_seconds"])
            self._length.observe(result["duration_seconds"])
            self._took.observe((parse_moment(data["completed_at"]) - parse_moment(data["created_at"])) / 1000)
        elif kind == "clip.expired":
            self._expired.inc()
        elif kind.startswith("recording."):
            self._recordings.labels(code).inc()

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"clipengine_{name}", help, labels, registry=self._registry)

    def _histogram(self, name: str, help: str, *labels: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
        return Histogram(f"clipengine_{name}", help, labels, buckets=buckets, registry=self._registry)


class _Gauges:
    """Gauges that are read for each request. All engines that share a ledger have the same gauges of it."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder
        self.health: Callable[[], Sequence[Check]] = tuple
        self.slots = 0
        self.busy: Callable[[], int] = lambda: 0

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "Always 1; the version is the label", {__version__: 1}, "version")
        checks = {check.name: float(check.ok) for check in self.health()}
        yield _gauge("check_ok", "The checks of /readyz: 1 for good", checks, "check")
        yield _gauge("encoder_slots", "Clips that this engine cuts at the same time", self.slots)
        yield _gauge("encoder_slots_busy", "Clips that this engine is cutting", self.busy())
        with suppress(OSError):  # check_ok shows that the folder is missing
            yield _gauge(
                "disk_free_bytes", "Free bytes on the disk of the data folder", shutil.disk_usage(self._folder).free
            )
        if (limit := self._ledger.clip_limit).max_bytes:
            yield _gauge("clips_bytes", "Bytes of complete clips, if they have a limit", limit.used.bytes)
            yield _gauge("clips_limit_bytes", "Limit of the bytes of clips", limit.max_bytes)
        try:
            stats, engines = self._ledger.stats.read(), self._ledger.engines.count()
        except ClipEngineError:
            return  # check_ok shows it
        clips = {"queued": stats.clips_queued, "running": stats.clips_running}
        oldest, waiting = age_seconds(stats.oldest_clip), age_seconds(stats.queued_since)
        yield _gauge("clips", "Clips that have not ended", clips, "state")
        yield _gauge("oldest_clip_seconds", "Age of the oldest clip that has not ended", oldest)
        yield _gauge("oldest_queued_seconds", "Longest wait of a queued clip that is due", waiting)
        yield _gauge("engines", "Engines of the ledger that are alive", engines)
        yield _gauge("recordings_processing", "Recordings that are not probed yet", stats.recordings_processing)
        yield _gauge("recordings_silent", "Recordings that are written and get nothing new", stats.recordings_silent)
        aside = {"clips": stats.clips_set_aside, "recordings": stats.recordings_set_aside}
        yield _gauge("set_aside", "Clips and recordings that wait for a newer version of the engine", aside, "kind")
        yield _gauge("outbox", "Webhook deliveries that are pending", stats.deliveries_pending)
        yield _gauge("outbox_oldest_seconds", "Age of the oldest pending delivery", age_seconds(stats.oldest_delivery))
        yield _gauge("removals_pending", "Objects that must still be deleted", stats.removals_pending)
        yield _gauge("rules_stopped", "Rules that the engine has disabled after failures in a row", stats.rules_stopped)
        yield _gauge("ledger_bytes", "Size of the ledger file", stats.file_bytes)
        yield _gauge("ledger_wal_bytes", "Size of the write-ahead log of the ledger", stats.wal_bytes)


def _gauge(name: str, help: str, values: Mapping[str, float] | float, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"clipengine_{name}", help, labels=labels)
    for label, value in values.items() if isinstance(values, Mapping) else [(None, values)]:
        family.add_metric([] if label is None else [label], value)
    return family
