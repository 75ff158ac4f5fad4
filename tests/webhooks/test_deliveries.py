"""Delivery worker with a real ledger and real receivers."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.errors import Cancelled
from clipengine.ledger.ledger import Ledger
from clipengine.webhooks.send import Sender
from tests.support.delivery_worker import DeliveryWorker
from tests.support.log_lines import logged_lines
from tests.support.outbox import EVENT, SECRET, create_cancelled_clip, create_event, deliveries, open_ledger
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import until

MakeWorker = Callable[..., DeliveryWorker]


def test_event_is_delivered_signed_and_recorded(ledger: Ledger, make_worker: MakeWorker, receiver: Receiver) -> None:
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    assert make_worker().run_due() == 1
    (request,) = receiver.requests
    payload = json.loads(request.body)
    assert list(payload)[:4] == ["event", "data", "organisation_id", "timestamp"]
    assert payload["event"] == EVENT
    assert request.headers["webhook-id"] == payload["id"]
    Webhook(SECRET).verify(request.body, request.headers)
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-relay-signature"] == expected
    (delivery,) = deliveries(ledger)
    assert (delivery.status, delivery.last_status_code, delivery.last_error) == ("delivered", 200, None)
    (attempt,) = ledger.deliveries.attempts(delivery.delivery_id)
    assert (attempt.outcome, attempt.status_code, attempt.error) == ("delivered", 200, None)


def test_webhook_url_of_a_clip_is_signed_with_the_default_secret(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver
) -> None:
    clip = create_cancelled_clip(ledger, receiver.url)
    assert make_worker().run_due() == 1
    (request,) = receiver.requests
    assert Webhook(ledger.default_secret()).verify(request.body, request.headers)["data"]["clip_id"] == clip.clip_id
    assert json.loads(request.body)["data"]["error"]["code"] == Cancelled.code


@pytest.mark.parametrize("deleted", [False, True])
def test_webhook_belongs_to_the_request_that_created_the_clip(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, deleted: bool
) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    clip = create_cancelled_clip(ledger, receiver.url, request_id="order-4711", traceparent=traceparent)
    if deleted:
        ledger.clips.delete(clip.clip_id)
    with logged_lines() as lines:
        assert make_worker().run_due() == 1
    (request,) = receiver.requests
    assert json.loads(request.body)["data"]["request_id"] == "order-4711"
    assert request.headers["traceparent"] == traceparent
    assert [line.fields["request_id"] for line in lines] == ["order-4711"]


def test_webhook_without_a_trace_has_no_traceparent(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver
) -> None:
    create_cancelled_clip(ledger, receiver.url)
    assert make_worker().run_due() == 1
    assert "traceparent" not in receiver.requests[0].headers


def test_empty_ledger_has_nothing_due(make_worker: MakeWorker) -> None:
    worker = make_worker()
    assert worker.run_due() == 0
    assert worker.next_due() is None
    assert worker.recover() == 0


def test_slow_receiver_does_not_delay_others(ledger: Ledger, make_worker: MakeWorker, receiver: Receiver) -> None:
    with Receiver() as slow:
        slow.answer = lambda request: Answer(delay=60)
        slow_endpoint = ledger.endpoints.create(slow.url, [EVENT], SECRET)
        ledger.endpoints.create(receiver.url, [EVENT], SECRET)
        for _ in range(3):
            create_event(ledger)
        worker = make_worker(timeout=60)
        thread = threading.Thread(target=worker.run_due)
        thread.start()
        receiver.wait_for(3)
        create_event(ledger)  # due while the call runs, so the same call sends it
        receiver.wait_for(4)
        slow.wait_for(1)
        assert not worker.worker.is_due()  # nothing can be sent until the slow receiver answers
        assert worker.worker.run_due() == 0  # another thread is not blocked
        worker.stop()
        thread.join(300)
        assert not thread.is_alive()
        assert len(slow.requests) == 1  # one request at a time
        statuses = sorted(delivery.status for delivery in deliveries(ledger, slow_endpoint.webhook_id))
        assert statuses == ["pending", "pending", "pending", "sending"]


def test_failing_receivers_use_at_most_half_of_the_slots(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver
) -> None:
    with Receiver() as dead:
        dead.answer = lambda request: Answer(500)
        for number in range(6):
            ledger.endpoints.create(f"{dead.url}/{number}", [EVENT], SECRET)
        worker = make_worker(timeout=60, max_parallel=4)
        create_event(ledger)
        worker.run_due()
        assert len(dead.requests) == 6  # each has failed once
        dead.answer = lambda request: Answer(delay=60)
        create_event(ledger)
        thread = threading.Thread(target=worker.run_due)
        thread.start()
        dead.wait_for(8)
        ledger.endpoints.create(receiver.url, [EVENT], SECRET)
        for _ in range(5):
            create_event(ledger)
        receiver.wait_for(5)
        assert len(dead.requests) == 8  # six plus half of the four max_parallel
        worker.stop()
        thread.join(300)


def test_concurrent_runs_send_each_delivery_once(ledger: Ledger, make_worker: MakeWorker) -> None:
    with Receiver() as first, Receiver() as second:
        overlaps: list[str] = []
        inside = {first.port: 0, second.port: 0}

        def watch(port: int) -> Callable[[object], Answer]:
            def answer(request: object) -> Answer:
                inside[port] += 1
                if inside[port] > 1:
                    overlaps.append(f"two at once on {port}")
                time.sleep(0.01)
                inside[port] -= 1
                return Answer()

            return answer

        for receiver in (first, second):
            receiver.answer = watch(receiver.port)
            ledger.endpoints.create(receiver.url, [EVENT], SECRET)
        for _ in range(10):
            create_event(ledger)
        worker = make_worker()
        begun: list[int] = []
        threads = [threading.Thread(target=lambda: begun.append(worker.run_due())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert sum(begun) == 20
        assert overlaps == []
        for receiver in (first, second):
            ids = [request.headers["webhook-id"] for request in receiver.requests]
            assert len(ids) == len(set(ids)) == 10


def test_only_endpoints_of_the_settings_may_use_private_addresses(ledger: Ledger, receiver: Receiver) -> None:
    ledger.endpoints.sync_settings([ConfiguredEndpoint(receiver.url + "/settings", SECRET, [EVENT])])
    ledger.endpoints.create(receiver.url + "/api", [EVENT], SECRET)
    create_event(ledger)
    create_cancelled_clip(ledger, receiver.url + "/settings")
    worker = DeliveryWorker(ledger, Sender(), owner="inst_1", trusted_urls=[receiver.url + "/settings"])
    assert worker.run_due() == 3
    (request,) = receiver.requests
    assert request.path == "/hook/settings"
    assert json.loads(request.body)["event"] == EVENT
    refused = [delivery for delivery in deliveries(ledger) if delivery.status == "pending"]
    assert len(refused) == 2
    assert all((delivery.last_error or "").startswith("refused: ") for delivery in refused)
    worker.stop()


def test_interrupted_delivery_is_repeated_after_a_restart_with_the_same_id(tmp_path: Path, receiver: Receiver) -> None:
    ledger = open_ledger(tmp_path)
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    receiver.script(Answer(delay=60))
    first = DeliveryWorker(ledger, Sender(["127.0.0.0/8"]), owner="inst_1")
    thread = threading.Thread(target=first.run_due)
    thread.start()
    receiver.wait_for(1)
    started = time.monotonic()
    first.stop()
    thread.join(300)
    assert time.monotonic() - started < 30
    assert (first.run_due(), first.next_due()) == (0, None)
    assert deliveries(ledger)[0].status == "sending"
    ledger.close()

    ledger = open_ledger(tmp_path)
    second = DeliveryWorker(ledger, Sender(["127.0.0.0/8"]), owner="inst_2")
    assert second.run_due() == 0
    assert second.recover() == 1
    assert second.run_due() == 1
    (delivery,) = deliveries(ledger)
    assert (delivery.status, delivery.attempt) == ("delivered", 1)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    second.stop()
    ledger.close()


def test_outcome_is_recorded_later_if_the_ledger_fails(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, tmp_path: Path
) -> None:
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    breaker = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)

    def answer(request: object) -> Answer:
        breaker.execute("ALTER TABLE delivery_attempts RENAME TO hidden")  # from now on recording fails
        return Answer()

    receiver.answer = answer
    thread = threading.Thread(target=make_worker().run_due)
    with logged_lines() as lines:
        thread.start()
        receiver.wait_for(1)
        until(lambda: any("an outcome cannot be recorded yet" in line.message for line in lines))
    assert deliveries(ledger)[0].status == "sending"
    breaker.execute("ALTER TABLE hidden RENAME TO delivery_attempts")
    breaker.close()
    thread.join(300)
    assert deliveries(ledger)[0].status == "delivered"
    assert len(receiver.requests) == 1


def test_redelivery_has_the_same_id(ledger: Ledger, make_worker: MakeWorker, receiver: Receiver) -> None:
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    worker.run_due()
    (delivery,) = deliveries(ledger)
    again = ledger.deliveries.redeliver(delivery.delivery_id)
    assert worker.run_due() == 1
    assert ledger.deliveries.get(again.delivery_id).status == "delivered"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_internal_error_is_recorded_as_a_failed_attempt(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> dict[str, str]:
        raise ValueError("secret text")

    monkeypatch.setattr("clipengine.work.jobs.deliveries.sign", broken)
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    assert make_worker().run_due() == 1
    (delivery,) = deliveries(ledger)
    assert (delivery.status, delivery.last_error) == (
        "pending",
        "internal: ValueError while the webhook was sent",
    )
