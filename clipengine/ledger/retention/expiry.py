"""Expiry of clips and recordings. Of a clip, the row and its objects are deleted, with the event `clip.expired`.

A clip expires at its `expires_at`, or, if it has none, after the retention time of the settings. Only complete and
failed clips expire; a clip that is due while it is being cut is cut first. A recording expires likewise, when it has no
queued or running clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.errors import RecordingBusy
from clipengine.ledger.clips.clips import Clips
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow, RecordingRow
from clipengine.ledger.recordings.recordings import Recordings, works_of_others
from clipengine.ledger.stored_objects.removals import Removals
from clipengine.ledger.webhooks.events import Events
from clipengine.recordings.discovery import id_of_upload

_BATCH = 100


class Expiry:
    def __init__(
        self, database: Database, clips: Clips, recordings: Recordings, removals: Removals, events: Events
    ) -> None:
        self._database = database
        self._clips = clips
        self._recordings = recordings
        self._removals = removals
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
                    self._events.clips_expired(clips, reason="expired")
                expired += len(clips)
        return expired

    def run_recordings(self, *, keep_ms: int | None) -> int:
        """Delete expired recordings with their ended clips, and return their number.

        Complete recordings without `expires_at` expire `keep_ms` after their completion, or never if it is None. The
        object is deleted if it was uploaded through the API and no other row needs it; otherwise it belongs to
        the program that stored it. An `expires_at` of a principal that deletes only its own objects has no effect while
        others have made something of the recording, and deletes only an object that was uploaded as this recording.
        """
        now, expired = now_ms(), 0
        with self._database.session():
            for row in [row for due in _due_recordings(now, keep_ms) for row in self._database.rows(due)]:
                with suppress(RecordingBusy), self._database.transaction(ordered=False):
                    expired += self._expire(row["recording_id"], row["expires_at"])
        return expired

    def _expire(self, id: str, expires_at: int | None) -> bool:
        """Delete a recording that is due. Return False if that has changed."""
        row = self._database.by_key(RecordingRow, id, lock=True)  # no clip of it is created meanwhile
        if row is None or row["expires_at"] != expires_at:
            return False
        owner = row["expires_by"] if expires_at is not None else None
        if owner is not None and self._recordings.has_works_of_others(id, owner):
            return False
        recording = self._recordings.delete(id)
        uploaded = id_of_upload(recording.bucket_path)
        is_own = uploaded == id or (uploaded is not None and owner is None)
        if is_own:
            self._removals.add_recording(recording)
        return True


def _due_recordings(now: int, keep_ms: int | None) -> Iterator[Any]:
    """Yield the queries of a batch of expired recordings, longest due first."""
    active = ClipRow.select(ClipRow.clip_id).where(
        ClipRow.recording_id == RecordingRow.recording_id, ClipRow.status == "processing"
    )
    may_expire = RecordingRow.expires_by.is_null() | ~works_of_others(RecordingRow.expires_by)
    idle = RecordingRow.select(RecordingRow.recording_id, RecordingRow.expires_at).where(~peewee.fn.EXISTS(active))
    yield idle.where(RecordingRow.expires_at <= now, may_expire).order_by(RecordingRow.expires_at).limit(_BATCH)
    if keep_ms is not None:
        old = (RecordingRow.state == "complete", RecordingRow.completed_at <= now - keep_ms)
        kept = idle.where(RecordingRow.expires_at.is_null(), *old)
        yield kept.order_by(RecordingRow.completed_at).limit(_BATCH)


def _due(keep_ms: int | None) -> Iterator[Any]:
    """Yield the queries of the clips that have expired, longest due first."""
    now = now_ms()
    own = ClipRow.select().where(ClipRow.expires_at <= now, ClipRow.completed_at.is_null(False))
    yield own.order_by(ClipRow.expires_at)
    if keep_ms is not None:
        kept = ClipRow.select().where(ClipRow.expires_at.is_null(), ClipRow.completed_at <= now - keep_ms)
        yield kept.order_by(ClipRow.completed_at)
