"""Access control: `may` decides what a caller may do with an object.

Every route and every tool of agents asks it, and nothing else decides. A key of the installation has scopes for all
objects. A user has the scopes of a role, of which a key of the user may have fewer; an editor deletes only what the
editor has created. A share opens one clip, the verified sender of an event may register recordings, and some routes are
public.

A request that ends an object is admitted if its caller may end own objects. Whose the object is, and if others have
made something of it, the ledger asks in the transaction that ends it, see `ledger.permission`.

An object that many requests name together is decided one by one: a deletion of clips by their ids is refused if one of
them must not be deleted, and one by a filter leaves such clips out. A batch and a rule act later with the rights that
their request had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from clipengine.access.roles import Scope, may_delete_others_objects
from clipengine.errors import Forbidden
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.rows.permission import Owner

# `download` and `embed` are uses of a clip that a share may exclude; for a key they are reading.
Action = Literal["read", "write", "delete", "download", "embed"]
Extent = Literal["all", "own"]  # objects of everybody, or those that the caller has created

_ACTIONS: tuple[Action, ...] = ("read", "write", "delete")
_ADMINISTRATION = frozenset({"audit", "deliveries", "keys", "rules", "settings", "users", "webhooks"})
_SHOWN_BY = {"endpoint.disabled": "webhooks", "rule.stopped": "rules"}  # kinds of objects, by events of the stream
_KINDS = _ADMINISTRATION | {"batches", "clips", "recordings", "sessions", "transcriptions", "uploads"}


@dataclass(frozen=True)
class Object:
    """Target of a request: the first collection in its path (`clips`), and the id of an object in it.

    Without an `owner`, only operators and keys of the installation may delete it.
    """

    kind: str
    id: str | None = None
    owner: Owner | None = field(default=None, compare=False)

    def belongs_to(self, principal: Principal) -> bool:
        """Return True if the principal is its owner."""
        return self.owner is not None and self.owner() == principal.id


PUBLIC = Object("public")  # the page, the documents, health, signing in and out


@dataclass(frozen=True)
class Sender:
    """The sender of an event that its source has verified, see `clipengine.ingest`."""

    source: str


Caller = Principal | Share | Sender | None  # None: a request without a key


def may(caller: Caller, action: Action, object: Object) -> bool:
    """Return True if the caller may do this with the object."""
    if object == PUBLIC:
        return True
    if isinstance(caller, Principal):
        return needed_scope(action, object) in caller.scopes and not _is_of_another(caller, action, object)
    if isinstance(caller, Share):
        grants = {"read": True, "download": caller.download, "embed": caller.embed}
        return object == Object("clips", caller.clip_id) and not caller.expired and grants.get(action, False)
    if isinstance(caller, Sender):
        return (action, object.kind) == ("write", "recordings")
    return False


def may_receive(principal: Principal, event: str) -> bool:
    """Return True if the stream of events may send an event: its object is one that the principal may read.

    Keys of the installation receive all events, as release 0.2.0 promised.
    """
    kind = _SHOWN_BY.get(event)
    return kind is None or principal.user is None or may(principal, "read", Object(kind))


def rights(principal: Principal) -> dict[str, dict[Action, Extent]]:
    """Return what `may` allows with each kind of object. The page offers actions by it."""
    found: dict[str, dict[Action, Extent]] = {}
    for kind in sorted(_KINDS):
        extents = {action: _extent(principal, action, kind) for action in _ACTIONS}
        found[kind] = {action: extent for action, extent in extents.items() if extent is not None}
    return found


def _extent(principal: Principal, action: Action, kind: str) -> Extent | None:
    if may(principal, action, Object(kind, owner=lambda: "")):
        return "all"
    return "own" if may(principal, action, Object(kind, owner=lambda: principal.id)) else None


def needed_scope(action: Action, object: Object) -> Scope:
    """Return the scope that a key needs."""
    if object.kind in _ADMINISTRATION:
        return "admin"
    if object.kind == "sessions":
        return "read"
    return "write" if action in ("write", "delete") else "read"


def _is_of_another(caller: Principal, action: Action, object: Object) -> bool:
    """Return True if only others may do this with the object."""
    if object.kind == "uploads" and action != "delete":  # an upload goes on with what began it
        return object.owner is not None and not object.belongs_to(caller)
    if object.kind in ("sessions", "uploads"):
        return action == "delete" and "admin" not in caller.scopes and not object.belongs_to(caller)
    has_all = caller.user is None or may_delete_others_objects(caller.user.role)
    return action == "delete" and not has_all and not object.belongs_to(caller)


def require(caller: Caller, action: Action, object: Object) -> None:
    """Raise Forbidden unless the caller may do this with the object."""
    if may(caller, action, object):
        return
    if not isinstance(caller, Principal):
        raise Forbidden("This request is not allowed", hint="Use a key.")
    scope = needed_scope(action, object)
    if scope in caller.scopes and caller.user is None:
        raise Forbidden("This belongs to another key", hint="Use the key that created it.")
    if scope in caller.scopes:
        raise Forbidden("This belongs to someone else", hint="Ask its creator or an operator.")
    if caller.user is not None and scope not in caller.user.scopes:
        raise Forbidden(f"The role `{caller.user.role}` does not allow this", hint="Ask an operator for another role.")
    raise Forbidden(f"This key does not have the scope `{scope}`")
