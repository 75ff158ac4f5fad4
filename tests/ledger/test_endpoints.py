"""Endpoints: changes, secret rotation, and synchronisation with the settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.errors import WebhookNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.webhooks.endpoints import SECRET_OVERLAP_MS
from clipengine.objects.webhook import WebhookObject

Queue = Callable[..., Clip]


def test_endpoint_is_created_read_updated_and_deleted(ledger: Ledger) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.ready"], "first secret is long")
    assert (made.enabled, made.origin, made.disabled_reason, made.failing_since) == (True, "api", None, None)
    assert ledger.endpoints.get(made.webhook_id) == made
    changed = ledger.endpoints.update(made.webhook_id, url="https://b.test", events=["clip.failed"])
    assert (changed.url, changed.events, changed.secret) == ("https://b.test", ["clip.failed"], made.secret)
    assert ledger.endpoints.list() == [changed]
    assert ledger.endpoints.update(made.webhook_id) == changed
    assert ledger.endpoints.delete(made.webhook_id) == changed
    for call in (ledger.endpoints.get, ledger.endpoints.delete, ledger.endpoints.update):
        with pytest.raises(WebhookNotFound):
            call(made.webhook_id)


def test_secrets_are_in_no_representation_of_an_endpoint(ledger: Ledger) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.ready"], "first secret is long")
    rotated = ledger.endpoints.update(made.webhook_id, secret="second secret is long")
    for shown in (repr(rotated), str(rotated), str(WebhookObject.of(rotated))):
        assert "secret is long" not in shown


def test_replaced_secret_signs_for_another_day(ledger: Ledger) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.ready"], "first secret is long")
    assert made.secrets(now_ms()) == ["first secret is long"]
    rotated = ledger.endpoints.update(made.webhook_id, secret="second secret is long")
    assert rotated.previous_until is not None
    assert rotated.secrets(now_ms()) == ["second secret is long", "first secret is long"]
    assert rotated.secrets(now_ms() + SECRET_OVERLAP_MS + 1) == ["second secret is long"]
    assert ledger.endpoints.update(made.webhook_id, secret="second secret is long") == rotated


def test_deliveries_wait_while_an_endpoint_is_disabled_by_request(ledger: Ledger, queue: Queue) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    off = ledger.endpoints.update(made.webhook_id, enabled=False)
    assert (off.enabled, off.disabled_reason) == (False, "disabled by request")
    ledger.clips.cancel(queue().clip_id)  # no delivery is created for this event
    [delivery] = ledger.deliveries.list(limit=9).data
    assert (delivery.status, delivery.attempt, delivery.last_error) == ("pending", 0, None)
    assert (ledger.deliveries.claim_due(), ledger.deliveries.next_due()) == ([], None)
    assert ledger.stats.read().deliveries_pending == 0
    on = ledger.endpoints.update(made.webhook_id, enabled=True)
    assert (on.enabled, on.disabled_reason, on.failing_since) == (True, None, None)
    assert [found.delivery_id for found in ledger.deliveries.claim_due()] == [delivery.delivery_id]


def test_disabling_for_a_failure_fails_pending_deliveries(ledger: Ledger, queue: Queue) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    assert ledger.endpoints.disable(made.webhook_id, "it answered 410 Gone")
    [delivery] = ledger.deliveries.list(limit=9).data
    assert (delivery.status, delivery.last_error) == ("failed", "the webhook is disabled: it answered 410 Gone")
    assert ledger.deliveries.claim_due() == []


def test_deletion_fails_pending_deliveries_and_keeps_the_history(ledger: Ledger, queue: Queue) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    ledger.endpoints.delete(made.webhook_id)
    [delivery] = ledger.deliveries.list(limit=9, endpoint_id=made.webhook_id).data
    assert (delivery.status, delivery.last_error) == ("failed", "the webhook was deleted")


def test_endpoints_are_synchronised_with_the_settings(ledger: Ledger) -> None:
    own = ledger.endpoints.create("https://api.test", ["clip.ready"], "s" * 16)
    first = ledger.endpoints.sync_settings(
        [
            ConfiguredEndpoint("https://a.test", "secret of a, long", ["clip.ready"]),
            ConfiguredEndpoint("https://b.test", "secret of b, long", ["clip.ready"], "slack"),
        ]
    )
    assert [(endpoint.origin, endpoint.format) for endpoint in first] == [("settings", "json"), ("settings", "slack")]
    again = ledger.endpoints.sync_settings(
        [ConfiguredEndpoint("https://a.test", "another of a, long", ("clip.ready", "clip.failed"))]
    )
    assert len(again) == 1
    assert again[0].webhook_id == first[0].webhook_id
    assert again[0].events == ["clip.ready", "clip.failed"]
    assert again[0].previous_secret == "secret of a, long"
    assert ledger.endpoints.list() == [own, *again]
    assert ledger.endpoints.sync_settings([]) == []


def test_disabled_endpoint_of_the_settings_stays_disabled_after_a_restart(ledger: Ledger) -> None:
    wanted = [ConfiguredEndpoint("https://a.test", "secret of a, long", ["clip.ready"])]
    [made] = ledger.endpoints.sync_settings(wanted)
    ledger.endpoints.disable(made.webhook_id, "it answered 410 Gone")
    [kept] = ledger.endpoints.sync_settings(wanted)
    assert not kept.enabled


def test_url_that_the_settings_list_twice_is_one_endpoint(ledger: Ledger) -> None:
    twice = [
        ConfiguredEndpoint("https://a.test", "first of a, long", ["clip.ready"]),
        ConfiguredEndpoint("https://a.test", "last of a, long", ["clip.ready"]),
    ]
    for _ in range(2):
        [endpoint] = ledger.endpoints.sync_settings(twice)
        assert endpoint.secret == "last of a, long"
