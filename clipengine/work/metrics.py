"""Metrics in the text format of Prometheus.

Finished clips are counted from the events of the ledger, so that each is counted once. No label value comes from a
client, so that the number of series is bounded.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
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
from clipengine.errors import ClipEngineError
from clipengine.ledger.ledger import Ledger
from clipengine.timecode import now_ms
from clipengine.work.health import Check

# Error codes of clips that are not caused by the recording.
_ENGINE_ERRORS = (
    *("internal", "encoder_failed", "verification_failed", "timeout", "decoder_killed"),
    *("storage_denied", "storage_unavailable", "disk_full", "cancelled"),
)
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)


class Metrics:
    """The metrics of this engine. Thread-safe. `health` returns the checks that are exported as gauges."""

    def __init__(self, ledger: Ledger, folder: Path, health: Callable[[], Sequence[Check]]) -> None:
        self._ledger = ledger
        self._seq = ledger.events.last_seq()
        self._following = threading.Lock()
        self._registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call] # unused
        self._registry.register(_Gauges(ledger, folder, health))
        ProcessCollector(registry=self._registry)
        self.attempts = self._counter("clip_attempts", "Attempts to cut a clip that have ended")
        self.rescues = self._counter("rescues", "Jobs of a killed engine or a dead thread that were queued again")
        self.children = self._counter("children_lost", "Child processes that ended before their job", "cause")
        self.deliveries = self._counter("delivery_attempts", "Attempts to deliver a webhook", "outcome")
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
        # Create the series now: an alert does not notice the first increase of a new series.
        for code in ("none", *_ENGINE_ERRORS):
            self._ended.labels(code)
        for cause in ("crashed", "killed", "cpu_time", "deadline", "stalled", "stopped"):
            self.children.labels(cause)
        for outcome in ("delivered", "failed"):
            self.deliveries.labels(outcome)
        for queue in ("clips", "uploads", "chores"):
            self.restarts.labels(queue)
        self._length = self._histogram("clip_length_seconds", "Length of complete clips")

    def follow(self) -> None:
        """Count the events since the last call."""
        with self._following:
            while events := self._ledger.events.after(self._seq):
                for event in events:
                    self._count(event.type, event.clip_id, event.payload["data"])
                    self._seq = event.seq

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
            took = datetime.fromisoformat(data["completed_at"]) - datetime.fromisoformat(data["created_at"])
            self._took.observe(took.total_seconds())
        elif kind == "clip.expired":
            self._expired.inc()
        elif kind.startswith("recording."):
            self._recordings.labels(code).inc()

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"clipengine_{name}", help, labels, registry=self._registry)

    def _histogram(self, name: str, help: str) -> Histogram:
        return Histogram(f"clipengine_{name}", help, buckets=_SECONDS, registry=self._registry)


class _Gauges:
    """Gauges that are read for each request."""

    def __init__(self, ledger: Ledger, folder: Path, health: Callable[[], Sequence[Check]]) -> None:
        self._ledger = ledger
        self._folder = folder
        self._health = health

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "Always 1; the version is the label", {__version__: 1}, "version")
        checks = {check.name: float(check.ok) for check in self._health()}
        yield _gauge("check_ok", "The checks of /readyz: 1 for good", checks, "check")
        with suppress(OSError):  # check_ok shows that the folder is missing
            yield _gauge(
                "disk_free_bytes", "Free bytes on the disk of the data folder", shutil.disk_usage(self._folder).free
            )
        try:
            stats = self._ledger.stats.read()
        except ClipEngineError:
            return  # check_ok shows it
        clips = {"queued": stats.clips_queued, "running": stats.clips_running}
        yield _gauge("clips", "Clips that have not ended", clips, "state")
        yield _gauge("oldest_clip_seconds", "Age of the oldest clip that has not ended", _age(stats.oldest_clip))
        yield _gauge("recordings_processing", "Recordings that are not probed yet", stats.recordings_processing)
        yield _gauge("outbox", "Webhook deliveries that are pending", stats.deliveries_pending)
        yield _gauge("outbox_oldest_seconds", "Age of the oldest pending delivery", _age(stats.oldest_delivery))
        yield _gauge("removals_pending", "Objects that must still be deleted", stats.removals_pending)
        yield _gauge("ledger_bytes", "Size of the ledger file", stats.file_bytes)
        yield _gauge("ledger_wal_bytes", "Size of the write-ahead log of the ledger", stats.wal_bytes)


def _gauge(name: str, help: str, values: Mapping[str, float] | float, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"clipengine_{name}", help, labels=labels)
    for label, value in values.items() if isinstance(values, Mapping) else [(None, values)]:
        family.add_metric([] if label is None else [label], value)
    return family


def _age(since: int | None) -> float:
    return 0.0 if since is None else max(0.0, (now_ms() - since) / 1000)
