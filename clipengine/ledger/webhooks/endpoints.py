"""Webhook endpoints of the settings and of the API. Their secrets are encrypted in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipengine.basis.events import ConfiguredEndpoint, MessageFormat
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import WebhookNotFound
from clipengine.ledger.database.database import Database, Row, Statement, changes
from clipengine.ledger.database.schema import DeliveryRow, EndpointRow
from clipengine.ledger.database.vault import Vault
from clipengine.ledger.webhooks.wants import Wants
from clipengine.objects.webhook import DISABLED_BY_REQUEST, Origin

# Requests are signed with the old secret as well for this long after it was replaced.
SECRET_OVERLAP_MS = 24 * 3600 * 1000

_ALL = Statement(EndpointRow.select().order_by(EndpointRow.created_at, EndpointRow.webhook_id))
_DISABLED_BY_REQUEST = Statement(
    EndpointRow.select(EndpointRow.webhook_id).where(
        ~EndpointRow.enabled, EndpointRow.disabled_reason == DISABLED_BY_REQUEST
    )
)


@dataclass(frozen=True)
class Endpoint:
    """One webhook endpoint. Times are in ms since 1970, UTC."""

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
    format: MessageFormat = "json"
    wants: Wants | None = None  # None: all

    @property
    def disabled_by_request(self) -> bool:
        """True if it was disabled by request: its deliveries wait until it is enabled."""
        return not self.enabled and self.disabled_reason == DISABLED_BY_REQUEST

    def secrets(self, now: int) -> list[str]:
        """Return the secrets to sign with: the present one, then the replaced one while it is still valid."""
        old = self.previous_secret
        return [self.secret, old] if old is not None and (self.previous_until or 0) > now else [self.secret]


class Endpoints:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(
        self,
        url: str,
        events: Sequence[str],
        secret: str,
        *,
        origin: Origin = "api",
        format: MessageFormat = "json",
        wants: Wants | None = None,
    ) -> Endpoint:
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
            format=format,
            wants=wants or None,
        )
        with self._database.transaction():
            self._database.insert(
                EndpointRow.insert({**vars(endpoint), "secret": self._vault.seal(secret, endpoint.webhook_id)})
            )
        return endpoint

    def get(self, id: str) -> Endpoint:
        """Return an endpoint. Raises WebhookNotFound."""
        return self._endpoint(self._row(id))

    def update(
        self,
        id: str,
        url: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        enabled: bool | None = None,
        format: MessageFormat | None = None,
        wants: Wants | None = None,
    ) -> Endpoint:
        """Change the values that are not None. Raises WebhookNotFound. Without lists, `wants` is all events.

        Requests are signed with a replaced secret as well for a day. Deliveries wait while the endpoint is disabled.
        Enabling it resumes them and clears the reason and the start of its failures.
        """
        with self._database.transaction():
            row = self._row(id)
            before = self._endpoint(row)
            values: dict[str, Any] = {}
            if url is not None:
                values["url"] = url
            if events is not None:
                values["events"] = list(events)
            if format is not None:
                values["format"] = format
            if wants is not None:
                values["wants"] = wants or None
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
            if changed := changes(row, values):
                self._change(id, changed)
            return self.get(id)

    def delete(self, id: str) -> Endpoint:
        """Delete the endpoint. Its deliveries stay as history; pending ones fail."""
        with self._database.transaction():
            endpoint = self.get(id)
            self._database.change(EndpointRow.delete().where(EndpointRow.webhook_id == id))
            self._give_up(id, "the webhook was deleted")
            return endpoint

    def sync_settings(self, wanted: Iterable[ConfiguredEndpoint]) -> list[Endpoint]:
        """Make the endpoints of origin `settings` match the settings, by URL.

        Endpoints that the settings no longer list are deleted. A disabled endpoint stays disabled: a restart must not
        enable a receiver that responded with 410 Gone.
        """
        with self._database.transaction():
            # If the settings list a URL twice, the last entry counts.
            by_url = {each.url: each for each in wanted}
            present = {endpoint.url: endpoint for endpoint in self.list() if endpoint.origin == "settings"}
            for url, secret, events, format, wants in by_url.values():
                known = present.pop(url, None)
                if known is None:
                    self.create(url, events, secret, origin="settings", format=format, wants=wants)
                else:
                    self.update(known.webhook_id, events=events, secret=secret, format=format, wants=wants or {})
            for unlisted in present.values():
                self.delete(unlisted.webhook_id)
            return [endpoint for endpoint in self.list() if endpoint.origin == "settings"]

    def disable(self, id: str, reason: str) -> bool:
        """Disable the endpoint and fail its pending deliveries. Return False if it was disabled already."""
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

    def disabled_by_request(self) -> set[str]:
        """Return the ids of the endpoints that were disabled by request."""
        return {row["webhook_id"] for row in self._database.rows(_DISABLED_BY_REQUEST)}

    def subscribed(self, event: str) -> list[Endpoint]:
        """Return the enabled endpoints that subscribe to this event."""
        return [endpoint for endpoint in self.list() if endpoint.enabled and event in endpoint.events]

    def list(self) -> list[Endpoint]:
        """Return all endpoints, oldest first."""
        return [self._endpoint(row) for row in self._database.rows(_ALL)]

    def _row(self, id: str) -> Row:
        row = self._database.by_key(EndpointRow, id)
        if row is None:
            raise WebhookNotFound.of(id)
        return row

    def _change(self, id: str, values: dict[str, Any]) -> None:
        self._database.change(EndpointRow.update(values).where(EndpointRow.webhook_id == id))

    def _give_up(self, id: str, reason: str) -> None:
        pending = (DeliveryRow.target == id) & (DeliveryRow.status == "pending")
        self._database.change(DeliveryRow.update(status="failed", next_at=None, last_error=reason).where(pending))

    def _endpoint(self, row: Row) -> Endpoint:
        previous = row["previous_secret"]
        opened = {
            "secret": self._vault.open(row["secret"], row["webhook_id"]),
            "previous_secret": previous and self._vault.open(previous, row["webhook_id"]),
        }
        return Endpoint(**{**row, **opened})
