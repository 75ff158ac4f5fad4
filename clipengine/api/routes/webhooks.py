"""Webhook endpoints and their deliveries.

A secret is shown once, in the response that created it. Endpoints from the settings are changed there; the API can only
enable and disable them.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, once, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.http.requests.webhooks import CreateWebhook, UpdateWebhook, Wants
from clipengine.api.http.validation import check_each
from clipengine.api.routes.sample_event import sample_clip
from clipengine.errors import Conflict, DeliveryNotFound, InvalidRequest, InvalidWebhookUrl, WebhookNotFound
from clipengine.ledger.rows.cursors import decode_cursor, encode_cursor
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.ledger.webhooks.deliveries import Deliveries, Delivery
from clipengine.ledger.webhooks.endpoints import Endpoint
from clipengine.objects.clip import ClipObject
from clipengine.objects.webhook import DeliveryObject, DeliveryPayloadObject, NewWebhookObject, WebhookObject
from clipengine.outbound.webhook_addresses import check_address
from clipengine.webhooks.sign import new_secret


def delivery_object(delivery: Delivery, deliveries: Deliveries) -> DeliveryObject:
    return DeliveryObject.of(delivery, deliveries.attempts(delivery.delivery_id))


def create_webhook(call: Call[NoQuery, CreateWebhook]) -> Response:
    body = call.body
    check_address(body.url, call.engine.settings, pointer="/url", look_up=True)

    def work() -> StoredAnswer:
        endpoints = call.ledger.endpoints
        wants = None if body.wants is None else _checked_wants(call, body.wants)
        secret = body.secret or new_secret()
        endpoint = endpoints.create(body.url, body.events, secret, format=body.format, wants=wants)
        if not body.enabled:
            endpoint = endpoints.update(endpoint.webhook_id, enabled=False)
        shown = NewWebhookObject.of(endpoint)
        return StoredAnswer(201, shown.to_object(), {"Location": f"/v1/webhooks/{endpoint.webhook_id}"}, private=True)

    return once(call, work)


def get_webhook(call: Call[NoQuery, NoBody]) -> Response:
    return json_response(WebhookObject.of(_find(call)).to_object())


_LIST = "webhooks"  # in cursors


def list_webhooks(call: Call[PageQuery, NoBody]) -> Response:
    """There are few of them: the page is cut from all."""
    newest = sorted(call.ledger.endpoints.list(), key=_position, reverse=True)
    if call.query.cursor is not None:
        before = decode_cursor(call.query.cursor, _LIST)
        newest = [endpoint for endpoint in newest if _position(endpoint) < before]
    shown = newest[: call.query.limit]
    next_cursor = encode_cursor(_LIST, *_position(shown[-1])) if len(newest) > len(shown) else None
    return page_response(call, [WebhookObject.of(endpoint) for endpoint in shown], next_cursor)


def _position(endpoint: Endpoint) -> tuple[int, str]:
    return endpoint.created_at, endpoint.webhook_id


def update_webhook(call: Call[NoQuery, UpdateWebhook]) -> Response:
    body = call.body
    _find(call)
    if body.url is not None:
        check_address(body.url, call.engine.settings, pointer="/url", look_up=True)
    with call.ledger.transaction():
        endpoint = _find(call)
        changes = body.model_dump(exclude={"wants"})
        if "wants" in body.model_fields_set:
            changes["wants"] = {} if body.wants is None else _checked_wants(call, body.wants)
        if any(value is not None for name, value in changes.items() if name != "enabled"):
            _check_own(endpoint)
        endpoint = call.ledger.endpoints.update(endpoint.webhook_id, **changes)
        return json_response(WebhookObject.of(endpoint).to_object())


def _checked_wants(call: Call[Any, Any], wants: Wants) -> dict[str, list[str]]:
    """Return the lists of `wants`. Raises InvalidRequest for an unknown rule, and Conflict while 0.2.0 runs."""
    given = wants.given()
    if given:
        hint = "Upgrade or stop these engines first: they would send all events to the webhook."
        call.ledger.engines.require_newer("do not know `wants`", hint=hint)
    known = {rule.rule_id for rule in call.ledger.rules.all()} if wants.rules else set()

    def check(rule_id: str) -> None:
        if rule_id not in known:
            raise InvalidRequest(f"There is no rule {rule_id}", errors=[{"detail": "is not a rule", "pointer": ""}])

    check_each(wants.rules, check, pointer="/wants/rules")
    return given


def delete_webhook(call: Call[NoQuery, NoBody]) -> Response:
    with call.ledger.transaction():
        endpoint = _find(call)
        _check_own(endpoint)
        call.ledger.endpoints.delete(endpoint.webhook_id)
    return Response(status_code=204)


def _find(call: Call[Any, Any]) -> Endpoint:
    return call.ledger.endpoints.get(call.path("webhook_id"))


def _check_own(endpoint: Endpoint) -> None:
    if endpoint.origin == "settings":
        hint = "Change [[webhooks.endpoints]] and restart, or switch it off with `enabled`: false."
        raise Conflict(f"The webhook {endpoint.webhook_id} comes from the settings", hint=hint)


def test_webhook(call: Call[NoQuery, NoBody]) -> Response:
    """Queue a `clip.ready` with a sample clip, through the same outbox as other events."""

    def work() -> StoredAnswer:
        sampled = call.ledger.events.sample(_find(call), ClipObject.of(sample_clip()))
        delivery = call.ledger.deliveries.get(sampled)
        return StoredAnswer(202, delivery_object(delivery, call.ledger.deliveries).to_object())

    return once(call, work)


def list_deliveries(call: Call[PageQuery, NoBody]) -> Response:
    deliveries = call.ledger.deliveries
    page = deliveries.list(endpoint_id=_find(call).webhook_id, limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [delivery_object(each, deliveries) for each in page.data], page.next_cursor)


def get_delivery(call: Call[NoQuery, NoBody]) -> Response:
    """Return a delivery with the body that is sent; the secret is not part of it."""
    delivery = call.ledger.deliveries.get(call.path("delivery_id"))
    attempts = call.ledger.deliveries.attempts(delivery.delivery_id)
    return json_response(DeliveryPayloadObject.of(delivery, attempts, payload=json.loads(delivery.body)).to_object())


def redeliver(call: Call[NoQuery, NoBody]) -> Response:
    def work() -> StoredAnswer:
        delivery = call.ledger.deliveries.redeliver(call.path("delivery_id"))
        return StoredAnswer(202, delivery_object(delivery, call.ledger.deliveries).to_object())

    return once(call, work)


_ONE = "/v1/webhooks/{webhook_id}"
_WEBHOOK = Answer(200, "The webhook, without its secret.", WebhookObject)
_QUEUED = Answer(202, "The delivery is queued.", DeliveryObject)
_MISSING = (WebhookNotFound,)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/webhooks",
        "write",
        create_webhook,
        "Add a webhook",
        [Answer(201, "The webhook, with its secret for the only time.", NewWebhookObject)],
        (InvalidWebhookUrl, Conflict),
        body=CreateWebhook,
        creates=True,
        audit="webhook.create",
    ),
    Operation(
        "GET",
        "/v1/webhooks",
        "read",
        list_webhooks,
        "List webhooks",
        [Answer(200, "One page of webhooks, newest first.", WebhookObject, page=True)],
        query=PageQuery,
    ),
    Operation("GET", _ONE, "read", get_webhook, "Get a webhook", [_WEBHOOK], _MISSING),
    Operation(
        "PATCH",
        _ONE,
        "write",
        update_webhook,
        "Change a webhook",
        [_WEBHOOK],
        (WebhookNotFound, InvalidWebhookUrl, Conflict),
        body=UpdateWebhook,
        audit="webhook.update",
    ),
    Operation(
        "DELETE",
        _ONE,
        "delete",
        delete_webhook,
        "Delete a webhook",
        [NOTHING],
        (WebhookNotFound, Conflict),
        audit="webhook.delete",
    ),
    Operation(
        "POST",
        f"{_ONE}/test",
        "write",
        test_webhook,
        "Send a sample event",
        [_QUEUED],
        _MISSING,
        creates=True,
        audit="webhook.test",
    ),
    Operation(
        "GET",
        f"{_ONE}/deliveries",
        "read",
        list_deliveries,
        "List the deliveries to a webhook",
        [Answer(200, "One page of deliveries, newest first.", DeliveryObject, page=True)],
        _MISSING,
        query=PageQuery,
    ),
    Operation(
        "GET",
        "/v1/deliveries/{delivery_id}",
        "read",
        get_delivery,
        "Get a delivery with its payload",
        [Answer(200, "The delivery, its attempts and what is sent.", DeliveryPayloadObject)],
        (DeliveryNotFound,),
    ),
    Operation(
        "POST",
        "/v1/deliveries/{delivery_id}/redeliver",
        "write",
        redeliver,
        "Send an event again",
        [_QUEUED],
        (DeliveryNotFound, WebhookNotFound),
        creates=True,
        audit="delivery.redeliver",
    ),
]
