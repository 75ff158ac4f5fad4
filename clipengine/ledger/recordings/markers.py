"""Markers of recordings, by which rules make clips."""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.basis.timecode import now_ms
from clipengine.errors import RecordingNotFound
from clipengine.ledger.database.database import Database, insert_statement
from clipengine.ledger.database.schema import MarkerRow, RecordingRow
from clipengine.ledger.webhooks.events import Events
from clipengine.recordings.markers import MAX_MARKERS, Marker

_INSERT = insert_statement(MarkerRow)


class Markers:
    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events

    def add(self, recording_id: str, markers: Sequence[Marker]) -> int:
        """Store the markers that are new, with the event `marker.added`, and return their number.

        Those beyond MAX_MARKERS are left out. Raises RecordingNotFound.
        """
        with self._database.transaction(ordered=False):
            if self._database.by_key(RecordingRow, recording_id, lock=True) is None:
                raise RecordingNotFound.of(recording_id)
            known = {each.key for each in self.list(recording_id)}
            found = {each.key: each for each in markers if each.key not in known}
            new = [*found.values()][: MAX_MARKERS - len(known)]
            if new:
                of_all = {"recording_id": recording_id, "created_at": now_ms()}
                self._database.insert_many(_INSERT, [{**of_all, "key": each.key, **vars(each)} for each in new])
                self._events.markers_added(recording_id, new)
        return len(new)

    def list(self, recording_id: str) -> list[Marker]:
        """Return the markers of a recording in the order in which they came."""
        query = MarkerRow.select().where(MarkerRow.recording_id == recording_id)
        rows = self._database.rows(query.order_by(MarkerRow.created_at, MarkerRow.key))
        return [Marker(**{name: row[name] for name in Marker.__dataclass_fields__}) for row in rows]
