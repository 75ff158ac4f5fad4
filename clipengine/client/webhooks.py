"""Webhooks: the endpoints of the engine, and `verify` for whoever receives what it sends."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clipengine.client.errors import SignatureInvalid
from clipengine.client.models import Delivery, Page, Webhook
from clipengine.client.pages import follow
from clipengine.client.transport import Transport, at


def verify(body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_seconds: float = 300) -> dict[str, Any]:
    """The event of a webhook that this secret signed. `body` is the raw body, byte for byte as it came.

    Checks Standard Webhooks' signature and its age. A sender that only has `X-Relay-Signature` is checked by that,
    which says nothing of the age. Raises SignatureInvalid. Act once on each `id`: a webhook may come twice.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if "webhook-signature" in given:
        event_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > tolerance_seconds:
            raise SignatureInvalid("webhook-timestamp is missing or too far from this machine's clock")
        signed = f"{event_id}.{stamp}.".encode() + body
        digest = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        candidates = given["webhook-signature"].split()
    elif "x-relay-signature" in given:
        wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        candidates = [given["x-relay-signature"]]
    else:
        raise SignatureInvalid("the webhook has no signature")
    if not any(hmac.compare_digest(wanted.encode(), candidate.encode()) for candidate in candidates):
        raise SignatureInvalid("the webhook is not signed with this secret")
    event: dict[str, Any] = json.loads(body)
    return event


def _standard_key(secret: str) -> bytes:
    """Standard Webhooks' key: what `whsec_` encodes, otherwise the secret's own bytes."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise SignatureInvalid("the secret begins with whsec_ but is not base64 after it") from None


class Webhooks:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> Webhook:
        """Add an endpoint. Its secret, made by the server unless given, is in this answer and in no other."""
        body: dict[str, object] = {"url": url}
        if events is not None:
            body["events"] = list(events)
        if secret is not None:
            body["secret"] = secret
        return Webhook.from_object(self._transport.create("/v1/webhooks", body, idempotency_key=idempotency_key))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Webhook]:
        answer = self._transport.get("/v1/webhooks", {"limit": limit, "cursor": cursor})
        return Page([Webhook.from_object(each) for each in answer["data"]], answer.get("next_cursor"))

    def each(self) -> Iterator[Webhook]:
        """Every endpoint, newest first."""
        return follow(lambda cursor: self.list(cursor=cursor))

    def get(self, webhook_id: str) -> Webhook:
        return Webhook.from_object(self._transport.get(at("webhooks", webhook_id)))

    def update(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change `url`, `events`, `secret` or `enabled`."""
        return Webhook.from_object(self._transport.call("PATCH", at("webhooks", webhook_id), json=changes))

    def delete(self, webhook_id: str) -> None:
        self._transport.call("DELETE", at("webhooks", webhook_id))

    def test(self, webhook_id: str) -> Delivery:
        """Send the endpoint a `clip.ready` about a clip that is plainly none; `deliveries` shows what came of it."""
        return Delivery.from_object(self._transport.create(at("webhooks", webhook_id, "test")))

    def deliveries(self, webhook_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page[Delivery]:
        params = {"limit": limit, "cursor": cursor}
        answer = self._transport.get(at("webhooks", webhook_id, "deliveries"), params)
        return Page([Delivery.from_object(each) for each in answer["data"]], answer.get("next_cursor"))

    def redeliver(self, delivery_id: str) -> Delivery:
        """Send the same event again, under the same id."""
        return Delivery.from_object(self._transport.create(at("deliveries", delivery_id, "redeliver")))
