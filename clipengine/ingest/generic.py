"""Events of any other program: `{"key" or "url": …, "name"?, "started_at"?, "metadata"?, "markers"?}`.

The sender shows the secret as a Bearer token, or signs the body as Standard Webhooks say.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import ConfigDict, Field
from standardwebhooks import Webhook, WebhookVerificationError

from clipengine.basis.moments import rfc3339
from clipengine.clips.metadata import MAX_METADATA
from clipengine.errors import InvalidRequest, InvalidSignature
from clipengine.ingest.event import Arrival, Body, Download, Moment, Reading, Request, validated
from clipengine.ingest.markers import MarkerBody
from clipengine.ingest.signatures import is_sent
from clipengine.outbound.download import MAX_URL_CHARACTERS
from clipengine.recordings.markers import MAX_ADDED

_Metadata = dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[str, Field(max_length=2000)]]


class _Event(Body):
    model_config = ConfigDict(frozen=True, extra="forbid")  # here, an unknown key is a mistake of the caller

    key: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARACTERS)] | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    started_at: Moment | None = None
    markers: Annotated[tuple[MarkerBody, ...], Field(max_length=MAX_ADDED)] = ()
    metadata: _Metadata = Field(default={}, max_length=MAX_METADATA - 1)  # and `started_at`


class GenericEvents:
    max_bytes = 256 * 1024

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def check_headers(self, request: Request) -> None:
        if "webhook-signature" not in request.headers and not is_sent(request, self._secret):
            raise InvalidSignature("The request has no secret, or a wrong one")

    def verify(self, request: Request) -> None:
        self.check_headers(request)
        if "webhook-signature" not in request.headers:
            return
        try:
            Webhook(_key(self._secret)).verify(request.body, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            raise InvalidSignature("webhook-signature is not that of this body, or is too old") from None

    def read(self, request: Request) -> Reading:
        event = validated(_Event, request.value)
        if (event.key is None) == (event.url is None):
            raise InvalidRequest("The body must have either key or url")
        about, start = {**event.metadata}, event.started_at
        if event.started_at is not None:
            about["started_at"] = rfc3339(event.started_at)
        markers = [each.marker for each in event.markers]
        if event.key is not None:
            arrival = Arrival((event.key,), event.name, about, any_suffix=True, markers=markers, given_start=start)
            return Reading((arrival,))
        assert event.url is not None
        digest = hashlib.sha256(event.url.encode(errors="replace")).hexdigest()
        download = Download(
            event.url, f"generic {digest}", "", name=event.name, metadata=about, markers=markers, given_start=start
        )
        return Reading((download,))


def _key(secret: str) -> str | bytes:
    """Return the key of Standard Webhooks: base64 after `whsec_`, or the bytes of the text."""
    return secret if secret.startswith("whsec_") else secret.encode()
