"""Statistics of the queues and of the clips that have ended, for metrics, health checks and the status."""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.ledger.database.database import Database
from clipengine.objects.webhook import DISABLED_BY_REQUEST
from clipengine.rules.rule import DISABLED_IN_SETTINGS


@dataclass(frozen=True)
class QueueStats:
    """Length and age of the queues. Times are in ms since 1970, or None if there is no such row.

    Rows that are set aside need a newer engine. `oldest_*` is the creation time of the oldest row, `queued_since` the
    time since which a clip waits to be claimed.
    """

    clips_queued: int
    clips_running: int
    oldest_clip: int | None
    queued_since: int | None
    recordings_processing: int
    recordings_silent: int
    clips_set_aside: int
    recordings_set_aside: int
    deliveries_pending: int
    oldest_delivery: int | None
    removals_pending: int
    rules_stopped: int
    file_bytes: int
    wal_bytes: int


@dataclass(frozen=True)
class Failures:
    """The clips that have failed with one code, and the last of them, which may be deleted since."""

    code: str
    clips: int
    last_clip_id: str


_HOUR_MS = 3_600_000
_CLIPS = "SELECT state, COUNT(*) FROM clips WHERE state IN ('queued', 'cutting', 'uploading') GROUP BY state"
_OLDEST_CLIP = "SELECT MIN(created_at) FROM clips WHERE status = 'processing' AND step <> 'waiting'"
_QUEUED_SINCE = (
    f"SELECT MIN(queued_at) FROM clips WHERE state = 'queued' AND step <> 'waiting' AND needs <= {ROW_FORMAT}"
)
# The first condition is the condition of the partial indexes.
_SET_ASIDE = f"needs > {FIRST_FORMAT} AND needs > {ROW_FORMAT}"
_CLIPS_ASIDE = f"SELECT COUNT(*) FROM clips WHERE {_SET_ASIDE} AND status = 'processing'"
_RECORDINGS_ASIDE = (
    f"SELECT (SELECT COUNT(*) FROM recordings WHERE {_SET_ASIDE} AND state = 'processing')"
    f" + (SELECT COUNT(*) FROM live_recordings WHERE {_SET_ASIDE})"
)
_RECORDINGS = "SELECT COUNT(*) FROM recordings WHERE state = 'processing'"
_SILENT = "SELECT COUNT(*) FROM recordings WHERE silent_since IS NOT NULL"
# Without deliveries that wait for an endpoint that was disabled by request: they need no attention.
_DELIVERIES = (
    "SELECT COUNT(*), MIN(created_at) FROM deliveries WHERE status IN ('pending', 'sending') AND target NOT IN "
    f"(SELECT webhook_id FROM endpoints WHERE disabled_reason = '{DISABLED_BY_REQUEST}')"
)
_REMOVALS = "SELECT COUNT(*) FROM removals"  # includes objects that are deleted a second time
_STOPPED = (  # by the engine, after failures in a row
    "SELECT COUNT(*) FROM rules WHERE NOT enabled AND removed_at IS NULL "
    f"AND stopped_reason NOT IN ('{DISABLED_BY_REQUEST}', '{DISABLED_IN_SETTINGS}')"
)
_CUTTING = "SELECT owner, COUNT(*) FROM clips WHERE state = 'cutting' GROUP BY owner"
_ENDED = (
    f"SELECT created_at / {_HOUR_MS}, SUM(CASE WHEN type = 'clip.ready' THEN 1 ELSE 0 END), COUNT(*) FROM events "
    "WHERE created_at >= ? AND type IN ('clip.ready', 'clip.failed') GROUP BY 1 ORDER BY 1"
)
_FAILURES = (
    "SELECT error_code, clips, (SELECT clip_id FROM events WHERE seq = grouped.last) FROM ("
    "SELECT error_code, COUNT(*) AS clips, MAX(seq) AS last FROM events "
    "WHERE created_at >= ? AND type = 'clip.failed' AND error_code IS NOT NULL GROUP BY 1"
    ") grouped ORDER BY 2 DESC, 1"
)


class Stats:
    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> QueueStats:
        """Return the present statistics. Each query uses an index and reads waiting rows only."""
        database = self._database
        with database.session():
            clips = dict(database.run(_CLIPS))
            pending, oldest_delivery = database.run(_DELIVERIES)[0]
            file_bytes, wal_bytes = database.sizes()
            return QueueStats(
                clips_queued=clips.get("queued", 0),
                clips_running=clips.get("cutting", 0) + clips.get("uploading", 0),
                oldest_clip=database.run(_OLDEST_CLIP)[0][0],
                queued_since=database.run(_QUEUED_SINCE)[0][0],
                clips_set_aside=database.run(_CLIPS_ASIDE)[0][0],
                recordings_set_aside=database.run(_RECORDINGS_ASIDE)[0][0],
                recordings_processing=database.run(_RECORDINGS)[0][0],
                recordings_silent=database.run(_SILENT)[0][0],
                deliveries_pending=pending,
                oldest_delivery=oldest_delivery,
                removals_pending=database.run(_REMOVALS)[0][0],
                rules_stopped=database.run(_STOPPED)[0][0],
                file_bytes=file_bytes,
                wal_bytes=wal_bytes,
            )

    def cutting(self) -> dict[str, int]:
        """Return the number of clips that each engine is cutting, by its id."""
        return dict(self._database.run(_CUTTING))

    def ended(self, since: int) -> list[tuple[int, int, int]]:
        """Return the start of each hour since a time in which clips ended, and how many were ready and failed."""
        rows = self._database.run(_ENDED, (since,))
        return [(hour * _HOUR_MS, int(ready), ended - int(ready)) for hour, ready, ended in rows]

    def failures(self, since: int) -> list[Failures]:
        """Return the failures of clips since a time, by code, most frequent first."""
        return [Failures(*row) for row in self._database.run(_FAILURES, (since,))]
