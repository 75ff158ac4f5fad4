"""The sample clip of a test webhook: in the exact shape of a real one, and clearly marked as a sample."""

from __future__ import annotations

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult


def sample_clip() -> Clip:
    now = now_ms()
    return Clip(
        clip_id="clip_sample",
        recording_id="rec_sample",
        label="Sample of a webhook test",
        start_seconds=120.0,
        end_seconds=150.0,
        state="complete",
        object_key="samples/clips/sample-clip_sample.mp4",
        created_at=now,
        completed_at=now,
        progress=1.0,
        step=None,
        metadata={"sample": "true"},
        attempt=1,
        result=ClipResult(
            actual_start_seconds=120.0,
            actual_end_seconds=150.0,
            duration_seconds=30.0,
            frames=900,
            width=1920,
            height=1080,
            video_codec="h264",
            audio_codec="aac",
            size_bytes=0,
            sha256="0" * 64,
            poster_path=None,
            encode_seconds=0.0,
            bytes_read=0,
            render="encode",
            parts=None,
            copied_seconds=0.0,
            encoded_seconds=30.0,
            warnings=[],
        ),
    )
