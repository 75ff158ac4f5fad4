"""Acts of requests, for the audit log: who sends a request with what, and how its operation is recorded.

An operation declares its action. A change is recorded in its transaction, a download once it succeeds, and a request
that is refused with 401 or 403 is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from clipengine.api.http.auth import Credential
from clipengine.api.http.source_acts import peer_of
from clipengine.errors import Forbidden, InvalidSignature, Unauthorized
from clipengine.ledger.audit.audit import Audit
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.ledger.people.principals import Principal
from clipengine.objects.audit import ActorKind, AuditAction, Means

_REFUSED = (Unauthorized, InvalidSignature, Forbidden)
_ACT = "clipengine.act"


def actor_of(caller: Principal, request: Request, given: Credential | None = None) -> Actor:
    """Return the actor of a request with this credential, or of one that begins a session."""
    means: Means = "key" if caller.session_id is None else "session"
    if given is not None and given.is_session:
        means = "session" if given.identity is None else "proxy"
    kind: ActorKind = "key" if caller.user is None else "user"
    return Actor(kind, caller.id, means, caller.session_id or caller.key_id, peer_of(request))


def act_of(request: Request) -> Act | None:
    """Return the act of a request, or None if its route has none."""
    found: Act | None = request.scope.get(_ACT)
    return found


def set_actor(request: Request, actor: Actor, audit: Audit) -> None:
    """Set the actor of the request, from which on its changes are recorded."""
    act = act_of(request)
    assert act is not None
    act.actor = actor
    if act.action == "upload.append":  # of many requests
        act.is_recorded = not audit.begins_viewing(act)


def named_ids(body: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids of the objects in the response to a request that changes them."""
    found: list[str] = []
    many = body.get("data")
    for each in many if isinstance(many, list) else [body]:
        ids = [value for name, value in each.items() if name.endswith("_id")]
        found.extend(ids[:1])
    return found


@contextmanager
def recording(audit: Audit, request: Request, action: AuditAction, *, changes: bool = True) -> Iterator[Act]:
    """Record what the request does in the block, once its actor is set, and count it if it is refused.

    With `changes`, that is in the transaction of its first change.
    """
    act = Act(action, path=[*map(str, request.path_params.values())], request_id=request.scope["request_id"])
    request.scope[_ACT] = act
    try:
        with acting(act if changes else None):
            yield act
    except _REFUSED:
        act.actor = act.actor or Actor("unknown", peer=peer_of(request))
        count_refusal(audit, act)
        raise


def count_refusal(audit: Audit, act: Act) -> None:
    """Count an act that was refused."""
    assert act.actor is not None
    audit.count(act.action, act.actor, outcome="refused")
