"""Counts of refused requests and of visits of shares in memory, until they become rows of the audit log.

Their number is bounded, and each caller has few of them: neither a caller who tries every route nor a flood of requests
from many addresses hides who else was refused.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clipengine.ledger.database.act import Actor
from clipengine.objects.audit import AuditAction, Outcome

MOST_CALLERS = 100  # whose id is known, of each outcome
MOST_ADDRESSES = 20  # of other callers, who may have many
MOST_ACTIONS = 3  # of a caller


@dataclass(frozen=True)
class Counted:
    """Action, caller and object that share one count."""

    outcome: Outcome
    action: AuditAction
    actor: Actor
    object_id: str | None = None


class AuditCounts:
    """The counts since the last `take`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rooms = _rooms()

    def add(self, counted: Counted, count: int = 1) -> None:
        """Count an action: of a caller who has too many, without the action, and of too many callers, without both."""
        is_known = counted.actor.id is not None
        caller = counted.actor.id if is_known else counted.actor.peer
        with self._lock:
            room = self._rooms[counted.outcome, is_known]
            if caller not in room and len(room) >= (MOST_CALLERS if is_known else MOST_ADDRESSES):
                caller, counted = None, replace(counted, actor=Actor("unknown"), object_id=None)
            counts = room[caller]
            if counted not in counts and len(counts) >= MOST_ACTIONS:
                counted = Counted(counted.outcome, "other", _named_alone(counted.actor))
            counts[counted] += count

    def take(self) -> Mapping[Counted, int]:
        """Return the counts, and begin again."""
        with self._lock:
            rooms, self._rooms = self._rooms, _rooms()
        found: Counter[Counted] = Counter()
        for room in rooms.values():
            for counts in room.values():
                found.update(counts)
        return found


def _rooms() -> defaultdict[tuple[Outcome, bool], defaultdict[str | None, Counter[Counted]]]:
    """Return no counts: by outcome, and by id or address of the caller. None stands for the callers without room."""
    return defaultdict(lambda: defaultdict(Counter))


def _named_alone(actor: Actor) -> Actor:
    """Return the actor without the means, and without the address if there is an id."""
    return Actor(actor.kind, actor.id, peer=actor.peer if actor.id is None else None)
