"""The installation: its status, its settings and its API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clipengine.client.exchange import Api, Steps, route, without_none
from clipengine.client.methods import AsyncResource, Resource, awaiting, blocking
from clipengine.client.models import ApiKey, AuditEntry, Object, Page, format_time
from clipengine.client.transport import AsyncTransport, Transport


class InstallationCalls:
    """The calls about the installation."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def status(self) -> Steps[Object]:
        """Return queues, engines, disk, checks, and how the clips of the last 24 hours ended."""
        return self._api.get("/v1/status")

    def storage(self) -> Steps[Object]:
        """Return what fills the store: counts, sizes, the largest ones, what expires soon, and the last 30 days."""
        return self._api.get("/v1/storage")

    def settings(self) -> Steps[Object]:
        """Return the settings of the engine, with secrets masked."""
        return self._api.get("/v1/settings")

    def create_key(
        self,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[ApiKey]:
        """Create an API key, with the scopes `read` and `write` by default. Its `key` is not shown again."""
        body = without_none({"name": name, "scopes": scopes and [*scopes], "user_id": user_id})
        return ApiKey.from_object((yield from self._api.create("/v1/keys", body, idempotency_key=idempotency_key)))

    def keys(self) -> Steps[Page[ApiKey]]:
        """Return all keys, also revoked ones, oldest first."""
        return Page.of((yield from self._api.get("/v1/keys")), ApiKey.from_object)

    def audit(
        self,
        *,
        actor: str | None = None,
        object: str | None = None,
        action: str | None = None,
        after: str | datetime | None = None,
        before: str | datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[AuditEntry]]:
        """Return one page of the audit log, newest first: of an actor, an object, an action, between two times."""
        params = {"actor": actor, "object": object, "action": action}
        params |= {"after": format_time(after), "before": format_time(before), "cursor": cursor}
        found = yield from self._api.get("/v1/audit", {**params, "limit": limit})
        return Page.of(found, AuditEntry.from_object)

    def revoke_key(self, key_id: str) -> Steps[None]:
        """Revoke a key: it becomes invalid at once."""
        yield from self._api.send("DELETE", route("keys", key_id))


class Installation(Resource[InstallationCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, InstallationCalls(api))

    status = blocking(InstallationCalls.status)
    storage = blocking(InstallationCalls.storage)
    settings = blocking(InstallationCalls.settings)
    create_key = blocking(InstallationCalls.create_key)
    keys = blocking(InstallationCalls.keys)
    audit = blocking(InstallationCalls.audit)
    revoke_key = blocking(InstallationCalls.revoke_key)


class AsyncInstallation(AsyncResource[InstallationCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, InstallationCalls(api))

    status = awaiting(InstallationCalls.status)
    storage = awaiting(InstallationCalls.storage)
    settings = awaiting(InstallationCalls.settings)
    create_key = awaiting(InstallationCalls.create_key)
    keys = awaiting(InstallationCalls.keys)
    audit = awaiting(InstallationCalls.audit)
    revoke_key = awaiting(InstallationCalls.revoke_key)
