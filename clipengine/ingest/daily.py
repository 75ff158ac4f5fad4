"""Webhooks of Daily: `recording.ready-to-download`, in a bucket that Daily writes to.

https://docs.daily.co/reference/rest-api/webhooks. The signature is the HMAC-SHA256 of `<timestamp>.<body>` in base64,
keyed with the bytes of the base64 secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Annotated

from pydantic import Field

from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Arrival, Body, Ignored, Place, Reading, Request, validated
from clipengine.ingest.signatures import check_age, header, same
from clipengine.timecode import rfc3339

_MAX_SECONDS = 10**11
# Daily sends this, unsigned, when a webhook is created, and requires a 200. It does nothing.
_PROBE = {"test": "test"}

_Text = Annotated[str, Field(max_length=4096)]
_Id = Annotated[str, Field(max_length=200)]


class _Recording(Body):
    recording_id: _Id = ""
    room_name: _Text = ""
    s3_key: _Text = ""
    start_ts: Annotated[int, Field(ge=0, le=_MAX_SECONDS)] = 0
    status: _Text = "finished"


class _Event(Body):
    payload: _Recording


class _Kind(Body):
    type: _Id = ""


class DailyEvents:
    max_bytes = 64 * 1024

    def __init__(self, secret: str, place: Place) -> None:
        self._key = base64.b64decode(secret)
        self._place = place

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
        key = self._place.key(None, found.s3_key) if found.s3_key else None
        if not key:
            return Reading((Ignored(found.s3_key or found.recording_id, "other_bucket"),))
        about = {"source": "daily", "daily_recording_id": found.recording_id}
        if found.start_ts:
            about["started_at"] = rfc3339(found.start_ts * 1000)
        return Reading((Arrival((key,), found.room_name or None, about, any_suffix=True),))
