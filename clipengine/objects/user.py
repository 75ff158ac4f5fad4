"""Users and their sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from clipengine.access.roles import Scope, UserRole
from clipengine.objects.base import ApiObject, MaybeTime, Time

UserSource = Literal["proxy", "oidc"]


@dataclass(frozen=True)
class UserObject(ApiObject):
    """A person whom a provider has signed in."""

    user_id: str
    subject: str = ""
    """Name by which the source knows the user; of `oidc`, the issuer and the subject, joined by `#`."""
    source: UserSource = "proxy"
    """What has signed the user in."""
    name: str = ""
    """Display name."""
    role: UserRole = "viewer"
    """What the user may do; `none` until an operator or a sign-in gives a role."""
    created_at: Time = ""
    last_seen_at: MaybeTime = None
    """Time of a recent request, to the minute."""
    disabled_at: MaybeTime = None
    """Since when the user may do nothing; null for a user who may."""


@dataclass(frozen=True)
class SessionObject(ApiObject):
    """A session of a user's browser."""

    session_id: str
    user_id: str = ""
    created_at: Time = ""
    expires_at: Time = ""


@dataclass(frozen=True)
class MeObject(ApiObject):
    """The caller: a user, or a key of the installation."""

    id: str
    """Id of the user or of the key, which is `created_by` of what it creates."""
    name: str = ""
    scopes: list[Scope] = field(default_factory=list)
    """What the caller may do."""
    user: UserObject | None = None
    """Null for a key that belongs to no user."""
