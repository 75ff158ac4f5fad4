"""Clips that have had their time: forgotten, with their objects removed and an event that tells of it.

A clip expires at its own `expires_at`, or where it has none, so long after its end as the operator keeps clips. Only
what has ended expires: a clip whose time comes while it is cut is cut first.
"""

from __future__ import annotations

import peewee

from clipengine.ledger.clips import Clips
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow
from clipengine.ledger.database.statements import Statement, param
from clipengine.ledger.events import Events
from clipengine.ledger.removals import Removals
from clipengine.timecode import now_ms

_ENDED = ClipRow.completed_at.is_null(False)
_OWN = Statement(
    ClipRow.select(ClipRow.clip_id)
    .where(ClipRow.expires_at <= param(ClipRow.expires_at), _ENDED)
    .order_by(ClipRow.expires_at)
    .limit(peewee.SQL("100"))
)
_KEPT = Statement(
    ClipRow.select(ClipRow.clip_id)
    .where(ClipRow.expires_at.is_null(), ClipRow.completed_at <= param(ClipRow.completed_at))
    .order_by(ClipRow.completed_at)
    .limit(peewee.SQL("100"))
)


class Expiry:
    def __init__(self, database: Database, clips: Clips, events: Events, removals: Removals) -> None:
        self._database = database
        self._clips = clips
        self._events = events
        self._removals = removals

    def run(self, *, keep_ms: int | None) -> int:
        """Forget what has expired, `keep_ms` after its end where it has no time of its own; how many clips.

        At most a hundred of each kind in one call, so that the writer's place is not held for long. None keeps clips
        for ever.
        """
        with self._database.session():
            if not self._due(keep_ms):  # without the writer's lock: most calls find nothing
                return 0
            with self._database.transaction():
                due = self._due(keep_ms)
                for id in due:
                    clip = self._clips.get(id)
                    self._database.change(ClipRow.delete().where(ClipRow.clip_id == id))
                    self._removals.add_clip(clip)
                    self._events.clip_expired(clip)
                    self._database.record_change("clip", id)
                return len(due)

    def _due(self, keep_ms: int | None) -> list[str]:
        now = now_ms()
        rows = self._database.rows(_OWN, expires_at=now)
        if keep_ms is not None:
            rows += self._database.rows(_KEPT, completed_at=now - keep_ms)
        return [row["clip_id"] for row in rows]
