"""A ledger with pending deliveries, and a clock that a test can advance."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import RecordingUnreadable
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.webhooks.deliveries import Delivery
from clipengine.recordings.facts import SourceFacts
from tests.support.ledgers import open_copied_ledger

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = "recording.failed"


class Clock:
    """Wall clock of the ledger and the worker, which only the test advances."""

    def __init__(self) -> None:
        self._now_ms = now_ms() + 300_000  # what the test creates is due

    def __call__(self) -> int:
        return self._now_ms

    def forward(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)


def open_ledger(folder: Path) -> Ledger:
    return open_copied_ledger(folder / "ledger.db", max_queued=1000)


def create_event(ledger: Ledger) -> None:
    """Create a `recording.failed` event by failing the probe of a new recording."""
    ledger.recordings.register(f"r/{time.monotonic_ns()}.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("inst_1")
    assert probe
    assert ledger.recordings.probe_failed(probe, RecordingUnreadable("it is no video"))


def create_cancelled_clip(
    ledger: Ledger, webhook_url: str, request_id: str | None = None, traceparent: str | None = None
) -> Clip:
    """Create a `clip.failed` event by cancelling a clip that has a webhook URL."""
    recording, _ = ledger.recordings.register(f"r/{time.monotonic_ns()}.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("inst_1")
    assert probe
    facts = SourceFacts(container="mp4", origin=Fraction(0), duration=Fraction(60))
    assert ledger.recordings.probe_complete(probe, facts, etag="e", size=1)
    complete = ledger.recordings.get(recording.recording_id)
    request = ClipRequest("label", 0, 10, webhook_url=webhook_url, request_id=request_id, traceparent=traceparent)
    clip = ledger.clips.create(complete, request, extension="mp4")
    return ledger.clips.cancel(clip.clip_id)


def deliveries(ledger: Ledger, endpoint_id: str | None = None) -> list[Delivery]:
    return ledger.deliveries.list(endpoint_id=endpoint_id, limit=100).data
