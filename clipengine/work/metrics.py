"""Metrics: what happened since the start as counters, and how things stand as gauges, in Prometheus' text.

Ends of clips are counted from the ledger's events, so that none is missed and none counted twice. No label comes from
a caller: their number does not grow with what is asked.
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

# Codes of clips whose recording is not at fault.
_OWN_FAULTS = (
    *("internal", "encoder_failed", "verification_failed", "timeout", "decoder_killed"),
    *("storage_denied", "storage_unavailable", "disk_full", "cancelled"),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)


class Metrics:
    """Safe to use from any thread. `health` gives the checks that stand beside the figures."""

    def __init__(self, ledger: Ledger, folder: Path, health: Callable[[], Sequence[Check]]) -> None:
        self._ledger = ledger
        self._seq = ledger.events.last_seq()
        self._following = threading.Lock()
        self._registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second sample of each counter that nobody reads
        self._registry.register(_Standing(ledger, folder, health))
        ProcessCollector(registry=self._registry)
        self.attempts = self._counter("clip_attempts", "Attempts to cut a clip that have ended, whatever their end")
        self.rescues = self._counter("rescues", "Jobs of a killed engine or a lost thread that were queued again")
        self.children = self._counter("children_lost", "Encoder processes that ended before their job", "cause")
        self.deliveries = self._counter("delivery_attempts", "Attempts to deliver a webhook", "outcome")
        self.requests = self._counter("http_requests", "Requests that were answered", "method", "status")
        self.restarts = self._counter("worker_restarts", "Worker threads that died and were started again", "queue")
        self._ended = self._counter("clips_ended", "Clips that have ended", "code")
        self._poisoned = self._counter("clips_poisoned", "Clips given up because their recording kills its decoder")
        self._expired = self._counter("clips_expired", "Clips that were deleted because their time had come")
        self._recordings = self._counter("recordings_ended", "Recordings that were read, or could not be", "code")
        self._read = self._counter("clip_bytes_read", "Bytes of recordings that complete clips needed")
        self._made = self._counter("clip_bytes_made", "Bytes of complete clips")
        self._cut = self._histogram("clip_encode_seconds", "What encoding and verifying a complete clip took")
        self._took = self._histogram("clip_ready_seconds", "From the request for a clip to its completion")
        # A series that begins with its first count has not increased, and no alert sees it.
        for code in ("none", *_OWN_FAULTS):
            self._ended.labels(code)
        for cause in ("crashed", "killed", "cpu_time", "deadline", "stalled", "stopped"):
            self.children.labels(cause)
        for outcome in ("delivered", "failed"):
            self.deliveries.labels(outcome)
        for queue in ("clips", "uploads", "chores"):
            self.restarts.labels(queue)
        self._length = self._histogram("clip_length_seconds", "How long complete clips are")

    def count_response(self, method: str, status: int) -> None:
        self.requests.labels(method if method in _METHODS else "other", str(status)).inc()

    def follow(self) -> None:
        """Count what has ended since the last call."""
        with self._following:
            while events := self._ledger.events.after(self._seq):
                for event in events:
                    self._count(event.type, event.clip_id, event.payload["data"])
                    self._seq = event.seq

    def text(self) -> bytes:
        """The exposition. Raises StorageUnavailable of the ledger only where the events cannot be read."""
        self.follow()
        return generate_latest(self._registry)

    def _count(self, kind: str, clip_id: str | None, data: dict[str, Any]) -> None:
        code = (data.get("error") or {}).get("code", "none")
        if kind == "clip.failed":
            self._ended.labels(code).inc()
            self._poisoned.inc(code == "decoder_crashed")
        elif kind == "clip.ready" and clip_id is not None:  # without one it is a webhook's sample
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

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"clipengine_{name}", what, labels, registry=self._registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"clipengine_{name}", what, buckets=_SECONDS, registry=self._registry)


class _Standing:
    """The gauges, read when they are asked for."""

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
        with suppress(OSError):  # it is away: check_ok says so
            yield _gauge("disk_free_bytes", "Free on the disk of the data folder", shutil.disk_usage(self._folder).free)
        try:
            standing = self._ledger.stats.read()
        except ClipEngineError:
            return  # check_ok says so
        clips = {"queued": standing.clips_queued, "running": standing.clips_running}
        yield _gauge("clips", "Clips that have not ended", clips, "state")
        yield _gauge("oldest_clip_seconds", "Age of the oldest clip that has not ended", _age(standing.oldest_clip))
        yield _gauge("recordings_processing", "Recordings that are not read yet", standing.recordings_processing)
        yield _gauge("outbox", "Webhook deliveries that are not settled", standing.deliveries_pending)
        yield _gauge("outbox_oldest_seconds", "Age of the oldest of them", _age(standing.oldest_delivery))
        yield _gauge("removals_pending", "Objects that are still to be deleted", standing.removals_pending)
        yield _gauge("ledger_bytes", "Size of the ledger's file", standing.file_bytes)
        yield _gauge("ledger_wal_bytes", "Size of its write-ahead log", standing.wal_bytes)


def _gauge(name: str, what: str, values: Mapping[str, float] | float, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"clipengine_{name}", what, labels=labels)
    for label, value in values.items() if isinstance(values, Mapping) else [(None, values)]:
        family.add_metric([] if label is None else [label], value)
    return family


def _age(since: int | None) -> float:
    return 0.0 if since is None else max(0.0, (now_ms() - since) / 1000)
