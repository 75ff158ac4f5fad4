"""Policy: which role the groups of a user give, and what a role allows. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

Scope = Literal["read", "write", "admin"]
Role = Literal["viewer", "editor", "operator"]
UserRole = Literal["none", Role]  # none: the source of the user states no role any more

SCOPES: dict[UserRole, tuple[Scope, ...]] = {
    "none": (),
    "viewer": ("read",),
    "editor": ("read", "write"),
    "operator": ("read", "write", "admin"),
}


class GroupRoles(Protocol):
    """Groups by the role that they give, and the role of a user without such a group."""

    @property
    def operators(self) -> Collection[str]: ...
    @property
    def editors(self) -> Collection[str]: ...
    @property
    def viewers(self) -> Collection[str]: ...
    @property
    def default_role(self) -> UserRole: ...


def role_of(groups: Collection[str], given: GroupRoles) -> UserRole:
    """Return the highest role that the groups give, or the default role if they give none."""
    own = set(groups)
    if not own.isdisjoint(given.operators):
        return "operator"
    if not own.isdisjoint(given.editors):
        return "editor"
    if not own.isdisjoint(given.viewers):
        return "viewer"
    return given.default_role


def may_delete_others_objects(role: UserRole) -> bool:
    """Return True if the role may delete what other users have created."""
    return role == "operator"
