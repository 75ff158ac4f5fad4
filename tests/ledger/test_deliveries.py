"""Deliveries: one per target at a time, settled once, repeated after a crash, and failed with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.errors import DeliveryNotFound, WebhookNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.webhooks import deliveries as deliveries_module
from clipengine.ledger.webhooks.deliveries import DISABLE_AFTER_MS, Delivery
from clipengine.ledger.webhooks.endpoints import Endpoint
from clipengine.ledger.webhooks.events import origin_of
from clipengine.objects.webhook import WebhookObject
from tests.support.waiting import until

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


class Clock:
    """The clock of deliveries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = deliveries_module.now_ms() + 60_000  # later than the events, even on a slow machine
        monkeypatch.setattr(deliveries_module, "now_ms", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def endpoint(ledger: Ledger) -> Endpoint:
    return ledger.endpoints.create("https://a.test/hook", ["clip.failed"], "secret of a, long")


def _settle(ledger: Ledger, delivery: Delivery, outcome: str, status_code: int | None = 500, **values: object) -> bool:
    return ledger.deliveries.record(
        delivery,
        outcome=outcome,  # type: ignore[arg-type]
        status_code=status_code,
        error=None if outcome == "delivered" else "no",
        duration_ms=12,
        **values,  # type: ignore[arg-type]
    )


def test_claim_returns_one_delivery_per_target_that_is_not_excluded(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    for url in ("https://own.test/1", "https://own.test/2", None):
        ledger.clips.cancel(queue(webhook_url=url).clip_id)
    first = ledger.deliveries.claim_due(exclude=set(), limit=9)
    assert sorted(delivery.target for delivery in first) == sorted(["https://own.test", endpoint.webhook_id])
    assert {(delivery.status, delivery.attempt) for delivery in first} == {("sending", 1)}
    assert ledger.deliveries.claim_due(limit=9) == []  # one delivery at a time is the default
    second = ledger.deliveries.claim_due(exclude={endpoint.webhook_id}, limit=9, per_target=2)
    assert [delivery.url for delivery in second] == ["https://own.test/2"]
    assert ledger.deliveries.claim_due(exclude={endpoint.webhook_id}, per_target=9) == []
    assert len(ledger.deliveries.claim_due(limit=1, per_target=2)) == 1
    assert ledger.deliveries.claim_due(per_target=2) == []


def test_deliveries_of_one_clip_are_claimed_in_the_order_of_their_events(
    ledger: Ledger, queue: Queue, clock: Clock
) -> None:
    clip_id = queue(webhook_url="https://own.test/1").clip_id
    ledger.clips.cancel(clip_id)
    ledger.clips.retry(clip_id)
    until(lambda: now_ms() > ledger.clips.get(clip_id).created_at + 1)  # the second event is later
    ledger.clips.cancel(clip_id)
    [first] = ledger.deliveries.claim_due(limit=9, per_target=9)
    assert ledger.deliveries.claim_due(limit=9, per_target=9) == []  # the second one follows an unsettled one
    assert ledger.deliveries.record(first, outcome="retry", status_code=500, error="no", duration_ms=1, next_at=None)
    [again] = ledger.deliveries.claim_due(limit=9, per_target=9)
    assert again.delivery_id == first.delivery_id
    assert ledger.deliveries.record(again, outcome="delivered", status_code=200, error=None, duration_ms=1)
    [second] = ledger.deliveries.claim_due(limit=9, per_target=9)
    assert second.event_id > first.event_id


def test_delivery_that_is_longest_due_is_claimed_first(ledger: Ledger, queue: Queue, clock: Clock) -> None:
    for host in ("b", "a"):
        ledger.clips.cancel(queue(webhook_url=f"https://{host}.test/").clip_id)
    ledger.database.run("UPDATE deliveries SET next_at = 5 WHERE target = 'https://b.test'")
    assert ledger.deliveries.next_due() == 5
    assert [delivery.target for delivery in ledger.deliveries.claim_due(limit=1)] == ["https://b.test"]


def test_deliveries_are_signed_with_the_secret_of_the_endpoint_or_the_default(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.endpoints.update(endpoint.webhook_id, secret="newer secret, long", url="https://moved.test/hook")
    ledger.clips.cancel(queue(webhook_url="https://own.test/1").clip_id)
    found = {delivery.endpoint_id: delivery for delivery in ledger.deliveries.claim_due(limit=9)}
    assert found[endpoint.webhook_id].secrets == ["newer secret, long", "secret of a, long"]
    assert found[None].secrets == [ledger.default_secret()]
    assert "long" not in repr(found)
    assert ledger.default_secret() not in repr(found)


def test_pending_deliveries_go_to_the_new_url_of_an_endpoint(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue().clip_id)
    ledger.endpoints.update(endpoint.webhook_id, url="https://moved.test/hook")
    [delivery] = ledger.deliveries.claim_due()
    assert delivery.url == "https://moved.test/hook"


def test_retry_is_due_at_its_time_and_the_attempt_is_recorded(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue().clip_id)
    [delivery] = ledger.deliveries.claim_due()
    assert ledger.deliveries.next_due() is None
    assert _settle(ledger, delivery, "retry", next_at=clock.now + 5000)
    assert not _settle(ledger, delivery, "delivered", 200)  # is settled already
    assert ledger.deliveries.next_due() == clock.now + 5000
    assert ledger.deliveries.claim_due() == []
    clock.now += 5000
    [again] = ledger.deliveries.claim_due()
    assert (again.delivery_id, again.event_id, again.body) == (delivery.delivery_id, delivery.event_id, delivery.body)
    assert (again.attempt, again.last_status_code, again.last_error) == (2, 500, "no")
    assert _settle(ledger, again, "delivered", 204)
    done = ledger.deliveries.get(delivery.delivery_id)
    assert (done.status, done.next_at, done.last_status_code, done.last_error) == ("delivered", None, 204, None)
    log = [(a.attempt, a.outcome, a.status_code, a.duration_ms) for a in ledger.deliveries.attempts(done.delivery_id)]
    assert log == [(1, "retry", 500, 12), (2, "delivered", 204, 12)]


def test_delivery_of_a_dead_engine_is_sent_again(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue(webhook_url="https://own.test").clip_id)
    [lost] = ledger.deliveries.claim_due(owner="dead")
    ledger.deliveries.claim_due(owner="me")
    assert ledger.deliveries.release_orphans("me") == 1
    [again] = ledger.deliveries.claim_due(owner="me")
    assert (again.delivery_id, again.attempt) == (lost.delivery_id, 1)


def test_stale_owner_settles_no_delivery(ledger: Ledger, queue: Queue, clock: Clock) -> None:
    ledger.clips.cancel(queue(webhook_url="https://own.test").clip_id)
    [stale] = ledger.deliveries.claim_due(owner="a")
    assert ledger.deliveries.release_orphans("b") == 1
    [current] = ledger.deliveries.claim_due(owner="b")
    assert current.attempt == stale.attempt
    assert not _settle(ledger, stale, "failed", 410)
    assert ledger.deliveries.get(stale.delivery_id) == current
    assert [each.outcome for each in ledger.deliveries.attempts(stale.delivery_id)] == ["retry"]  # of the lost engine
    assert _settle(ledger, current, "delivered", 200)


def test_lease_of_an_earlier_claim_by_the_same_engine_settles_no_delivery(
    ledger: Ledger, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue(webhook_url="https://own.test").clip_id)
    [earlier] = ledger.deliveries.claim_due(owner="me")
    assert ledger.deliveries.release_orphans("me", in_flight=list) == 1
    [later] = ledger.deliveries.claim_due(owner="me")
    assert not _settle(ledger, earlier, "failed", 410)
    assert _settle(ledger, later, "delivered", 200)


def test_410_disables_the_endpoint_and_notifies_the_others(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    watcher = ledger.endpoints.create("https://ops.test", ["endpoint.disabled"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    ledger.clips.cancel(queue().clip_id)
    [delivery] = ledger.deliveries.claim_due()
    assert _settle(ledger, delivery, "retry", 410, next_at=clock.now)
    assert ledger.deliveries.get(delivery.delivery_id).status == "failed"
    gone = ledger.endpoints.get(endpoint.webhook_id)
    assert (gone.enabled, gone.disabled_reason) == (False, "it answered 410 Gone")
    event = ledger.events.after(0)[-1]
    assert event.type == "endpoint.disabled"
    assert event.payload["data"] == WebhookObject.of(gone).to_object() | {"url": origin_of(gone.url)}
    # Its other deliveries have failed; only the delivery to the watcher is pending.
    assert [delivery.endpoint_id for delivery in ledger.deliveries.claim_due(limit=9)] == [watcher.webhook_id]


def test_five_days_without_a_success_disable_the_endpoint(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue().clip_id)
    begun = clock.now

    def attempt(outcome: str) -> Endpoint:
        [delivery] = ledger.deliveries.claim_due()
        _settle(ledger, delivery, outcome, 200 if outcome == "delivered" else 500, next_at=clock.now)
        return ledger.endpoints.get(endpoint.webhook_id)

    assert attempt("retry").failing_since == begun
    clock.now = begun + DISABLE_AFTER_MS - 1
    assert attempt("retry").enabled
    assert attempt("delivered").failing_since is None
    ledger.clips.cancel(queue().clip_id)
    clock.now += DISABLE_AFTER_MS * 2
    assert attempt("retry").enabled
    clock.now += DISABLE_AFTER_MS
    off = attempt("retry")
    assert (off.enabled, off.disabled_reason) == (False, "it has failed for five days")
    assert ledger.deliveries.claim_due() == []


def test_failed_webhook_url_of_a_clip_disables_nothing(ledger: Ledger, queue: Queue, clock: Clock) -> None:
    ledger.clips.cancel(queue(webhook_url="https://own.test").clip_id)
    [delivery] = ledger.deliveries.claim_due()
    assert _settle(ledger, delivery, "failed", 410)
    assert ledger.deliveries.get(delivery.delivery_id).status == "failed"
    assert [event.type for event in ledger.events.after(0)][-1] == "clip.failed"


def test_deliveries_of_a_deleted_endpoint_are_not_retried(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue().clip_id)
    [delivery] = ledger.deliveries.claim_due()
    ledger.endpoints.delete(endpoint.webhook_id)
    assert _settle(ledger, delivery, "retry", 500, next_at=clock.now)
    assert ledger.deliveries.get(delivery.delivery_id).status == "failed"
    with pytest.raises(WebhookNotFound):
        ledger.deliveries.redeliver(delivery.delivery_id)


def test_attempt_during_which_its_endpoint_was_disabled_is_retried_once_it_is_enabled(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    for _ in range(2):
        ledger.clips.cancel(queue().clip_id)
    [delivery] = ledger.deliveries.claim_due()
    ledger.endpoints.update(endpoint.webhook_id, enabled=False)
    assert _settle(ledger, delivery, "retry", 500, next_at=clock.now)
    assert ledger.endpoints.get(endpoint.webhook_id).failing_since is None
    clock.now += 10 * DISABLE_AFTER_MS
    assert (ledger.deliveries.claim_due(), ledger.deliveries.next_due()) == ([], None)
    ledger.endpoints.update(endpoint.webhook_id, enabled=True)
    seen = set()
    for _ in range(2):
        [again] = ledger.deliveries.claim_due()
        assert _settle(ledger, again, "delivered", 200)
        seen.add((again.delivery_id == delivery.delivery_id, again.attempt))
    assert seen == {(True, 2), (False, 1)}


def test_redelivery_has_the_event_id_of_the_original(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    clip = queue()
    ledger.clips.cancel(clip.clip_id)
    [delivery] = ledger.deliveries.claim_due()
    _settle(ledger, delivery, "delivered", 200)
    ledger.clips.delete(clip.clip_id)
    clock.now += 1
    again = ledger.deliveries.redeliver(delivery.delivery_id)
    assert again.delivery_id != delivery.delivery_id
    assert (again.event_id, again.body, again.status, again.attempt) == (
        delivery.event_id,
        delivery.body,
        "pending",
        0,
    )
    assert ledger.deliveries.get(delivery.delivery_id).status == "delivered"
    assert [found.delivery_id for found in ledger.deliveries.claim_due()] == [again.delivery_id]
    by_clip = ledger.deliveries.list(clip_id=clip.clip_id, limit=1)
    assert [found.delivery_id for found in by_clip.data] == [again.delivery_id]
    rest = ledger.deliveries.list(clip_id=clip.clip_id, limit=1, cursor=by_clip.next_cursor)
    assert [found.delivery_id for found in rest.data] == [delivery.delivery_id]
    with pytest.raises(DeliveryNotFound):
        ledger.deliveries.redeliver("dlv_none")


def test_redelivery_of_a_delivery_that_waits_is_sent_now_with_the_earlier_ones_of_its_clip(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    clip = queue()
    ledger.clips.cancel(clip.clip_id)
    [first] = ledger.deliveries.claim_due()
    assert _settle(ledger, first, "retry", 500, next_at=clock.now + 3_600_000)
    clock.now += 1
    ledger.clips.retry(clip.clip_id)
    ledger.clips.cancel(clip.clip_id)
    assert ledger.deliveries.claim_due() == []  # the second one waits for the first
    second = ledger.deliveries.list(clip_id=clip.clip_id, limit=1).data[0]
    assert ledger.deliveries.redeliver(second.delivery_id).delivery_id == second.delivery_id
    sent = []
    for _ in range(2):
        [claimed] = ledger.deliveries.claim_due()
        assert _settle(ledger, claimed, "delivered", 200)
        sent.append(claimed.delivery_id)
    assert sent == [first.delivery_id, second.delivery_id]
    assert ledger.deliveries.claim_due() == []


def test_copy_of_a_delivery_that_is_being_sent_does_not_wait_for_it(
    ledger: Ledger, endpoint: Endpoint, queue: Queue, clock: Clock
) -> None:
    ledger.clips.cancel(queue().clip_id)
    [sending] = ledger.deliveries.claim_due(per_target=2)
    clock.now += 1
    copy = ledger.deliveries.redeliver(sending.delivery_id)
    [claimed] = ledger.deliveries.claim_due(per_target=2)
    assert claimed.delivery_id == copy.delivery_id != sending.delivery_id


def test_delivery_that_is_repeated_after_the_death_of_its_engine_says_so(
    ledger: Ledger, endpoint: Endpoint, queue: Queue
) -> None:
    ledger.clips.cancel(queue().clip_id)
    [delivery] = ledger.deliveries.claim_due(owner="dead")
    assert ledger.deliveries.release_orphans("me") == 1
    again = ledger.deliveries.get(delivery.delivery_id)
    assert (again.status, again.attempt) == ("pending", 0)
    assert "the receiver may have accepted" in (again.last_error or "")
    [repeated] = ledger.deliveries.claim_due()
    assert _settle(ledger, repeated, "delivered", 204)
    listed = ledger.deliveries.attempts(delivery.delivery_id)
    assert [(each.attempt, each.outcome, each.status_code) for each in listed] == [
        (1, "retry", None),
        (1, "delivered", 204),
    ]
    assert "the receiver may have accepted" in (listed[0].error or "")
