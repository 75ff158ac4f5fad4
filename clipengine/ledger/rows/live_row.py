"""Values of the rows of recordings that are still written."""

from __future__ import annotations

from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import LiveRow
from clipengine.recordings.timeline.growing import GROWTH_FORMAT, Growth


def new_live(recording_id: str, growth: Growth, *, kept_by: str) -> dict[str, Any]:
    """Return the row of a recording that this engine has just probed. Its first refresh is due at once."""
    now = now_ms()
    return {
        "recording_id": recording_id,
        "growth": growth.to_object(),
        "next_at": now,
        "lease": 0,
        "kept_by": kept_by,
        "wanted_at": now,
        "ending": False,
        "needs": GROWTH_FORMAT,
    }


def is_known(database: Database, recording_id: str) -> bool:
    """Return False if the recording is still written and may have grown by far: no engine has read it since its start.

    An engine that has tried to read it counts, too.
    """
    row = database.by_key(LiveRow, recording_id)
    return row is None or row["kept_by"] is not None


def safe_seconds(growth: Growth) -> float:
    """Return the time up to which a recording is written, in whole milliseconds, so that it is never too late."""
    return float(growth.safe_end * 1000 // 1) / 1000
