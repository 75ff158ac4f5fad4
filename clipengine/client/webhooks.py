"""Webhook endpoints and deliveries, and `verify` for receivers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from clipengine.client.errors import SignatureInvalid
from clipengine.client.exchange import Api, Steps, route, without_none
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import Delivery, Object, Page, Webhook
from clipengine.client.transport import AsyncTransport, Transport


def verify(body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_seconds: float = 300) -> dict[str, Any]:
    """Verify the signature of a webhook and return its event. `body` must be the raw request body.

    Checks the Standard Webhooks signature and its age, or `X-Relay-Signature` alone, which has no age. Raises
    SignatureInvalid. Process each `id` once, because a webhook may arrive more than once.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    if "webhook-signature" in lower:
        event_id, stamp = lower.get("webhook-id", ""), lower.get("webhook-timestamp", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > tolerance_seconds:
            raise SignatureInvalid("webhook-timestamp is missing or differs too much from this machine's clock")
        signed = f"{event_id}.{stamp}.".encode() + body
        digest = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        candidates = lower["webhook-signature"].split()
    elif "x-relay-signature" in lower:
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        candidates = [lower["x-relay-signature"]]
    else:
        raise SignatureInvalid("the webhook has no signature")
    if not any(hmac.compare_digest(expected.encode(), candidate.encode()) for candidate in candidates):
        raise SignatureInvalid("the webhook is not signed with this secret")
    event: dict[str, Any] = json.loads(body)
    return event


def _standard_key(secret: str) -> bytes:
    """Return the Standard Webhooks key: the decoded text after `whsec_`, else the secret's bytes."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise SignatureInvalid("the secret must be base64 after whsec_") from None


class WebhookCalls:
    """The calls about endpoints and deliveries."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        enabled: bool | None = None,
        format: str | None = None,
        wants: Mapping[str, Sequence[str]] | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Webhook]:
        """Create an endpoint. Only this response contains its secret, which the server generates unless given.

        `format` is `json`, or `slack` or `discord` for an incoming webhook of that service. `wants` has lists of
        `tags`, `rules` (ids) and `series`: an event of a clip or a recording must have a value of each list.
        """
        body: Object = {"url": url}
        if events is not None:
            body["events"] = list(events)
        if secret is not None:
            body["secret"] = secret
        if enabled is not None:
            body["enabled"] = enabled
        if format is not None:
            body["format"] = format
        if wants is not None:
            body["wants"] = {name: list(values) for name, values in wants.items()}
        answer = yield from self._api.create("/v1/webhooks", body, idempotency_key=idempotency_key)
        return Webhook.from_object(answer)

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Webhook]]:
        answer = yield from self._api.get("/v1/webhooks", {"limit": limit, "cursor": cursor})
        return Page.of(answer, Webhook.from_object)

    def get(self, webhook_id: str) -> Steps[Webhook]:
        return Webhook.from_object((yield from self._api.get(route("webhooks", webhook_id))))

    def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        enabled: bool | None = None,
        format: str | None = None,
        wants: Mapping[str, Sequence[str]] | None = None,
    ) -> Steps[Webhook]:
        """Change the given properties of an endpoint. With `wants={}` it gets all events again."""
        body = without_none(
            {"url": url, "events": events and list(events), "secret": secret, "enabled": enabled, "format": format}
        )
        if wants is not None:
            body["wants"] = {name: list(values) for name, values in wants.items()}
        return Webhook.from_object((yield from self._api.send("PATCH", route("webhooks", webhook_id), json=body)))

    def delete(self, webhook_id: str) -> Steps[None]:
        yield from self._api.send("DELETE", route("webhooks", webhook_id))

    def test(self, webhook_id: str) -> Steps[Delivery]:
        """Send a test event to the endpoint. `deliveries` shows the result."""
        return Delivery.from_object((yield from self._api.create(route("webhooks", webhook_id, "test"))))

    def deliveries(
        self, webhook_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Steps[Page[Delivery]]:
        path = route("webhooks", webhook_id, "deliveries")
        answer = yield from self._api.get(path, {"limit": limit, "cursor": cursor})
        return Page.of(answer, Delivery.from_object)

    def delivery(self, delivery_id: str) -> Steps[Delivery]:
        """Return a delivery with its `payload`."""
        return Delivery.from_object((yield from self._api.get(route("deliveries", delivery_id))))

    def redeliver(self, delivery_id: str) -> Steps[Delivery]:
        """Send the same event again with the same id."""
        return Delivery.from_object((yield from self._api.create(route("deliveries", delivery_id, "redeliver"))))


class Webhooks(Resource[WebhookCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, WebhookCalls(api))

    create = blocking(WebhookCalls.create)
    list = blocking(WebhookCalls.list)
    each = iterating(WebhookCalls.list)
    get = blocking(WebhookCalls.get)
    update = blocking(WebhookCalls.update)
    delete = blocking(WebhookCalls.delete)
    test = blocking(WebhookCalls.test)
    deliveries = blocking(WebhookCalls.deliveries)
    delivery = blocking(WebhookCalls.delivery)
    redeliver = blocking(WebhookCalls.redeliver)


class AsyncWebhooks(AsyncResource[WebhookCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, WebhookCalls(api))

    create = awaiting(WebhookCalls.create)
    list = awaiting(WebhookCalls.list)
    each = aiterating(WebhookCalls.list)
    get = awaiting(WebhookCalls.get)
    update = awaiting(WebhookCalls.update)
    delete = awaiting(WebhookCalls.delete)
    test = awaiting(WebhookCalls.test)
    deliveries = awaiting(WebhookCalls.deliveries)
    delivery = awaiting(WebhookCalls.delivery)
    redeliver = awaiting(WebhookCalls.redeliver)
