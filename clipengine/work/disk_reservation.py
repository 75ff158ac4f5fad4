"""Room on the disk: what running clips may still need is kept for them, and a floor is kept free for everything else.

An estimate only, which lets clips wait rather than fail. What holds in any case is that a full disk fails the clip
that met it, as `disk_full`, and nothing else.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from clipengine.clips.clip import Clip, Recording
from clipengine.errors import DiskLow

_COPIES = 2  # one in scratch; another in the folder store, or for what the estimate misses
_SLOWEST_BYTES_PER_SECOND, _FASTEST_BYTES_PER_SECOND = 250_000, 12_500_000  # a clip is compressed, whatever it is of


def likely_bytes(clip: Clip, recording: Recording) -> int:
    """What the clip may need: at the recording's own rate, or that of common video where the recording is smaller."""
    length = clip.end_seconds - clip.start_seconds
    rate = recording.file_size_bytes / max(recording.duration_seconds or 0.0, 1.0)
    return round(_COPIES * length * min(max(rate, _SLOWEST_BYTES_PER_SECOND), _FASTEST_BYTES_PER_SECOND))


class Room:
    """The disk of a folder that exists, `floor` bytes of which are to stay free. For any thread."""

    def __init__(self, folder: Path, floor: int) -> None:
        self._folder = folder
        self._floor = floor
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}

    def free(self) -> int:
        """Bytes that are free now."""
        return shutil.disk_usage(self._folder).free

    def low(self) -> bool:
        """Whether less than the floor is free, or the folder is away: nothing new is begun or accepted."""
        try:
            return self.free() < self._floor
        except FileNotFoundError:
            return True

    def check(self) -> None:
        """Raises DiskLow."""
        free = self.free()
        if free < self._floor:
            raise DiskLow(
                f"only {free // 1_000_000} MB are free on the disk of the data folder, and"
                f" {self._floor // 1_000_000} MB are kept free (limits.min_free_bytes)",
                retry_after=30,
            )

    def take(self, id: str, size: int) -> bool:
        """Keep `size` bytes for a job, beside what the others were promised; False where there are not so many."""
        with self._lock:
            others = sum(taken for other, taken in self._taken.items() if other != id)
            if self.free() < self._floor + others + size:
                return False
            self._taken[id] = size
            return True

    def give_back(self, id: str) -> None:
        with self._lock:
            self._taken.pop(id, None)
