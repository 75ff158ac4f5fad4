"""Retries of failed deliveries: schedule, end and signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest

from clipengine.ledger.ledger import Ledger
from tests.support.delivery_worker import DeliveryWorker
from tests.support.outbox import EVENT, SECRET, Clock, create_event, deliveries
from tests.support.receiver import Answer, Receiver

MakeWorker = Callable[..., DeliveryWorker]


def test_failed_delivery_is_retried_until_the_schedule_ends(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, clock: Clock
) -> None:
    receiver.answer = lambda request: Answer(500)
    endpoint = ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    for delay in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400):
        assert worker.run_due() == 1
        assert worker.run_due() == 0
        due = worker.next_due()
        assert due is not None
        assert due - clock() == pytest.approx(delay * 1000, abs=2000)
        clock.forward(delay - 3)
        assert worker.run_due() == 0
        clock.forward(3)
    assert worker.run_due() == 1
    assert worker.next_due() is None
    (delivery,) = deliveries(ledger, endpoint.webhook_id)
    assert (delivery.status, delivery.attempt, delivery.last_error) == ("failed", 10, "status 500")
    assert len(ledger.deliveries.attempts(delivery.delivery_id)) == 10
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert stamps == sorted(set(stamps))  # each attempt has a new timestamp
    assert len({request.body for request in receiver.requests}) == 1


def test_delivery_succeeds_once_the_receiver_recovers(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, clock: Clock
) -> None:
    receiver.script(Answer(503), Answer(hang_up=True), Answer(302, {"Location": receiver.url}), Answer(204))
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    for _ in range(4):
        worker.run_due()
        clock.forward(7200)
    (delivery,) = deliveries(ledger)
    attempts = ledger.deliveries.attempts(delivery.delivery_id)
    assert [attempt.outcome for attempt in attempts] == ["retry", "retry", "retry", "delivered"]
    assert [attempt.status_code for attempt in attempts] == [503, None, 302, 204]
    assert attempts[2].error == "redirect"
    assert ledger.endpoints.list()[0].failing_since is None


def test_disabled_endpoint_resumes_its_deliveries_when_enabled(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, clock: Clock
) -> None:
    receiver.script(Answer(500), Answer(204))
    endpoint = ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    assert worker.run_due() == 1
    ledger.endpoints.update(endpoint.webhook_id, enabled=False)
    clock.forward(30 * 86_400)
    assert (worker.run_due(), worker.next_due()) == (0, None)
    ledger.endpoints.update(endpoint.webhook_id, enabled=True)
    assert worker.run_due() == 1
    (delivery,) = deliveries(ledger, endpoint.webhook_id)
    assert (delivery.status, delivery.attempt) == ("delivered", 2)


def test_retry_after_delays_the_next_attempt(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, clock: Clock
) -> None:
    receiver.script(Answer(429, {"Retry-After": "3600"}), Answer(503, {"Retry-After": "315360000"}))
    ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    for seconds in (3600, 86_400):
        worker.run_due()
        due = worker.next_due()
        assert due is not None
        assert due - clock() == pytest.approx(seconds * 1000, abs=2000)
        clock.forward(seconds)


def test_status_410_disables_the_endpoint_and_sends_an_event(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver
) -> None:
    with Receiver() as gone:
        gone.script(Answer(410))
        endpoint = ledger.endpoints.create(gone.url, [EVENT], SECRET)
        ledger.endpoints.create(receiver.url, ["endpoint.disabled"], SECRET)
        create_event(ledger)
        create_event(ledger)
        make_worker().run_due()
        assert len(gone.requests) == 1
    disabled = ledger.endpoints.get(endpoint.webhook_id)
    assert not disabled.enabled
    assert {delivery.status for delivery in deliveries(ledger, endpoint.webhook_id)} == {"failed"}
    (event,) = receiver.requests
    assert json.loads(event.body)["event"] == "endpoint.disabled"
    assert json.loads(event.body)["data"]["webhook_id"] == endpoint.webhook_id


def test_endpoint_is_disabled_after_five_days_of_failures(
    ledger: Ledger, make_worker: MakeWorker, clock: Clock
) -> None:
    endpoint = ledger.endpoints.create("http://127.0.0.1:1/", [EVENT], SECRET)
    worker = make_worker()
    for _ in range(6):
        assert ledger.endpoints.get(endpoint.webhook_id).enabled
        create_event(ledger)
        worker.run_due()
        clock.forward(86_400)
    assert not ledger.endpoints.get(endpoint.webhook_id).enabled


def test_retries_are_signed_with_both_secrets_during_a_rotation(
    ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, clock: Clock
) -> None:
    receiver.script(Answer(500), Answer(500))
    endpoint = ledger.endpoints.create(receiver.url, [EVENT], SECRET)
    create_event(ledger)
    worker = make_worker()
    worker.run_due()
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    ledger.endpoints.update(endpoint.webhook_id, secret=new)
    for seconds in (10, 2 * 86_400):
        clock.forward(seconds)
        worker.run_due()
    counts = [len(request.headers["webhook-signature"].split()) for request in receiver.requests]
    assert counts == [1, 2, 1]
    keys = [SECRET, new, new]
    for request, key in zip(receiver.requests, keys, strict=True):
        expected = hmac.new(key.encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-relay-signature"] == expected
