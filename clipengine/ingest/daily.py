"""Webhooks of Daily: `recording.ready-to-download`, in a bucket that Daily writes to or in Daily's own storage.

https://docs.daily.co/reference/rest-api/webhooks. The signature is the HMAC-SHA256 of `<timestamp>.<body>` in base64,
keyed with the bytes of the base64 secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Arrival, Body, Download, Ignored, Place, Reading, Request, stated_start, validated
from clipengine.ingest.signatures import check_age, header, same

# Daily sends this, unsigned, when a webhook is created, and requires a 200. It does nothing.
_PROBE = {"test": "test"}

_Text = Annotated[str, Field(max_length=4096)]
_Id = Annotated[str, Field(max_length=200)]


class _Recording(Body):
    recording_id: Annotated[str, Field(min_length=1, max_length=200)]
    room_name: _Text = ""
    s3_key: _Text = ""
    start_ts: int = 0
    status: _Text = "finished"


class _Event(Body):
    payload: _Recording


class _Kind(Body):
    type: _Id = ""


class DailyEvents:
    max_bytes = 64 * 1024

    def __init__(self, secret: str, place: Place, *, api_key: str, api_url: str) -> None:
        self._key = base64.b64decode(secret)
        self._place = place
        self._api_key = api_key
        self._api_url = api_url.rstrip("/")

    def check_headers(self, request: Request) -> None:
        pass  # a probe has no signature

    def verify(self, request: Request) -> None:
        if request.value == _PROBE:
            return
        timestamp = header(request, "x-webhook-timestamp")
        signed = hmac.new(self._key, timestamp.encode() + b"." + request.body, hashlib.sha256).digest()
        if not same(header(request, "x-webhook-signature"), base64.b64encode(signed).decode()):
            raise InvalidSignature("X-Webhook-Signature is not that of this body")
        check_age(timestamp, request.now)

    def read(self, request: Request) -> Reading:
        if request.value == _PROBE:
            return Reading(reply={"test": "ok"})
        kind = validated(_Kind, request.value).type
        if kind != "recording.ready-to-download":
            return Reading((Ignored(kind, "other_event"),))
        found = validated(_Event, request.value).payload
        if found.status != "finished":
            return Reading((Ignored(found.recording_id, "failed"),))
        about = {"source": "daily", "daily_recording_id": found.recording_id}
        about |= stated_start("Daily", found.start_ts * 1000)
        name = found.room_name or None
        if self._api_key:
            return Reading((self._download(found.recording_id, name, about),))
        key = self._place.key(None, found.s3_key) if found.s3_key else None
        if not key:
            return Reading((Ignored(found.s3_key or found.recording_id, "other_bucket"),))
        return Reading((Arrival((key,), name, about, any_suffix=True),))

    def _download(self, recording_id: str, name: str | None, about: Mapping[str, str]) -> Download:
        """Return the download of a recording, by a link that Daily gives to its API key."""
        return Download(
            url=f"{self._api_url}/recordings/{quote(recording_id, safe='')}/access-link",
            source_id=f"daily {recording_id}",
            file=f"{name or 'recording'}.mp4",
            token=self._api_key,
            link_field="download_link",
            name=name,
            metadata=about,
        )
