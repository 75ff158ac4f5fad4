"""Acts of sources, which send events or state users, for the audit log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.requests import Request

from clipengine.ledger.database.act import Act, Actor
from clipengine.objects.audit import Means

MakeAct = Callable[..., Act]  # of an action, and the `path` to its object


def acts_of_source(source: str, means: Means, request: Request) -> MakeAct:
    """Return the maker of acts of the source that has sent or caused the request."""
    actor = Actor("source", source, means, peer=peer_of(request))
    return partial(Act, actor=actor, request_id=request.scope["request_id"])


def peer_of(request: Request) -> str | None:
    """Return the address of the connection."""
    return None if request.client is None else request.client.host
