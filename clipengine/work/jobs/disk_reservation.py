"""Disk space that running clips may still need.

The sizes are estimates that make clips wait instead of fail. If the disk is full anyway, only the clip that met the
error fails, with `disk_full`. Of several engines, others try it first, see `runner`.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from clipengine.clips.clip import Clip
from clipengine.errors import DiskLow
from clipengine.recordings.recording import Recording

_COPIES = 2  # one in scratch; another in the folder store, or as a margin
_MIN_BYTES_PER_SECOND, _MAX_BYTES_PER_SECOND = 250_000, 12_500_000  # even a clip of raw video is compressed


def estimate_bytes(clip: Clip, recording: Recording) -> int:
    """Estimate the space that a clip needs from the bit rate of its recording, within usual limits."""
    length = clip.requested_seconds
    if clip.output is not None:
        tempo = float(clip.output.tempo)
        length /= tempo if clip.output.is_timelapse else min(1.0, tempo)  # other fast clips have as many frames
    rate = recording.file_size_bytes / max(recording.duration_seconds or 0.0, 1.0)
    return round(_COPIES * length * min(max(rate, _MIN_BYTES_PER_SECOND), _MAX_BYTES_PER_SECOND))


class DiskReservation:
    """Reservations on the disk of an existing folder, `floor` bytes of which must stay free. Thread-safe."""

    def __init__(self, folder: Path, floor: int) -> None:
        self._folder = folder
        self._floor = floor
        self._lock = threading.Lock()
        self._reserved: dict[str, int] = {}

    def free(self) -> int:
        """Return the number of bytes that are free now."""
        return shutil.disk_usage(self._folder).free

    def is_low(self) -> bool:
        """Return True if less than the floor is free or the folder is missing."""
        try:
            return self.free() < self._floor
        except FileNotFoundError:
            return True

    def check(self) -> None:
        """Raise DiskLow if less than the floor is free."""
        free = self.free()
        if free < self._floor:
            raise DiskLow(
                f"only {free / 1_000_000:.0f} MB are free on the disk of the data folder, and"
                f" {self._floor / 1_000_000:.0f} MB are kept free (limits.min_free_bytes)",
                retry_after=30,
            )

    def reserve(self, id: str, size: int) -> bool:
        """Reserve `size` bytes for a job besides other reservations. Return False if too little is free."""
        with self._lock:
            others = sum(reserved for other, reserved in self._reserved.items() if other != id)
            if self.free() < self._floor + others + size:
                return False
            self._reserved[id] = size
            return True

    def release(self, id: str) -> None:
        with self._lock:
            self._reserved.pop(id, None)
