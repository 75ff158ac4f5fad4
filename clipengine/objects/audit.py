"""Entries of the audit log, and the actions that it records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clipengine.objects.base import ApiObject, Time

# Each route that changes, downloads or discloses something declares one of these.
AuditAction = Literal[
    "batch.cancel",
    "batch.create",
    "clip.cancel",
    "clip.create",
    "clip.delete",
    "clip.download",
    "clip.retry",
    "clip.update",
    "delivery.redeliver",
    "key.create",
    "key.revoke",
    "other",
    "recording.create",
    "recording.delete",
    "recording.download",
    "recording.end",
    "recording.play",
    "recording.update",
    "rule.backfill",
    "rule.cancel_backfill",
    "rule.create",
    "rule.delete",
    "rule.update",
    "secrets.reset",
    "segments.update",
    "session.begin",
    "session.end",
    "share.create",
    "share.delete",
    "share.download",
    "share.read",
    "share.view",
    "tool.call",
    "transcript.delete",
    "transcript.update",
    "transcription.cancel",
    "transcription.create",
    "upload.append",
    "upload.begin",
    "upload.end",
    "user.create",
    "user.delete",
    "user.update",
    "webhook.create",
    "webhook.delete",
    "webhook.test",
    "webhook.update",
]
ActorKind = Literal["user", "key", "share", "source", "machine", "unknown"]
Means = Literal["key", "session", "proxy", "oidc", "share", "signature", "command", "batch"]
Outcome = Literal["done", "refused"]


@dataclass(frozen=True)
class AuditEntryObject(ApiObject):
    """An action, or a number of equal ones within a minute."""

    audit_id: str
    """Id of the entry."""
    at: Time = ""
    """When it was recorded. Counted actions happened in the minute before."""
    action: AuditAction = "clip.create"
    """The change, download or disclosure. `other` counts further actions of a caller together."""
    outcome: Outcome = "done"
    """`refused`: the request got 401 or 403, or called a tool that the caller may not use."""
    count: int = 1
    """Number of equal actions: refused requests, and visits of a share, are counted by the minute."""
    actor_kind: ActorKind = "unknown"
    """Who acted: a user, a key of the installation, visitors of a share, a source of events or users, or a command."""
    actor_id: str | None = None
    """Id of the user, key or share, name of the source, or user id of the operating system."""
    means: Means | None = None
    """Credential or command by which the actor was known."""
    means_id: str | None = None
    """Id of the key, session, share or batch."""
    peer: str | None = None
    """Address of the connection, as the server knows it. Null for visitors of shares, and for commands."""
    object_id: str | None = None
    """The changed, created, deleted or downloaded object. Null if many are counted together."""
    within_id: str | None = None
    """The clip of a share, the recording of a clip or transcript, or the user of a session, if it is known."""
    request_id: str | None = None
    """`X-Request-Id` of the request, which log lines have as well."""
    batch: int | None = None
    """Number of the batch that seals the entry. Null until it is sealed, within two minutes."""
