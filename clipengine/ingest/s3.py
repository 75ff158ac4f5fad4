"""Event notifications of a bucket: MinIO, Ceph, AWS, and AWS by way of EventBridge.

The sender shows the secret: MinIO as its `auth_token`, EventBridge as the authorization of its API destination, and
Ceph, whose topics cannot set a header, as the topic's `OpaqueData`. These events carry no time that could be checked:
MinIO and Ceph keep them for days while a receiver is down. A repeated event does no harm, because its key and ETag are
looked up in the store and registered once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote_plus

from pydantic import Field

from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Arrival, Body, CamelBody, Ignored, Place, Reading, Request, validated
from clipengine.ingest.signatures import is_sent, same

_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
_RAW_KEYS = "ceph:s3"  # Ceph 18 does not URL-encode keys, AWS and MinIO do

_Key = Annotated[str, Field(min_length=1, max_length=4096)]
_Text = Annotated[str, Field(max_length=1024)]


class _Bucket(Body):
    name: _Text


class _Object(Body):
    key: _Key


class _Pair(Body):
    bucket: _Bucket
    object: _Object


class _Record(CamelBody):
    event_source: _Text = ""
    event_name: _Text
    s3: _Pair
    opaque_data: _Text = ""


class _Records(Body):
    records: list[_Record] = Field(default=[], alias="Records", max_length=200)  # AWS tests without records


class _BridgeEvent(Body):
    kind: _Text = Field(alias="detail-type")
    detail: _Pair


class S3Events:
    max_bytes = 256 * 1024

    def __init__(self, secret: str, place: Place) -> None:
        self._secret = secret
        self._place = place

    def check_headers(self, request: Request) -> None:
        pass  # the secret may be in the body

    def verify(self, request: Request) -> None:
        if is_sent(request, self._secret):
            return
        records = validated(_Records, request.value).records
        # All of them: a sender that knows the secret writes it into each.
        if not records or not all(same(record.opaque_data, self._secret) for record in records):
            raise InvalidSignature("The event has no secret, or a wrong one")

    def read(self, request: Request) -> Reading:
        return Reading(tuple(self._found(request)))

    def _found(self, request: Request) -> Iterator[Arrival | Ignored]:
        if isinstance(request.value, dict) and "detail-type" in request.value:
            event = validated(_BridgeEvent, request.value)
            name = event.detail.object.key
            yield self._arrival(event.detail.bucket.name, (name,), created=event.kind == "Object Created")
            return
        for record in validated(_Records, request.value).records:
            raw = record.s3.object.key
            names = (raw, unquote_plus(raw)) if record.event_source == _RAW_KEYS else (unquote_plus(raw), raw)
            yield self._arrival(record.s3.bucket.name, names, created=record.event_name.startswith(_CREATED))

    def _arrival(self, bucket: str, names: tuple[str, ...], *, created: bool) -> Arrival | Ignored:
        if not created:
            return Ignored(names[0], "other_event")
        keys = tuple(dict.fromkeys(key for name in names if (key := self._place.key(bucket, name))))
        return Arrival(keys) if keys else Ignored(names[0], "other_bucket")
