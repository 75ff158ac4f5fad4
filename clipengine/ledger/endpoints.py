"""Webhook endpoints: from the settings and from the API, with their secrets and whether they are still believed in.

In the file a secret is sealed; here it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from clipengine.clips.clip import DISABLED_BY_REQUEST
from clipengine.errors import WebhookNotFound
from clipengine.ids import new_id
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import DeliveryRow, EndpointRow
from clipengine.ledger.database.statements import Statement
from clipengine.ledger.vault import Vault
from clipengine.timecode import now_ms, rfc3339

Origin = Literal["api", "settings"]

# Receivers check either signature for this long after a secret was replaced.
SECRET_OVERLAP_MS = 24 * 3600 * 1000

_ALL = Statement(EndpointRow.select().order_by(EndpointRow.created_at, EndpointRow.webhook_id))
_SWITCHED_OFF = Statement(
    EndpointRow.select(EndpointRow.webhook_id).where(
        ~EndpointRow.enabled, EndpointRow.disabled_reason == DISABLED_BY_REQUEST
    )
)


@dataclass(frozen=True)
class Endpoint:
    """One receiver of webhooks. Times in ms since 1970, UTC."""

    webhook_id: str
    url: str
    events: list[str]
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: int | None
    enabled: bool
    origin: Origin
    created_at: int
    disabled_reason: str | None = None
    failing_since: int | None = None

    @property
    def switched_off(self) -> bool:
        """Whether it was disabled by request: what is to be sent to it waits until it is enabled."""
        return not self.enabled and self.disabled_reason == DISABLED_BY_REQUEST

    def secrets(self, now: int) -> list[str]:
        """The secrets to sign with: the present one first, the replaced one while receivers still change over."""
        old = self.previous_secret
        return [self.secret, old] if old is not None and (self.previous_until or 0) > now else [self.secret]

    def to_object(self) -> dict[str, Any]:
        """The endpoint as the API and `endpoint.disabled` show it: without its secrets."""
        return {
            "webhook_id": self.webhook_id,
            "url": self.url,
            "events": self.events,
            "enabled": self.enabled,
            "origin": self.origin,
            "created_at": rfc3339(self.created_at),
            "disabled_reason": self.disabled_reason,
            "failing_since": rfc3339(self.failing_since) if self.failing_since is not None else None,
        }


class Endpoints:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, url: str, events: Sequence[str], secret: str, *, origin: Origin = "api") -> Endpoint:
        endpoint = Endpoint(
            webhook_id=new_id("whk"),
            url=url,
            events=list(events),
            secret=secret,
            previous_secret=None,
            previous_until=None,
            enabled=True,
            origin=origin,
            created_at=now_ms(),
        )
        with self._database.transaction():
            self._database.insert(
                EndpointRow.insert({**vars(endpoint), "secret": self._vault.seal(secret, endpoint.webhook_id)})
            )
        return endpoint

    def get(self, id: str) -> Endpoint:
        """Raises WebhookNotFound."""
        row = self._database.by_key(EndpointRow, id)
        if row is None:
            raise WebhookNotFound(f"no webhook has the id {id}")
        return self._endpoint(row)

    def update(
        self,
        id: str,
        url: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Change what is given; None leaves as it is. Raises WebhookNotFound.

        A replaced secret goes on signing beside the new one for a day. While the endpoint is disabled, what is still
        to be sent to it waits; enabling goes on with that, and forgets why it was disabled and since when it fails.
        """
        with self._database.transaction():
            before = self.get(id)
            values: dict[str, Any] = {}
            if url is not None:
                values["url"] = url
            if events is not None:
                values["events"] = list(events)
            if secret is not None and secret != before.secret:
                values |= {
                    "secret": self._vault.seal(secret, id),
                    "previous_secret": self._vault.seal(before.secret, id),
                    "previous_until": now_ms() + SECRET_OVERLAP_MS,
                }
            if enabled:
                values |= {"enabled": True, "disabled_reason": None, "failing_since": None}
            elif enabled is False and before.enabled:
                values |= {"enabled": False, "disabled_reason": DISABLED_BY_REQUEST}
            if values:
                self._change(id, values)
            return self.get(id)

    def delete(self, id: str) -> Endpoint:
        """Forget the endpoint; its deliveries stay as history, those still to be sent are given up."""
        with self._database.transaction():
            endpoint = self.get(id)
            self._database.change(EndpointRow.delete().where(EndpointRow.webhook_id == id))
            self._give_up(id, "the webhook was deleted")
            return endpoint

    def sync_settings(self, wanted: Iterable[tuple[str, str, Sequence[str]]]) -> list[Endpoint]:
        """Make the endpoints of the settings, `(url, secret, events)` each, those that are there; by url.

        Those that are gone from the settings are deleted. One that was disabled stays so until somebody enables it:
        a restart does not bring back a receiver that has said it is gone.
        """
        with self._database.transaction():
            # A URL that the settings name twice counts as its last mention.
            by_url = {url: (secret, events) for url, secret, events in wanted}
            present = {endpoint.url: endpoint for endpoint in self.list() if endpoint.origin == "settings"}
            for url, (secret, events) in by_url.items():
                known = present.pop(url, None)
                if known is None:
                    self.create(url, events, secret, origin="settings")
                else:
                    self.update(known.webhook_id, events=events, secret=secret)
            for gone in present.values():
                self.delete(gone.webhook_id)
            return [endpoint for endpoint in self.list() if endpoint.origin == "settings"]

    def disable(self, id: str, reason: str) -> bool:
        """Give up the endpoint and what is still to be sent to it; False where it was disabled before."""
        query = EndpointRow.update(enabled=False, disabled_reason=reason)
        with self._database.transaction():
            if not self._database.change(query.where(EndpointRow.webhook_id == id, EndpointRow.enabled)):
                return False
            self._give_up(id, f"the webhook is disabled: {reason}")
            return True

    def note_success(self, id: str) -> None:
        self._database.change(
            EndpointRow.update(failing_since=None).where(
                EndpointRow.webhook_id == id, EndpointRow.failing_since.is_null(False)
            )
        )

    def note_failure(self, id: str, now: int) -> None:
        self._database.change(
            EndpointRow.update(failing_since=now).where(
                EndpointRow.webhook_id == id, EndpointRow.failing_since.is_null()
            )
        )

    def find(self, id: str) -> Endpoint | None:
        row = self._database.by_key(EndpointRow, id)
        return self._endpoint(row) if row else None

    def switched_off(self) -> set[str]:
        """The ids of those that were disabled by request."""
        return {row["webhook_id"] for row in self._database.rows(_SWITCHED_OFF)}

    def subscribed(self, event: str) -> list[Endpoint]:
        """The enabled endpoints that want this event."""
        return [endpoint for endpoint in self.list() if endpoint.enabled and event in endpoint.events]

    def list(self) -> list[Endpoint]:
        """All endpoints, oldest first."""
        return [self._endpoint(row) for row in self._database.rows(_ALL)]

    def _change(self, id: str, values: dict[str, Any]) -> None:
        self._database.change(EndpointRow.update(values).where(EndpointRow.webhook_id == id))

    def _give_up(self, id: str, reason: str) -> None:
        pending = (DeliveryRow.target == id) & (DeliveryRow.status == "pending")
        for row in self._database.rows(DeliveryRow.select(DeliveryRow.delivery_id).where(pending)):
            self._database.record_change("delivery", row["delivery_id"])
        self._database.change(DeliveryRow.update(status="failed", next_at=None, last_error=reason).where(pending))

    def _endpoint(self, row: Row) -> Endpoint:
        previous = row["previous_secret"]
        opened = {
            "secret": self._vault.open(row["secret"], row["webhook_id"]),
            "previous_secret": previous and self._vault.open(previous, row["webhook_id"]),
        }
        return Endpoint(**{**row, **opened})
