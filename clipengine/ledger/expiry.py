"""Expiry of clips: the row and its objects are deleted, with the event `clip.expired`.

A clip expires at its `expires_at`, or, if it has none, after the retention time of the settings. Only complete and
failed clips expire; a clip that is due while it is being cut is cut first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clipengine.ledger.clips import Clips
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow
from clipengine.ledger.events import Events
from clipengine.timecode import now_ms

_BATCH = 100


class Expiry:
    def __init__(self, database: Database, clips: Clips, events: Events) -> None:
        self._database = database
        self._clips = clips
        self._events = events

    def run(self, *, keep_ms: int | None) -> int:
        """Delete expired clips and return their number. Clips without `expires_at` expire `keep_ms` after their end.

        One call deletes at most a hundred of either kind, to keep the transaction short. None: they never expire.
        """
        expired = 0
        with self._database.session():
            for due in _due(keep_ms):
                if self._database.row(due.limit(1)) is None:  # without a transaction: most calls find nothing
                    continue
                with self._database.transaction(ordered=False):
                    clips = self._clips.delete_ended(due.limit(_BATCH))
                    self._events.clips_expired(clips)
                expired += len(clips)
        return expired


def _due(keep_ms: int | None) -> Iterator[Any]:
    """Yield the queries of the clips that have expired, longest due first."""
    now = now_ms()
    own = ClipRow.select().where(ClipRow.expires_at <= now, ClipRow.completed_at.is_null(False))
    yield own.order_by(ClipRow.expires_at)
    if keep_ms is not None:
        kept = ClipRow.select().where(ClipRow.expires_at.is_null(), ClipRow.completed_at <= now - keep_ms)
        yield kept.order_by(ClipRow.completed_at)
