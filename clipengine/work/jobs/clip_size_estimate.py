"""Estimate of the disk space that a clip needs.

It makes clips wait instead of fail. If the disk is full anyway, only the clip that met the error fails, with
`disk_full`. Of several engines, others try it first, see `clips`.
"""

from __future__ import annotations

from clipengine.clips.clip import Clip
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
