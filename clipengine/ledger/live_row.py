"""Values of the rows of recordings that are still written."""

from __future__ import annotations

from typing import Any

from clipengine.recordings.growing import Growth
from clipengine.timecode import now_ms


def new_live(recording_id: str, growth: Growth) -> dict[str, Any]:
    """Return the row of a recording that has just been probed. Its first refresh is due at once."""
    now = now_ms()
    return {
        "recording_id": recording_id,
        "growth": growth.to_object(),
        "next_at": now,
        "lease": 0,
        "wanted_at": now,
        "ending": False,
    }


def safe_seconds(growth: Growth) -> float:
    """Return the time up to which a recording is written, in whole milliseconds, so that it is never too late."""
    return float(growth.safe_end * 1000 // 1) / 1000
