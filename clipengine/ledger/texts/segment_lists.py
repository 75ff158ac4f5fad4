"""Lists of segments: the ranges that users have marked in a recording, and the look of clips made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.errors import RecordingNotFound
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import RecordingRow, SegmentListRow


@dataclass(frozen=True)
class SegmentList:
    """The list of a recording. Its version is 0 until one is stored, and rises with each that replaces it."""

    recording_id: str
    version: int = 0
    title: str = ""
    segments: list[dict[str, Any]] = field(default_factory=list)
    look: dict[str, Any] = field(default_factory=dict)
    updated_at: int | None = None
    created_by: str | None = None  # who stored the first version with contents


class SegmentLists:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, recording_id: str) -> SegmentList:
        """Return the list of a recording, which is empty if none is stored. Raises RecordingNotFound."""
        if self._database.by_key(RecordingRow, recording_id) is None:
            raise RecordingNotFound.of(recording_id)
        return self._stored(recording_id)

    def put(
        self,
        recording_id: str,
        *,
        title: str,
        segments: list[dict[str, Any]],
        look: dict[str, Any],
        created_by: str | None = None,
        check: Callable[[SegmentList], None],
    ) -> SegmentList:
        """Replace the list of a recording, unless `check` raises for the stored one. Raises RecordingNotFound."""
        with self._database.transaction(ordered=False):
            # With a lock, so that the second of two writers checks the list of the first.
            if self._database.by_key(RecordingRow, recording_id, lock=True) is None:
                raise RecordingNotFound.of(recording_id)
            stored = self._stored(recording_id)
            check(stored)
            # An empty list has no content that belongs to its creator, as in `works_of_others`.
            creator = stored.created_by if stored.title or stored.segments or stored.look else created_by
            made = SegmentList(recording_id, stored.version + 1, title, segments, look, now_ms(), creator)
            update = {name: value for name, value in vars(made).items() if name != "recording_id"}
            query = SegmentListRow.insert(vars(made))
            self._database.insert(query.on_conflict(conflict_target=[SegmentListRow.recording_id], update=update))
        return made

    def _stored(self, recording_id: str) -> SegmentList:
        row = self._database.by_key(SegmentListRow, recording_id)
        return SegmentList(recording_id) if row is None else SegmentList(**row)
