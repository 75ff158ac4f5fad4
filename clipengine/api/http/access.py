"""Access control: `may` decides what a caller may do with an object.

Every route and every tool of agents asks it, and nothing else decides. Today's rights are few: a key has scopes for all
objects, a share opens one clip, the verified sender of an event may register recordings, and some routes are public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clipengine.errors import Forbidden
from clipengine.ledger.keys import ApiKey
from clipengine.ledger.shares import Share
from clipengine.objects.key import Scope

# `download` and `embed` are uses of a clip that a share may exclude; for a key they are reading.
Action = Literal["read", "write", "download", "embed"]

_ADMINISTRATION = frozenset({"deliveries", "keys", "rules", "settings", "webhooks"})


@dataclass(frozen=True)
class Object:
    """Target of a request: the first collection in its path (`clips`), and the id of an object in it.

    An object that belongs to one key has the id of that key.
    """

    kind: str
    id: str | None = None
    key_id: str | None = None


PUBLIC = Object("public")  # the page, the documents, health, signing in and out


@dataclass(frozen=True)
class Sender:
    """The sender of an event that its source has verified, see `clipengine.ingest`."""

    source: str


Caller = ApiKey | Share | Sender | None  # None: a request without a key


def may(caller: Caller, action: Action, object: Object) -> bool:
    """Return True if the caller may do this with the object."""
    if object == PUBLIC:
        return True
    if isinstance(caller, ApiKey):
        return needed_scope(action, object) in caller.scopes and object.key_id in (None, caller.key_id)
    if isinstance(caller, Share):
        grants = {"read": True, "download": caller.download, "embed": caller.embed}
        return object == Object("clips", caller.clip_id) and not caller.expired and grants.get(action, False)
    if isinstance(caller, Sender):
        return (action, object.kind) == ("write", "recordings")
    return False


def needed_scope(action: Action, object: Object) -> Scope:
    """Return the scope that a key needs."""
    if object.kind in _ADMINISTRATION:
        return "admin"
    return "write" if action == "write" else "read"


def require(caller: Caller, action: Action, object: Object) -> None:
    """Raise Forbidden unless the caller may do this with the object."""
    if may(caller, action, object):
        return
    if isinstance(caller, ApiKey) and object.key_id not in (None, caller.key_id):
        raise Forbidden("This belongs to another key", hint="Use the key that created it.")
    if isinstance(caller, ApiKey):
        raise Forbidden(f"This key does not have the scope `{needed_scope(action, object)}`")
    raise Forbidden("This request is not allowed", hint="Use a key.")
