"""Silent producers: the time without an addition after which a recording that is still written counts as ended."""

from __future__ import annotations

from clipengine.basis.timecode import now_ms
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.timeline.growing import Growth
from clipengine.stores.base import StoredObject

SILENCE_SECONDS = 60  # without an addition after which a recording counts as ended, or three pieces if they are longer


def is_silent(stored: StoredObject, seconds: float = SILENCE_SECONDS) -> bool:
    """Return True if an object has not changed for so long."""
    return now_ms() - stored.modified > seconds * 1000


def is_written_out(source: FolderSource, growth: Growth, silent_for: float) -> bool:
    """Return True if no more files are expected: the day is over, and none was added for a while."""
    is_over = source.day_ends is None or now_ms() >= source.day_ends
    return is_over and silent_for > longest_silence(growth)


def longest_silence(growth: Growth) -> float:
    """Return the seconds without an addition after which a recording that is still written counts as ended."""
    return max(float(SILENCE_SECONDS), float(3 * growth.longest))
