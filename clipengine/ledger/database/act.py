"""Acts: what a request or a command does, recorded by `Database` in the transaction of its first change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from clipengine.objects.audit import ActorKind, AuditAction, Means

_CHARACTERS = 100  # of an id, which may come from a path
_WITHOUT_OBJECT: tuple[AuditAction, ...] = ("secrets.reset", "session.begin", "session.end")


@dataclass(frozen=True)
class Actor:
    """Who acts, with what, and from where."""

    kind: ActorKind
    id: str | None = None
    means: Means | None = None
    means_id: str | None = None
    peer: str | None = None

    @classmethod
    def of_batch(cls, created_by: str | None, batch_id: str) -> Actor:
        """Return the user or key that has requested a batch."""
        kind: ActorKind = "user" if (created_by or "").startswith("user_") else "key"
        return cls(kind, created_by, "batch", batch_id)


class Act:
    """One action. It is not recorded until its actor is known.

    `path` has the ids in the address of a request. They name the object, unless the request creates another one.
    """

    def __init__(
        self,
        action: AuditAction,
        actor: Actor | None = None,
        *,
        path: Sequence[str] = (),
        request_id: str | None = None,
    ) -> None:
        self.action = action
        self.actor = actor
        self.request_id = request_id
        self.has_changed = False
        self.is_recorded = False
        self._path = tuple(id[:_CHARACTERS] for id in path)
        self._named: tuple[str, ...] = ()
        self._changed: dict[str, None] = {}

    def name(self, ids: Sequence[str]) -> None:
        """Set the objects, for example those that the request has created."""
        self._named = tuple(ids)

    def note(self, id: str) -> None:
        """Add an object that the ledger has changed. It counts if neither the request nor its answer names one."""
        self._changed[id] = None

    def undo(self) -> None:
        """Forget the changes of a transaction that has failed."""
        self.has_changed = self.is_recorded = False
        self._named = ()
        self._changed.clear()

    @property
    def objects(self) -> Sequence[tuple[str | None, str | None]]:
        """The id of each object, and of the object that contains it.

        An act that needs an object and has none, such as a deletion of clips that do not exist, is not recorded.
        """
        first = self._path[0] if self._path else None
        ids = self._named or self._path[-1:] or tuple(self._changed)
        found = [(id, first if first != id else None) for id in ids]
        return found or [(None, None)] * (self.action in _WITHOUT_OBJECT)


_current: ContextVar[Act | None] = ContextVar("act", default=None)


def current_act() -> Act | None:
    return _current.get()


@contextmanager
def acting(act: Act | None) -> Iterator[Act | None]:
    """Record this act with the first change of the block, in the block's threads as well. None: record nothing."""
    token = _current.set(act)
    try:
        yield act
    finally:
        _current.reset(token)
