"""Results of clips, as a worker reports them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clipengine.clips.clip import ClipResult

_RESULT = ClipResult(
    actual_start_seconds=120.0,
    actual_end_seconds=150.0,
    duration_seconds=30.0,
    frames=900,
    width=1920,
    height=1080,
    video_codec="h264",
    audio_codec="aac",
    size_bytes=4_000_000,
    sha256="0" * 64,
    poster_path=None,
    encode_seconds=1.5,
    bytes_read=12_345,
    render="encode",
    copied_seconds=0.0,
    encoded_seconds=30.0,
    warnings=[],
)


def clip_result(**changes: Any) -> ClipResult:
    """Return the result of a clip of 30 s, with other values for the given fields."""
    return replace(_RESULT, **changes)
