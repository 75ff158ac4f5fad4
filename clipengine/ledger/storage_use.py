"""Use of the store by recordings and clips: counts and sizes, pending expiries, and the last thirty days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import StorageDayRow
from clipengine.timecode import now_ms

HISTORY_DAYS = 30
LARGEST = 10
_DAY_MS = 24 * 3_600_000
# These read an index only: 500,000 clips take tens of milliseconds.
_RECORDINGS = "SELECT COUNT(*), COALESCE(SUM(file_size_bytes), 0) FROM recordings"
_CLIPS = "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM clips WHERE size_bytes > 0"
_TRANSCRIPTS = "SELECT COUNT(*) FROM transcripts"
_LARGEST_RECORDINGS = (
    "SELECT recording_id, COALESCE(name, ''), file_size_bytes FROM recordings WHERE file_size_bytes > 0 "
    f"ORDER BY file_size_bytes DESC, recording_id DESC LIMIT {LARGEST}"
)
_LARGEST_CLIPS = (
    "SELECT clip_id, label, size_bytes FROM clips WHERE size_bytes > 0 "
    f"ORDER BY size_bytes DESC, clip_id DESC LIMIT {LARGEST}"
)
_OWN = "expires_at <= ? AND completed_at IS NOT NULL"
_KEPT = "expires_at IS NULL AND completed_at <= ?"
_EXPIRING = "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM clips WHERE {}"
_RECORDINGS_EXPIRING = "SELECT COUNT(*), COALESCE(SUM(file_size_bytes), 0) FROM recordings WHERE expires_at <= ?"


@dataclass(frozen=True)
class Amount:
    """A number of objects, and their bytes."""

    count: int
    bytes: int


class Large(NamedTuple):
    """One of the largest recordings or clips."""

    id: str
    name: str
    bytes: int


@dataclass(frozen=True)
class Removed:
    """Clips and recordings that expire within so many days."""

    within_days: int
    clips: Amount
    recordings: Amount


@dataclass(frozen=True)
class StorageDay:
    """The use at the end of a day, or the last known one of today. `day` is its start in ms since 1970, UTC."""

    day: int
    recordings: Amount
    clips: Amount


class StorageUse:
    def __init__(self, database: Database) -> None:
        self._database = database

    def recordings(self) -> Amount:
        return self._amount(_RECORDINGS)

    def clips(self) -> Amount:
        """Return the complete clips."""
        return self._amount(_CLIPS)

    def transcripts(self) -> int:
        return int(self._database.run(_TRANSCRIPTS)[0][0])

    def largest_recordings(self) -> list[Large]:
        return [Large(*row) for row in self._database.run(_LARGEST_RECORDINGS)]

    def largest_clips(self) -> list[Large]:
        return [Large(*row) for row in self._database.run(_LARGEST_CLIPS)]

    def removed(self, within_days: int, *, keep_ms: int | None) -> Removed:
        """Return the clips and recordings that expire soon.

        Clips without `expires_at` expire `keep_ms` after their end, or never if it is None.
        """
        until = now_ms() + within_days * _DAY_MS
        own = self._amount(_EXPIRING.format(_OWN), until)
        kept = Amount(0, 0) if keep_ms is None else self._amount(_EXPIRING.format(_KEPT), until - keep_ms)
        clips = Amount(own.count + kept.count, own.bytes + kept.bytes)
        return Removed(within_days, clips, self._amount(_RECORDINGS_EXPIRING, until))

    def note_day(self) -> None:
        """Store the use of today, and delete days that are too old."""
        today = now_ms() // _DAY_MS * _DAY_MS
        recordings, clips = self.recordings(), self.clips()
        values = {
            "recordings": recordings.count,
            "recordings_bytes": recordings.bytes,
            "clips": clips.count,
            "clips_bytes": clips.bytes,
        }
        row = StorageDayRow.insert(day=today, **values)
        with self._database.transaction(durable=False, ordered=False):
            self._database.insert(row.on_conflict(conflict_target=[StorageDayRow.day], update=values))
            old = StorageDayRow.day <= today - HISTORY_DAYS * _DAY_MS
            self._database.change(StorageDayRow.delete().where(old))

    def history(self) -> list[StorageDay]:
        """Return the days that are known, oldest first."""
        return [
            StorageDay(
                row["day"],
                Amount(row["recordings"], row["recordings_bytes"]),
                Amount(row["clips"], row["clips_bytes"]),
            )
            for row in self._database.rows(StorageDayRow.select().order_by(StorageDayRow.day))
        ]

    def _amount(self, query: str, *values: int) -> Amount:
        count, size = self._database.run(query, values)[0]
        return Amount(int(count), int(size))
