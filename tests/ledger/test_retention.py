"""Retention: old events, ended deliveries and attempts are deleted; pending deliveries keep their events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.retention import retention as retention_module

Queue = Callable[..., Clip]
DAY = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten days pass before the retention looks."""
    monkeypatch.setattr(retention_module, "now_ms", lambda: now_ms() + 10 * DAY)


def _drain(ledger: Ledger, *, days: float) -> int:
    total = 0
    while deleted := ledger.retention.run(keep_ms=round(days * DAY)):
        total += deleted
    return total


def _deliver(ledger: Ledger, outcome: str) -> str:
    (claimed,) = ledger.deliveries.claim_due(limit=1)
    ledger.deliveries.record(claimed, outcome=outcome, status_code=200, error=None, duration_ms=1)  # type: ignore[arg-type]
    return claimed.delivery_id


def _counts(ledger: Ledger) -> tuple[int, ...]:
    tables = ("events", "deliveries", "delivery_attempts")
    return tuple(ledger.database.run(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables)


def test_old_history_is_deleted_and_numbers_continue(ledger: Ledger, queue: Queue) -> None:
    ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    clip = queue()
    ledger.clips.cancel(clip.clip_id)
    _deliver(ledger, "delivered")
    last = ledger.events.last_seq()
    assert _counts(ledger) == (2, 1, 1)  # of the recording and the clip
    assert _drain(ledger, days=11) == 0
    assert _drain(ledger, days=9) == 3
    assert _counts(ledger) == (0, 0, 0)
    assert ledger.clips.get(clip.clip_id).state == "failed"
    ledger.clips.cancel(queue().clip_id)
    assert ledger.events.last_seq() == last + 1


@pytest.mark.parametrize("state", ["pending", "sending", "retry"])
def test_unfinished_delivery_and_its_event_are_kept(ledger: Ledger, queue: Queue, state: str) -> None:
    endpoint = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    if state == "sending":
        assert ledger.deliveries.claim_due()
    elif state == "retry":
        _deliver(ledger, "retry")
    assert _drain(ledger, days=1) == 1  # the event of the recording
    (delivery,) = ledger.deliveries.list(endpoint_id=endpoint.webhook_id, limit=9).data
    assert delivery.body
    assert len(ledger.deliveries.attempts(delivery.delivery_id)) == (state == "retry")


def test_event_is_kept_until_its_last_delivery_is_old(ledger: Ledger, queue: Queue) -> None:
    """A redelivery needs the body of the event."""
    ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    ledger.deliveries.redeliver(_deliver(ledger, "failed"))
    assert _drain(ledger, days=1) == 2  # the first delivery, and the event of the recording
    (waiting,) = ledger.deliveries.claim_due()
    assert waiting.body


def test_batches_are_small_and_zero_keeps_everything(
    ledger: Ledger, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "_BATCH", 2)
    for _ in range(4):
        ledger.clips.cancel(queue().clip_id)
    assert ledger.retention.run(keep_ms=None) == 0
    assert [ledger.retention.run(keep_ms=DAY) for _ in range(4)] == [2, 2, 1, 0]
