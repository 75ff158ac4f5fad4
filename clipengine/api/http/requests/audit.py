"""The audit log."""

from __future__ import annotations

from pydantic import Field

from clipengine.api.http.requests.fields import Filter, Moment, PageQuery
from clipengine.objects.audit import AuditAction


class ListAudit(PageQuery):
    actor: Filter | None = Field(default=None, description="By this user, key, share or source of events.")
    object: Filter | None = Field(default=None, description="With this object, or with one that belongs to it.")
    action: AuditAction | None = Field(default=None, description="With this action.")
    after: Moment | None = Field(default=None, description="Recorded at or after this time.")
    before: Moment | None = Field(default=None, description="Recorded before this time.")
