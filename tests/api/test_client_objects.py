"""Objects of the Python client, from servers of other versions."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from clipengine.client import Clip, JobFailed, Recording, Webhook

_RESULT_01 = {"actual_start_seconds": 1.0, "actual_end_seconds": 3.5, "duration_seconds": 2.5, "frames": 75}
_CLIP_01: dict[str, Any] = {
    "clip_id": "clip_1",
    "recording_id": "rec_1",
    "label": "key-moment",
    "start_seconds": 1.0,
    "end_seconds": 3.5,
    "status": "complete",
    "bucket_path": "relay/clips/a.mp4",
    "created_at": "2026-01-31T12:00:00.000Z",
    "completed_at": "2026-01-31T12:00:09.000Z",
    "result": _RESULT_01,
}


def test_clip_of_version_0_1_has_all_attributes() -> None:
    clip = Clip.from_object(_CLIP_01)
    assert clip.ended
    assert clip.raise_for_error() is clip
    assert (clip.priority, clip.tags, clip.metadata, clip.queue, clip.output) == (0, [], {}, None, None)
    assert clip.result is not None
    assert (clip.result.frames, clip.result.sha256, clip.result.warnings) == (75, "", [])
    assert (clip.result.render, clip.result.encoded_seconds) == ("encode", 2.5)
    assert clip.raw == _CLIP_01


def test_values_of_a_later_version_are_kept() -> None:
    later = {"status": "paused", "step": "dreaming", "snap": {"to": "laughter", "new": 1}, "output": {"rotate": 90}}
    result = _RESULT_01 | {"render": "psychic", "new": True}
    parts = [{"recording_id": "rec_2", "start_seconds": 0.0, "end_seconds": 1.0, "new": 1}]
    clip = Clip.from_object(_CLIP_01 | later | {"result": result, "parts": parts, "new": {"a": 1}})
    assert (clip.status, clip.step, clip.snap, clip.output) == tuple(later.values())
    assert clip.parts is not None
    assert clip.parts[0]["recording_id"] == "rec_2"
    assert clip.result is not None
    assert str(clip.result.render) == "psychic"
    assert clip.raw["new"] == {"a": 1}


def test_failed_recording_raises_its_error() -> None:
    error = {"code": "recording_truncated", "message": "m", "hint": "h", "retryable": True, "new": 1}
    recording = Recording.from_object({"recording_id": "rec_1", "status": "failed", "error": error})
    with pytest.raises(JobFailed, match="m") as caught:
        recording.raise_for_error()
    assert (caught.value.code, caught.value.retryable) == ("recording_truncated", True)


def test_objects_are_dataclasses_as_in_version_0_1() -> None:
    clip = Clip.from_object(_CLIP_01)
    assert asdict(clip)["result"]["frames"] == 75
    assert replace(clip, label="new").label == "new"
    assert clip == Clip.from_object(_CLIP_01 | {"unknown": 1})
    webhook = Webhook.from_object({"webhook_id": "whk_1", "url": "https://example.org", "secret": "whsec_x"})
    assert "whsec_x" not in repr(webhook)
    assert Webhook.from_object({"webhook_id": "whk_1", "url": "https://example.org"}).secret is None
