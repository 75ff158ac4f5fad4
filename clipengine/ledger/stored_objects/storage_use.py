"""Use of the store by recordings and clips: counts and sizes, pending expiries, and the last thirty days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clipengine.basis.timecode import now_ms
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import StorageDayRow

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
# {} are the sums of each period, of which the last one, the longest, limits the rows.
_OWN = "SELECT {} FROM clips WHERE expires_at <= ? AND completed_at IS NOT NULL"
_KEPT = "SELECT {} FROM clips WHERE expires_at IS NULL AND completed_at <= ?"
_OWN_RECORDINGS = "SELECT {} FROM recordings WHERE expires_at <= ?"
_KEPT_RECORDINGS = "SELECT {} FROM recordings WHERE expires_at IS NULL AND state = 'complete' AND completed_at <= ?"
_UNTIL = (
    "COALESCE(SUM(CASE WHEN {0} <= ? THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN {0} <= ? THEN {1} ELSE 0 END), 0)"
)


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

    def removed(
        self, days: Sequence[int], *, keep_clips_ms: int | None, keep_recordings_ms: int | None
    ) -> list[Removed]:
        """Return the clips and recordings that expire within each of these periods, which increase.

        Without `expires_at`, they expire so long after their end or completion, or never if it is None.
        """
        ends = [now_ms() + each * _DAY_MS for each in days]
        clips = self._expiring(_OWN, _KEPT, "size_bytes", ends, keep_clips_ms)
        recordings = self._expiring(_OWN_RECORDINGS, _KEPT_RECORDINGS, "file_size_bytes", ends, keep_recordings_ms)
        return [Removed(*found) for found in zip(days, clips, recordings, strict=True)]

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

    def _amount(self, query: str) -> Amount:
        count, size = self._database.run(query)[0]
        return Amount(int(count), int(size))

    def _expiring(self, own: str, kept: str, size: str, ends: Sequence[int], keep_ms: int | None) -> list[Amount]:
        found = self._amounts(own, "expires_at", size, ends)
        if keep_ms is None:
            return found
        others = self._amounts(kept, "completed_at", size, [each - keep_ms for each in ends])
        return [Amount(a.count + b.count, a.bytes + b.bytes) for a, b in zip(found, others, strict=True)]

    def _amounts(self, query: str, time: str, size: str, ends: Sequence[int]) -> list[Amount]:
        """Return the amounts of the rows whose `time` is at most each of `ends`, read once."""
        sums = ", ".join(_UNTIL.format(time, size) for _ in ends)
        values = [end for each in ends for end in (each, each)]
        found = [int(each) for each in self._database.run(query.format(sums), (*values, ends[-1]))[0]]
        return [Amount(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
