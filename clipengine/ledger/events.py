"""Events: what has come to an end, in order, each with the webhook body that tells of it, frozen to the byte.

An event and its deliveries are rows of the transaction that made the change, so that none is lost and none is
invented.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import peewee

from clipengine.clips.clip import Clip, EventType, Recording
from clipengine.ids import new_id
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import DeliveryRow, EventRow, compact_json
from clipengine.ledger.database.statements import Statement, insert_statement, param
from clipengine.ledger.endpoints import Endpoint, Endpoints
from clipengine.timecode import now_ms, rfc3339

_INSERT = insert_statement(EventRow, without=("seq",))
_INSERT_DELIVERY = insert_statement(DeliveryRow)
_AFTER = Statement(
    EventRow.select()
    .where(EventRow.seq > param(EventRow.seq))
    .order_by(EventRow.seq)
    .limit(param(EventRow.seq, "limit"))
)


@dataclass(frozen=True)
class Event:
    """`seq` counts upwards without repeating; `payload` is the webhook's body."""

    seq: int
    event_id: str
    type: str
    clip_id: str | None
    recording_id: str | None
    payload: dict[str, Any]
    created_at: int


class Events:
    def __init__(self, database: Database, endpoints: Endpoints, organisation_id: str) -> None:
        self._database = database
        self._endpoints = endpoints
        self._organisation_id = organisation_id

    def after(self, seq: int, *, limit: int = 100) -> list[Event]:
        """The events after `seq`, oldest first."""
        return [_event(row) for row in self._database.rows(_AFTER, seq=seq, limit=limit)]

    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        row = self._database.row(EventRow.select(peewee.fn.MAX(EventRow.seq).alias("seq")))
        return (row["seq"] if row else None) or 0

    def clip_ended(self, clip: Clip) -> None:
        """`clip.ready` or `clip.failed`. Call it in the transaction that ended the clip."""
        self._record(
            "clip.ready" if clip.state == "complete" else "clip.failed",
            clip.to_object(),
            clip_id=clip.clip_id,
            recording_id=clip.recording_id,
            own_url=clip.webhook_url,
        )

    def clip_expired(self, clip: Clip) -> None:
        """`clip.expired`, for the endpoints that want it. Call it in the transaction that deletes the clip."""
        self._record("clip.expired", clip.to_object(), clip_id=clip.clip_id, recording_id=clip.recording_id)

    def recording_ended(self, recording: Recording) -> None:
        """`recording.complete` or `recording.failed`. Call it in the transaction that ended the probe."""
        self._record(
            "recording.complete" if recording.state == "complete" else "recording.failed",
            recording.to_object(),
            recording_id=recording.recording_id,
        )

    def endpoint_disabled(self, endpoint: Endpoint) -> None:
        """`endpoint.disabled`, for the endpoints that are left. Call it in the transaction that disabled it."""
        self._record("endpoint.disabled", endpoint.to_object())

    def sample(self, endpoint: Endpoint, data: dict[str, Any]) -> str:
        """A `clip.ready` that tells of no real clip, for this endpoint alone; its delivery's id.

        Its event names no clip, which is how a stream of events knows to leave it out. Call it in a transaction.
        """
        (delivery_id,) = self._record("clip.ready", data, only=endpoint)
        return delivery_id

    def _record(
        self,
        type: EventType,
        data: dict[str, Any],
        *,
        clip_id: str | None = None,
        recording_id: str | None = None,
        own_url: str | None = None,
        only: Endpoint | None = None,
    ) -> list[str]:
        """Write the event and its deliveries: to all who subscribe, or to `only`; the ids of the deliveries."""
        now = now_ms()
        event_id = new_id("evt")
        payload = {
            "event": type,
            "data": data,
            "organisation_id": self._organisation_id,
            "timestamp": rfc3339(now),
            "id": event_id,
        }
        event = {
            "event_id": event_id,
            "type": type,
            "clip_id": clip_id,
            "recording_id": recording_id,
            "payload": compact_json(payload),
            "created_at": now,
        }
        self._database.insert(_INSERT, **event)
        endpoints = [only] if only is not None else self._endpoints.subscribed(type)
        receivers: list[tuple[str | None, str]] = [(endpoint.webhook_id, endpoint.url) for endpoint in endpoints]
        if own_url is not None:
            receivers.append((None, own_url))
        made: list[str] = []
        for endpoint_id, url in receivers:
            delivery_id = new_id("dlv")
            delivery = {
                "delivery_id": delivery_id,
                "event_id": event_id,
                "event_type": type,
                "clip_id": clip_id,
                "recording_id": recording_id,
                "endpoint_id": endpoint_id,
                "url": url,
                "target": endpoint_id or target_of(url),
                "status": "pending",
                "attempt": 0,
                "created_at": now,
                "next_at": now,
                "owner": None,
                "last_status_code": None,
                "last_error": None,
                "lease": 0,
            }
            self._database.insert(_INSERT_DELIVERY, **delivery)
            self._database.record_change("delivery", delivery_id)
            made.append(delivery_id)
        return made


def target_of(url: str) -> str:
    """Whom a clip's own address belongs to: its scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _event(row: Row) -> Event:
    return Event(**{**row, "payload": json.loads(row["payload"])})
