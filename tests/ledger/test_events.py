"""Events: webhook bodies, receivers and order."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.webhooks.events import origin_of
from clipengine.objects.clip import ClipObject

Queue = Callable[..., Clip]


def test_body_is_stored_with_its_keys_in_the_documented_order(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    ledger.endpoints.create("https://h.test/hook", ["clip.ready"], "s" * 16)
    clip = queue("Entscheidung – 決定")
    ledger.clips.claim("me")
    ledger.clips.complete(clip.clip_id, 1, result)
    done = ledger.clips.get(clip.clip_id)
    ledger.clips.delete(clip.clip_id)

    event = ledger.events.after(0)[-1]
    assert list(event.payload) == ["event", "data", "organisation_id", "timestamp", "id"]
    assert event.payload["event"] == "clip.ready"
    assert event.payload["data"] == ClipObject.of(done).to_object()
    assert list(event.payload["data"]) == list(ClipObject.of(done).to_object())
    assert event.payload["organisation_id"] == "org_local"
    assert event.payload["id"] == event.event_id
    assert event.payload["timestamp"].endswith("Z")
    [delivery] = ledger.deliveries.claim_due()
    assert delivery.body == json.dumps(event.payload, ensure_ascii=False, separators=(",", ":")).encode()


def test_event_is_delivered_to_its_subscribers_and_to_the_webhook_url(ledger: Ledger, queue: Queue) -> None:
    wants = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.endpoints.create("https://b.test", ["clip.ready", "recording.complete"], "s" * 16)
    off = ledger.endpoints.create("https://c.test", ["clip.failed"], "s" * 16)
    ledger.endpoints.update(off.webhook_id, enabled=False)
    ledger.clips.cancel(queue().clip_id)
    ledger.clips.cancel(queue(webhook_url="https://own.test/x").clip_id)
    sent = [(delivery.endpoint_id, delivery.url) for delivery in ledger.deliveries.list(limit=9).data]
    assert sorted(sent, key=str) == sorted(
        [
            (wants.webhook_id, "https://a.test"),
            (wants.webhook_id, "https://a.test"),
            (None, "https://own.test/x"),
        ],
        key=str,
    )


def test_events_after_any_number_are_read_in_order(ledger: Ledger, queue: Queue) -> None:
    begin = ledger.events.last_seq()
    clips = [queue() for _ in range(5)]
    assert ledger.events.last_seq() == begin
    for clip in clips:
        ledger.clips.cancel(clip.clip_id)
    assert [event.clip_id for event in ledger.events.after(begin)] == [clip.clip_id for clip in clips]
    assert [event.clip_id for event in ledger.events.after(begin + 2, limit=2)] == [clip.clip_id for clip in clips[2:4]]
    assert ledger.events.last_seq() == begin + 5
    assert ledger.events.after(begin + 5) == []


def test_ledger_without_events_has_number_zero(ledger: Ledger) -> None:
    assert ledger.events.last_seq() == 0
    assert ledger.events.after(0) == []


def test_webhook_urls_of_one_origin_are_one_target() -> None:
    assert origin_of("https://user:pw@Example.test:8443/a?b") == "https://example.test:8443"
    assert origin_of("https://example.test:8443/c") == origin_of("https://Example.test:8443/d")
    assert origin_of("http://example.test/") != origin_of("https://example.test/")


@pytest.mark.parametrize("url", ["http://[/secret", "secret", "", "/secret"])
def test_invalid_url_has_no_origin(url: str) -> None:
    assert origin_of(url) == ""
