"""Events of clips, recordings and webhooks, in order, each with its exact webhook body.

An event and its deliveries are written in the transaction of the change (outbox), so that none is lost or spurious.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import peewee

from clipengine.basis.events import EventType, ExpiryReason, StorageEvent
from clipengine.basis.ids import new_id
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.transcription import Transcription
from clipengine.ledger.database.database import Database, Row, Statement, compact_json, insert_statement, param
from clipengine.ledger.database.schema import DeliveryRow, EventRow, RecordingRow
from clipengine.ledger.stored_objects.storage_use import Amount
from clipengine.ledger.webhooks.endpoints import Endpoint, Endpoints
from clipengine.ledger.webhooks.wants import Subject, wants_event
from clipengine.objects.base import shown_time
from clipengine.objects.clip import ClipObject
from clipengine.objects.marker import MarkerObject, MarkersObject
from clipengine.objects.recording import RecordingObject
from clipengine.objects.rule import RuleObject
from clipengine.objects.storage import AmountObject, StorageLimitObject
from clipengine.objects.transcript import TranscriptionObject, TranscriptObject
from clipengine.objects.webhook import WebhookObject
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import Recording, RecordingState
from clipengine.rules.rule import Rule

_INSERT = insert_statement(EventRow, without=("seq",))
_LAST_SEQ = Statement(EventRow.select(peewee.fn.MAX(EventRow.seq).alias("seq")))
_Receiver = tuple[str | None, str]  # the id of its endpoint, and the URL
_OF_STATE: dict[RecordingState, EventType] = {
    "recording": "recording.recording",
    "complete": "recording.complete",
    "failed": "recording.failed",
}
_INTERNAL = ("engine_id", "request_id", "traceparent", "error_code")
_PUBLIC = [field for field in EventRow._meta.sorted_fields if field.name not in _INTERNAL]
_INSERT_DELIVERY = insert_statement(DeliveryRow)
_AFTER = Statement(
    EventRow.select(*_PUBLIC)
    .where(EventRow.seq > param(EventRow.seq))
    .order_by(EventRow.seq)
    .limit(param(EventRow.seq, "limit"))
)
_OWN = Statement(
    EventRow.select(*_PUBLIC)
    .where(
        EventRow.seq > param(EventRow.seq),
        EventRow.seq <= param(EventRow.seq, "last"),
        EventRow.engine_id == param(EventRow.engine_id),
    )
    .order_by(EventRow.seq)
    .limit(param(EventRow.seq, "limit"))
)


@dataclass(frozen=True)
class Event:
    """One event. `seq` is increasing and never reused; `payload` is the webhook body."""

    seq: int
    event_id: str
    type: str
    clip_id: str | None
    recording_id: str | None
    payload: dict[str, Any]
    created_at: int


class Events:
    """The events of all engines. Those that this process records carry its `engine_id`, if it has set one."""

    def __init__(self, database: Database, endpoints: Endpoints, organisation_id: str) -> None:
        self._database = database
        self._endpoints = endpoints
        self._organisation_id = organisation_id
        self.engine_id: str | None = None
        # In the transaction of clip.ready, with the event's id and the hosts of its receivers.
        self.on_ready: Callable[[str, Clip, Sequence[str]], None] = lambda event_id, clip, hosts: None

    def after(self, seq: int, *, limit: int = 100) -> list[Event]:
        """Return the events after `seq`, oldest first."""
        return [_event(row) for row in self._database.rows(_AFTER, seq=seq, limit=limit)]

    def own(self, after: int, last: int, *, limit: int = 100) -> list[Event]:
        """Return the events with the numbers `after` + 1 to `last` that this engine has recorded, oldest first."""
        rows = self._database.rows(_OWN, seq=after, last=last, engine_id=self.engine_id, limit=limit)
        return [_event(row) for row in rows]

    def last_seq(self) -> int:
        """Return the number of the newest event, or 0."""
        row = self._database.row(_LAST_SEQ)
        return (row["seq"] if row else None) or 0

    def clip_ended(self, clip: Clip) -> None:
        """Record `clip.ready` or `clip.failed`. Call it in the transaction that ends the clip."""
        ready = clip.state == "complete"
        type: EventType = "clip.ready" if ready else "clip.failed"
        event = self._event(type, ClipObject.of(clip).to_object(), clip=clip)
        receivers = self._subscribers(type, self._subject(clip.recording_id, clip))
        if clip.webhook_url is not None:
            receivers.append((None, clip.webhook_url))
        if ready and receivers:
            hosts = dict.fromkeys(origin_of(url).partition("://")[2] for _, url in receivers)
            self.on_ready(event["event_id"], clip, list(hosts))
        self._write([(event, receivers)])

    def clip_progressed(self, clip: Clip) -> None:
        """Record `clip.progress` if an endpoint subscribes to it. Call it in a transaction."""
        if receivers := self._subscribers("clip.progress", self._subject(clip.recording_id, clip)):
            self._write([(self._event("clip.progress", ClipObject.of(clip).to_object(), clip=clip), receivers)])

    def clips_expired(self, clips: Sequence[Clip], *, reason: ExpiryReason) -> None:
        """Record `clip.expired` of each clip. Call it in the transaction that deletes the clips."""
        if clips:
            objects = [ClipObject.of(clip).to_object() | {"reason": reason} for clip in clips]
            events = [self._event("clip.expired", data, clip=clip) for clip, data in zip(clips, objects, strict=True)]
            endpoints = self._endpoints.subscribed("clip.expired")
            subjects = [self._subject(clip.recording_id, clip) for clip in clips]
            receivers = [_receivers(endpoints, subject) for subject in subjects]
            self._write(list(zip(events, receivers, strict=True)))

    def recording_ended(self, recording: Recording) -> None:
        """Record the event of a recording's status: `recording.complete`, for example.

        Call it in the transaction that ends the probe, or the recording.
        """
        self._record(
            _OF_STATE[recording.state],
            RecordingObject.of(recording).to_object(),
            recording_id=recording.recording_id,
        )

    def transcription_ended(self, transcription: Transcription) -> None:
        """Record `transcript.ready` or `transcript.failed`. Call it in the transaction that ends the transcription."""
        self._record(
            "transcript.ready" if transcription.state == "complete" else "transcript.failed",
            TranscriptionObject.of(transcription).to_object(),
            recording_id=transcription.recording_id,
        )

    def transcript_stored(self, transcript: TranscriptObject) -> None:
        """Record `transcript.stored`. Call it at the end of the transaction that stores the transcript."""
        self._record("transcript.stored", transcript.to_object(), recording_id=transcript.recording_id)

    def markers_added(self, recording_id: str, markers: Sequence[Marker]) -> None:
        """Record `marker.added`. Call it at the end of the transaction that stores the markers."""
        shown = [
            MarkerObject(
                key=each.key,
                at_seconds=each.at_seconds,
                time=shown_time(each.time),
                seconds=each.seconds,
                label=each.label,
            )
            for each in markers
        ]
        data = MarkersObject(recording_id, shown).to_object()
        self._record("marker.added", data, recording_id=recording_id)

    def rule_stopped(self, rule: Rule) -> None:
        """Record `rule.stopped`. Call it at the end of the transaction that disables the rule."""
        self._record("rule.stopped", RuleObject.of(rule).to_object())

    def endpoint_disabled(self, endpoint: Endpoint) -> None:
        """Record `endpoint.disabled` for the other endpoints. Call it in the transaction that disables the endpoint.

        Its receivers get only the origin of the URL, because the URL of a chat service is a credential.
        """
        self._record("endpoint.disabled", WebhookObject.of(endpoint, url=origin_of(endpoint.url)).to_object())

    def storage_reported(self, type: StorageEvent, used: Amount, max_bytes: int) -> None:
        """Record an event of the limit of the bytes of clips. Call it in the transaction that stores its state."""
        clips = AmountObject(count=used.count, bytes=used.bytes)
        self._record(type, {**StorageLimitObject(max_clips_bytes=max_bytes, clips=clips)})

    def sample(self, endpoint: Endpoint, clip: ClipObject) -> str:
        """Record a sample `clip.ready` for this endpoint only, and return the id of its delivery.

        Its event has no clip_id, so that event streams omit it. Call it in a transaction.
        """
        (delivery_id,) = self._record("clip.ready", clip.to_object(), only=endpoint)
        return delivery_id

    def _record(
        self,
        type: EventType,
        data: dict[str, Any],
        *,
        recording_id: str | None = None,
        only: Endpoint | None = None,
    ) -> list[str]:
        """Write an event and its deliveries, to all subscribers or to `only`, and return the ids of the deliveries."""
        subject = None if recording_id is None else self._subject(recording_id)
        receivers = [_receiver(only)] if only is not None else self._subscribers(type, subject)
        return self._write([(self._event(type, data, recording_id=recording_id), receivers)])

    def _subscribers(self, type: EventType, subject: Subject | None) -> list[_Receiver]:
        return _receivers(self._endpoints.subscribed(type), subject)

    def _subject(self, recording_id: str, clip: Clip | None = None) -> Subject:
        """Return the subject of an event of a clip, or of a recording."""

        def read() -> Row | None:
            return self._database.by_key(RecordingRow, recording_id)

        return Subject(read) if clip is None else Subject(read, clip.tags, clip.created_by)

    def _event(
        self, type: EventType, data: dict[str, Any], *, clip: Clip | None = None, recording_id: str | None = None
    ) -> Row:
        """Return the row of a new event."""
        now = now_ms()
        event_id = new_id("evt")
        payload = {
            "event": type,
            "data": data,
            "organisation_id": self._organisation_id,
            "timestamp": rfc3339(now),
            "id": event_id,
        }
        return {
            "event_id": event_id,
            "type": type,
            "clip_id": clip and clip.clip_id,
            "recording_id": clip.recording_id if clip else recording_id,
            "payload": compact_json(payload),
            "created_at": now,
            "engine_id": self.engine_id,
            "request_id": clip and clip.request_id,
            "traceparent": clip and clip.traceparent,
            "error_code": clip.error["code"] if clip and clip.error else None,
        }

    def _write(self, events: Sequence[tuple[Row, Sequence[_Receiver]]]) -> list[str]:
        """Write events and a delivery of each to each of its receivers, and return the ids of the deliveries."""
        deliveries = [_delivery(event, *receiver) for event, receivers in events for receiver in receivers]
        self._database.insert_many(_INSERT_DELIVERY, deliveries)
        ids = [delivery["delivery_id"] for delivery in deliveries]
        for id in ids:
            self._database.enqueue("deliveries", id)
        # Events are numbered in the order in which they become visible: from here on, one transaction at a time.
        self._database.turn("events")
        self._database.insert_many(_INSERT, [event for event, _ in events])
        return ids


def _receivers(endpoints: Sequence[Endpoint], subject: Subject | None) -> list[_Receiver]:
    return [_receiver(endpoint) for endpoint in endpoints if wants_event(endpoint.wants, subject)]


def _receiver(endpoint: Endpoint) -> _Receiver:
    return endpoint.webhook_id, endpoint.url


def _delivery(event: Row, endpoint_id: str | None, url: str) -> Row:
    """Return the row of a new delivery, due now."""
    return {
        "delivery_id": new_id("dlv"),
        "event_id": event["event_id"],
        "event_type": event["type"],
        "clip_id": event["clip_id"],
        "recording_id": event["recording_id"],
        "endpoint_id": endpoint_id,
        "url": url,
        "target": endpoint_id or origin_of(url),
        "status": "pending",
        "attempt": 0,
        "created_at": event["created_at"],
        "next_at": event["created_at"],
        "owner": None,
        "last_status_code": None,
        "last_error": None,
        "lease": 0,
    }


def origin_of(url: str) -> str:
    """Return scheme, host and port of a webhook's URL, whose other parts may be secret; "" if it is invalid."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host}" if host else ""


def _event(row: Row) -> Event:
    return Event(**{**row, "payload": json.loads(row["payload"])})
