"""Deliveries: one row for each event and receiver, sent until it is accepted or given up.

Deliveries are made at least once: an engine leases a row before it sends and settles it afterwards (see `lease`), so a
crash in between repeats the request with the same event id, which the delivery log says. Each target has a limited
number of requests at a time, so that receivers do not delay each other, and the deliveries about one clip reach it in
the order of their events.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import peewee

from clipengine.basis.events import MessageFormat
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import DeliveryNotFound, WebhookNotFound
from clipengine.ledger.database.database import Database, Row, Statement, param
from clipengine.ledger.database.schema import AttemptRow, DeliveryRow, EventRow
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.webhooks.endpoints import Endpoints
from clipengine.ledger.webhooks.events import Events
from clipengine.objects.webhook import DeliveryStatus, Outcome

log = logging.getLogger(__name__)

# An endpoint that has failed for this long without a success is disabled.
DISABLE_AFTER_MS = 5 * 24 * 3600 * 1000
_GONE = 410
_PENDING = (
    DeliveryRow.select(DeliveryRow.target, DeliveryRow.next_at)
    .where(DeliveryRow.status == "pending")
    .order_by(DeliveryRow.target, DeliveryRow.next_at)
    .limit(1)
)
_FIRST_PENDING = Statement(_PENDING)
_NEXT_PENDING = Statement(_PENDING.where(DeliveryRow.target > param(DeliveryRow.target)))
_SENDING = owned_rows(DeliveryRow, DeliveryRow.status == "sending")
_INTERRUPTED = "its engine ended during the request, which the receiver may have accepted; it is sent again"


@dataclass(frozen=True)
class Delivery:
    """A delivery. `endpoint_id` is None for a clip's webhook_url, `next_at` is None if no more attempt is due.

    `attempt` is the number of attempts that were begun. `owner` and `lease` identify the claim while it is being sent.
    `request_id` and `traceparent` come from the request that created the clip.
    """

    delivery_id: str
    event_id: str
    event_type: str
    clip_id: str | None
    recording_id: str | None
    endpoint_id: str | None
    url: str
    target: str
    secrets: list[str] = field(repr=False)
    body: bytes = field(repr=False)
    attempt: int
    status: DeliveryStatus
    created_at: int
    next_at: int | None
    last_status_code: int | None
    last_error: str | None
    owner: str | None
    lease: int
    request_id: str | None
    traceparent: str | None
    format: MessageFormat = "json"


@dataclass(frozen=True)
class Attempt:
    """One attempt of a delivery and its outcome."""

    attempt: int
    at: int
    outcome: Outcome
    status_code: int | None
    error: str | None
    duration_ms: int


class Deliveries:
    def __init__(self, database: Database, endpoints: Endpoints, events: Events, default_secret: str) -> None:
        self._database = database
        self._endpoints = endpoints
        self._events = events
        self._default_secret = default_secret
        self._leases = Leases(database, DeliveryRow.delivery_id, DeliveryRow.lease, DeliveryRow.status)

    def claim_due(
        self, *, exclude: Iterable[str] = (), limit: int = 1, owner: str = "", per_target: int = 1
    ) -> list[Delivery]:
        """Claim up to `limit` due deliveries, longest due first, one of each target. `record` settles them.

        Skips targets in `exclude`, targets to which engines are sending `per_target` deliveries already, and endpoints
        that are disabled by request.
        """
        skip = set(exclude)
        now = now_ms()
        with self._database.session():
            # Look before taking the write lock: most calls find nothing.
            waiting = [(at, target) for target, at in self._waiting() if at <= now and target not in skip]
            if not waiting:
                return []
            skip |= self._endpoints.disabled_by_request()
            claimed: list[Delivery] = []
            for _, target in sorted(waiting):
                if len(claimed) < limit and target not in skip:
                    claimed += self._claim(target, now, owner, per_target)
        return claimed

    def _waiting(self) -> list[tuple[str, int]]:
        """Return each target with pending deliveries that is not disabled, and the time of its first delivery."""
        found: list[tuple[str, int]] = []
        off = self._endpoints.disabled_by_request()
        # One index lookup per target, even if many deliveries wait for a receiver that is down.
        row = self._database.row(_FIRST_PENDING)
        while row is not None:
            if row["target"] not in off:
                found.append((row["target"], row["next_at"]))
            row = self._database.row(_NEXT_PENDING, target=row["target"])
        return found

    def _claim(self, target: str, now: int, owner: str, per_target: int) -> list[Delivery]:
        with self._database.transaction(durable=False, ordered=False):
            self._database.turn(f"target {target}")
            sending = DeliveryRow.select(DeliveryRow.delivery_id).where(
                DeliveryRow.status == "sending", DeliveryRow.target == target
            )
            if len(self._database.rows(sending.limit(per_target))) >= per_target:
                return []
            rows = self._leases.claim(
                lambda: _due(target, now), owner, values={"status": "sending", "attempt": DeliveryRow.attempt + 1}
            )
            return [self.get(row["delivery_id"]) for row in rows]

    def record(
        self,
        delivery: Delivery,
        *,
        outcome: Outcome,
        status_code: int | None,
        error: str | None,
        duration_ms: int,
        next_at: int | None = None,
    ) -> bool:
        """Record how an attempt ended and release its lease. Return False if the lease was lost.

        A 410, or five days without a success, disables the endpoint and ends the delivery. If the endpoint was disabled
        by request in the meantime, the failure does not count, and a retry waits until it is enabled.
        """
        now = now_ms()
        with self._database.transaction(ordered=False):
            row = self._database.by_key(DeliveryRow, delivery.delivery_id, lock=True)
            held = (delivery.lease, delivery.owner, "sending")
            if row is None or (row["lease"], row["owner"], row["status"]) != held:
                return False
            if delivery.endpoint_id is not None:
                usable = self._update_endpoint(delivery.endpoint_id, outcome, status_code, now)
                outcome = "failed" if outcome == "retry" and not usable else outcome
            values: dict[str, Any] = {
                "status": "pending" if outcome == "retry" else outcome,
                "next_at": (now if next_at is None else next_at) if outcome == "retry" else None,
                "owner": None,
                "last_status_code": status_code,
                "last_error": error,
            }
            self._database.change(DeliveryRow.update(values).where(DeliveryRow.delivery_id == delivery.delivery_id))
            attempt = Attempt(delivery.attempt, now, outcome, status_code, error, duration_ms)
            self._log(delivery.delivery_id, attempt)
            self._database.record_progress("delivery", delivery.delivery_id)
        return True

    def _update_endpoint(self, endpoint_id: str, outcome: Outcome, status_code: int | None, now: int) -> bool:
        """Record the outcome for the endpoint, and return False if no more requests may be sent to it."""
        endpoint = self._endpoints.find(endpoint_id)
        if endpoint is None or not endpoint.enabled:
            return endpoint is not None and endpoint.disabled_by_request
        if outcome == "delivered":
            self._endpoints.note_success(endpoint_id)
            return True
        self._endpoints.note_failure(endpoint_id, now)
        reason = None
        if status_code == _GONE:
            reason = "it answered 410 Gone"
        elif endpoint.failing_since is not None and now - endpoint.failing_since >= DISABLE_AFTER_MS:
            reason = "it has failed for five days"
        if reason is None:
            return True
        if self._endpoints.disable(endpoint_id, reason):
            self._events.endpoint_disabled(self._endpoints.get(endpoint_id))
        return False

    def get(self, id: str) -> Delivery:
        """Return a delivery. Raises DeliveryNotFound."""
        with self._database.session():
            row = self._database.row(self._rows().where(DeliveryRow.delivery_id == id))
            if row is None:
                raise DeliveryNotFound.of(id)
            return self._delivery(row)

    def attempts(self, id: str) -> list[Attempt]:
        """Return the attempts of a delivery, oldest first."""
        query = AttemptRow.select().where(AttemptRow.delivery_id == id).order_by(AttemptRow.id)
        return [
            Attempt(**{name: row[name] for name in Attempt.__dataclass_fields__}) for row in self._database.rows(query)
        ]

    def list(
        self, *, endpoint_id: str | None = None, clip_id: str | None = None, limit: int, cursor: str | None = None
    ) -> Page[Delivery]:
        query = self._rows()
        if endpoint_id is not None:
            query = query.where(DeliveryRow.endpoint_id == endpoint_id)
        if clip_id is not None:
            query = query.where(DeliveryRow.clip_id == clip_id)
        with self._database.session():
            return read_page(
                self._database,
                query,
                of="/".join(filter(None, ("deliveries", endpoint_id, clip_id))),
                created_at=DeliveryRow.created_at,
                ident=DeliveryRow.delivery_id,
                limit=limit,
                cursor=cursor,
                make=self._delivery,
            )

    def redeliver(self, id: str) -> Delivery:
        """Make a pending delivery due now. Of another one, create a copy with the same event id, due now.

        Pending deliveries of the clip to this receiver are due too: deliveries of earlier events are sent first.
        Raises DeliveryNotFound, and WebhookNotFound if the endpoint was deleted.
        """
        now = now_ms()
        with self._database.transaction(ordered=False):
            # With a lock: retention deletes an event after its last delivery.
            self._database.by_key(DeliveryRow, id, lock=True)
            old = self.get(id)
            if old.endpoint_id is not None and self._endpoints.find(old.endpoint_id) is None:
                raise WebhookNotFound(f"the webhook {old.endpoint_id} of this delivery was deleted")
            self._hasten(old, now)
            if old.status == "pending":
                return self.get(id)
            copied = ("event_id", "event_type", "clip_id", "recording_id", "endpoint_id", "url", "target")
            row: dict[str, Any] = {name: getattr(old, name) for name in copied}
            row |= {"delivery_id": new_id("dlv"), "status": "pending", "attempt": 0, "created_at": now, "next_at": now}
            self._database.insert(DeliveryRow.insert(row))
            self._database.enqueue("deliveries", row["delivery_id"])
            return self.get(row["delivery_id"])

    def _hasten(self, delivery: Delivery, now: int) -> None:
        """Make a pending delivery due, and other deliveries to the same receiver about the same clip."""
        these: Any = DeliveryRow.delivery_id == delivery.delivery_id
        if delivery.clip_id is not None:
            these = (DeliveryRow.clip_id == delivery.clip_id) & (DeliveryRow.target == delivery.target)
        waiting = (these, DeliveryRow.status == "pending", DeliveryRow.next_at > now)
        if self._database.change(DeliveryRow.update(next_at=now).where(*waiting)):
            self._database.enqueue("deliveries", delivery.delivery_id)

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned leases and return their number, see `Leases.orphans`.

        Their attempts are listed, but do not count in the schedule: the receivers may have accepted them.
        """
        freed = 0
        for row in self._leases.orphans(_SENDING, owner, in_flight=in_flight, living=living):
            log.info("delivery %s is sent again: its engine ended during the request", row["delivery_id"])
            values = {
                "status": "pending",
                "owner": None,
                "attempt": row["attempt"] - 1,
                "next_at": now_ms(),
                "last_error": _INTERRUPTED,
            }
            with self._database.transaction(ordered=False):
                if self._leases.transition(
                    row["delivery_id"], values, fence=row["lease"], owner=row["owner"], state="sending"
                ):
                    self._log(row["delivery_id"], Attempt(row["attempt"], now_ms(), "retry", None, _INTERRUPTED, 0))
                    freed += 1
        return freed

    def _log(self, delivery_id: str, attempt: Attempt) -> None:
        self._database.insert(AttemptRow.insert({"delivery_id": delivery_id, **vars(attempt)}))

    def next_due(self, *, exclude: Iterable[str] = ()) -> int | None:
        """Return the time of the next pending delivery to a target that is not in `exclude`, or None."""
        skip = set(exclude)
        with self._database.session():
            return min((at for target, at in self._waiting() if target not in skip), default=None)

    def _rows(self) -> Any:
        return DeliveryRow.select(DeliveryRow, EventRow.payload, EventRow.request_id, EventRow.traceparent).join(
            EventRow, peewee.JOIN.LEFT_OUTER, on=(EventRow.event_id == DeliveryRow.event_id)
        )

    def _delivery(self, row: Row) -> Delivery:
        endpoint = self._endpoints.find(row["endpoint_id"]) if row["endpoint_id"] is not None else None
        values = {name: row[name] for name in Delivery.__dataclass_fields__ if name in row}
        values["secrets"] = endpoint.secrets(now_ms()) if endpoint else [self._default_secret]
        values["body"] = (row["payload"] or "").encode()
        # If the URL of the endpoint has changed, pending deliveries go to the new one.
        values["url"] = endpoint.url if endpoint else row["url"]
        values["format"] = endpoint.format if endpoint else "json"
        return Delivery(**values)


def _due(target: str, now: int) -> Any:
    """Return the query of the delivery to a target that is longest due and follows no unsettled one of its clip."""
    earlier = DeliveryRow.alias()
    unsettled = earlier.select(earlier.delivery_id).where(
        earlier.status.in_(("pending", "sending")),
        earlier.target == target,
        earlier.clip_id == DeliveryRow.clip_id,
        earlier.event_id != DeliveryRow.event_id,  # a copy need not wait for its original
        (earlier.created_at < DeliveryRow.created_at)
        | ((earlier.created_at == DeliveryRow.created_at) & (earlier.delivery_id < DeliveryRow.delivery_id)),
    )
    due = DeliveryRow.select(DeliveryRow.delivery_id).where(
        DeliveryRow.status == "pending",
        DeliveryRow.target == target,
        DeliveryRow.next_at <= now,
        ~peewee.fn.EXISTS(unsettled),
    )
    return due.order_by(DeliveryRow.next_at, DeliveryRow.delivery_id).limit(1)
