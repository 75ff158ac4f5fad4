"""The order in which transactions lock rows, so that two of them never wait for each other.

SQLite has one writer, which begins with BEGIN IMMEDIATE. Transactions of PostgreSQL lock in this order, and leave out
what they do not need:

1. the write lock of `ordered` transactions, the turns of an idempotency key, of the batches and of the rules
2. recordings, several in the order of their ids: whoever adds, changes or deletes clips, transcripts, transcriptions,
   segments, markers, pieces or the fetch of a recording by its side locks it first
3. the turn `said`, of the words of speech
4. clips, several in the order of their ids, before a transaction changes the first of them
5. rows that belong to a recording or a clip: documents, shares, transcripts, transcriptions, fetches, live recordings
6. the turn of an object's path, and removals
7. the turn `events`, which each event takes: after it, a transaction locks nothing that others lock before it

Workers that look for rows to claim, and those that delete old ones, skip rows that are locked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import ClipRow, RecordingRow


def lock_recordings(database: Database, ids: Collection[str]) -> None:
    """Lock the recordings with these ids until the transaction ends."""
    if database.shared and ids:
        found = RecordingRow.select(RecordingRow.recording_id).where(RecordingRow.recording_id.in_(sorted(ids)))
        database.rows(database.locked(found.order_by(RecordingRow.recording_id)))


def lock_clips(database: Database, *where: Any) -> None:
    """Lock the clips on these conditions until the transaction ends."""
    if database.shared:
        found = ClipRow.select(ClipRow.clip_id).where(*where)
        database.rows(database.locked(found.order_by(ClipRow.clip_id)))


def locked_clips(database: Database, ids: Collection[str]) -> list[Row]:
    """Lock the clips with these ids until the transaction ends, and return the rows of those that exist."""
    found = ClipRow.select().where(ClipRow.clip_id.in_(sorted(ids)))
    return database.rows(database.locked(found.order_by(ClipRow.clip_id)))
