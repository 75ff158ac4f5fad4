"""The event `clip.progress`: only for endpoints that subscribe to it, and only from the attempt that holds the clip."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.clips.clip import Clip
from clipengine.ledger.ledger import Ledger

Queue = Callable[..., Clip]


def events(ledger: Ledger) -> list[tuple[str, float]]:
    return [(each.type, each.payload["data"]["progress"]) for each in ledger.events.after(0) if each.clip_id]


@pytest.mark.typical(1)
def test_event_is_recorded_for_subscribers_only(ledger: Ledger, queue: Queue) -> None:
    queue(webhook_url="https://own.test/")
    ledger.endpoints.create("https://ready.test", ["clip.ready"], "s" * 16)
    clip = ledger.clips.claim("me")
    assert clip is not None
    assert ledger.clips.progress(clip.clip_id, clip.attempt, step="encoding", progress=0.25)
    ledger.clips.announce_progress(clip.clip_id, clip.attempt)
    assert events(ledger) == []
    ledger.endpoints.create("https://all.test", ["clip.progress"], "s" * 16)
    ledger.clips.announce_progress(clip.clip_id, clip.attempt)
    assert events(ledger) == [("clip.progress", 0.25)]
    assert [each.url for each in ledger.deliveries.list(limit=9).data] == ["https://all.test"]


def test_lost_attempt_records_nothing(ledger: Ledger, queue: Queue) -> None:
    ledger.endpoints.create("https://all.test", ["clip.progress"], "s" * 16)
    queued = queue()
    ledger.clips.announce_progress(queued.clip_id, 1)
    clip = ledger.clips.claim("me")
    assert clip is not None
    ledger.clips.announce_progress(clip.clip_id, clip.attempt + 1)
    ledger.clips.announce_progress("clip_x", 1)
    assert ledger.clips.requeue(clip.clip_id, clip.attempt, delay_ms=0)
    ledger.clips.announce_progress(clip.clip_id, clip.attempt)
    assert events(ledger) == []
