"""Expiry of clips: the row and its objects are deleted, with the event `clip.expired`.

A clip expires at its `expires_at`, or, if it has none, after the retention time of the settings. Only complete and
failed clips expire; a clip that is due while it is being cut is cut first.
"""

from __future__ import annotations

import peewee

from clipengine.ledger.clips import Clips
from clipengine.ledger.database.database import Database, Statement, param
from clipengine.ledger.database.schema import ClipRow
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
        """Delete expired clips and return their number. Clips without `expires_at` expire `keep_ms` after their end.

        One call deletes at most a hundred of either kind, to keep the transaction short. None: they never expire.
        """
        with self._database.session():
            if not self._due(keep_ms):  # without a transaction: most calls find nothing
                return 0
            with self._database.transaction(ordered=False):
                expired = 0
                for id in self._due(keep_ms):
                    clip = self._clips.find_locked(id)
                    if clip is None or not clip.ended:  # another engine was faster, or it was retried
                        continue
                    expired += 1
                    self._database.change(ClipRow.delete().where(ClipRow.clip_id == id))
                    self._removals.add_clip(clip)
                    self._events.clip_expired(clip)
                    self._database.record_change("clip", id)
                return expired

    def _due(self, keep_ms: int | None) -> list[str]:
        now = now_ms()
        rows = self._database.rows(_OWN, expires_at=now)
        if keep_ms is not None:
            rows += self._database.rows(_KEPT, completed_at=now - keep_ms)
        return [row["clip_id"] for row in rows]
