"""The limit of the bytes of clips. Above it, clips are deleted until they use 95 % of it.

Clips with `expires_at` are deleted first, soonest first, then the others, oldest first. A clip is kept while it has the
tag `keep` or a share that has not expired, and for an hour after its end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.ledger.clips.clips import KEEP_TAG, Clips
from clipengine.ledger.database.database import Database, compact_json
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import ClipRow, ShareRow
from clipengine.ledger.stored_objects.storage_use import Amount, StorageUse
from clipengine.ledger.webhooks.events import Events

_NAME = "clip_limit"  # of the row of `meta`, and of the turn of the engine that deletes
_BATCH = 100
_KEPT_MS = 3_600_000
_WARN, _ARM, _TARGET = 0.8, 0.75, 0.95  # of the limit


class _Order(NamedTuple):
    """A kind of clips, and the column by which its first ones are deleted first."""

    condition: Any
    column: Any


_ORDERS = (
    _Order(ClipRow.expires_at.is_null(False), ClipRow.expires_at),
    _Order(ClipRow.expires_at.is_null(), ClipRow.completed_at),
)


@dataclass(frozen=True)
class LimitState:
    """What was reported: a use of 80 % until it is below 75 %, and an excess that remains until it has gone."""

    warned: bool = False
    unmet: bool = False


class ClipLimit:
    """Deletes complete clips above a number of bytes.

    `used` is the use that this engine has read last, and `max_bytes` the limit that it has compared with it.
    """

    def __init__(self, database: Database, clips: Clips, events: Events, use: StorageUse) -> None:
        self._database = database
        self._clips = clips
        self._events = events
        self._use = use
        self._reducing = False
        self.used = Amount(0, 0)
        self.max_bytes = 0

    def run(self, max_bytes: int) -> int:
        """Delete one batch of clips if they use more than `max_bytes`, and return its number.

        The next calls delete further batches until 95 % are used. The last call, which returns 0, records
        `storage.warning` once when 80 % are used, and `storage.limit_unmet` once when no further clip may be deleted.
        """
        with self._database.session():
            self.used, self.max_bytes, target = self._use.clips(), max_bytes, int(max_bytes * _TARGET)
            self._reducing = self.used.bytes > (target if self._reducing else max_bytes)
            if self._reducing and (deleted := self._delete_batch(target)):
                return deleted
            self._reducing = False
            self._report(max_bytes)
            return 0

    def state(self) -> LimitState:
        """Return what was reported."""
        stored = read_meta(self._database, _NAME)
        return LimitState() if stored is None else LimitState(**json.loads(stored))

    def _delete_batch(self, target: int) -> int:
        """Delete at most a hundred clips, no more than needed to use `target` bytes, and return their number."""
        for order in _ORDERS:
            # Outside the transaction: a search among many kept clips must not hold the write lock.
            found = [row["clip_id"] for row in self._database.rows(_deletable(self._database, order).limit(_BATCH))]
            if found and (deleted := self._delete(found, order, target)):
                return deleted
        return 0

    def _delete(self, ids: Sequence[str], order: _Order, target: int) -> int:
        with self._database.transaction(ordered=False):
            self._database.turn(_NAME)
            these = ClipRow.select(ClipRow.clip_id).where(ClipRow.clip_id.in_(ids))
            locked = [row["clip_id"] for row in self._database.rows(self._database.unlocked(these))]
            excess, chosen = self._use.clips().bytes - target, []
            # Read again: a tag or a share may have been added before the rows were locked.
            for row in self._database.rows(_deletable(self._database, order).where(ClipRow.clip_id.in_(locked))):
                if excess > 0:
                    chosen.append(row["clip_id"])
                    excess -= row["size_bytes"]
            clips = self._clips.delete_ended(ClipRow.select().where(ClipRow.clip_id.in_(chosen)))
            self._events.clips_expired(clips, reason="limit")
            return len(clips)

    def _report(self, max_bytes: int) -> None:
        """Store the state of the limit, and record an event for what is new in it."""
        share = self.used.bytes / max_bytes
        known = self.state()
        if _following(known, share) == known:  # without a transaction: most calls change nothing
            return
        with self._database.transaction(ordered=False):
            self._database.turn(_NAME)
            known = self.state()
            found = _following(known, share)
            store_meta(self._database, _NAME, compact_json(asdict(found)))
            if found.warned and not known.warned:
                self._events.storage_reported("storage.warning", self.used, max_bytes)
            if found.unmet and not known.unmet:
                self._events.storage_reported("storage.limit_unmet", self.used, max_bytes)


def _following(known: LimitState, share: float) -> LimitState:
    """Return the state when clips use this share of the limit and no further clip may be deleted."""
    return LimitState(warned=share >= (_ARM if known.warned else _WARN), unmet=share > 1)


def _deletable(database: Database, order: _Order) -> Any:
    """Return the query of the clips that the limit may delete, in their order."""
    now = now_ms()
    shared = ShareRow.select(ShareRow.share_id).where(
        ShareRow.clip_id == ClipRow.clip_id, ShareRow.expires_at.is_null() | (ShareRow.expires_at > now)
    )
    query = ClipRow.select(ClipRow.clip_id, ClipRow.size_bytes).where(
        order.condition,
        ClipRow.size_bytes > 0,  # complete
        ClipRow.completed_at <= now - _KEPT_MS,
        ~database.contains(ClipRow.tags, compact_json(KEEP_TAG)),
        ~peewee.fn.EXISTS(shared),
    )
    return query.order_by(order.column)
