"""Batches: several clips created or deleted by one request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine

PATH = "/v1/clips/batch"


def item(recording: Recording, **values: Any) -> dict[str, Any]:
    return {"recording_id": recording.recording_id, "label": "a", "start_seconds": 1, "end_seconds": 2, **values}


def test_clips_of_several_recordings_are_created_in_order(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    other = engine.make_recording("relay/recordings/h_02/recording.mp4")
    answer = http.post(PATH, json={"clips": [item(recording, label="one"), item(other, label="two", priority=3)]})
    assert answer.status_code == 202
    made = answer.json()["data"]
    assert [(clip["label"], clip["recording_id"], clip["priority"]) for clip in made] == [
        ("one", recording.recording_id, 0),
        ("two", other.recording_id, 3),
    ]
    assert engine.calls == [("clips", clip["clip_id"]) for clip in made]
    shown = http.get(f"/v1/clips/{made[0]['clip_id']}").json()
    assert shown["queue"]["position"] == 2  # after the one of higher priority
    assert made[0] == shown | {"queue": None}
    assert made[0]["request_id"] == answer.headers["x-request-id"]


def test_faults_of_all_clips_are_reported_and_none_is_created(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    clips = [item(recording), item(recording, end_seconds=0.5), item(recording, profile="none"), item(recording)]
    clips[3]["recording_id"] = "rec_none"
    answer = http.post(PATH, json={"clips": clips})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_time_range")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [
        ("/clips/1/start_seconds", "invalid_time_range"),
        ("/clips/1/end_seconds", "invalid_time_range"),
        ("/clips/2/profile", "unknown_profile"),
        ("/clips/3/recording_id", "recording_not_found"),
    ]
    assert engine.calls == []
    assert http.get("/v1/clips").json()["data"] == []


def test_fault_of_the_form_has_the_pointer_of_its_clip(http: httpx.Client, recording: Recording) -> None:
    answer = http.post(PATH, json={"clips": [item(recording), {"label": "a"}]})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [
        "/clips/1/start_seconds",
        "/clips/1/end_seconds",
        "/clips/1/recording_id",
    ]


@pytest.mark.parametrize("number", [0, 101])
def test_batch_has_1_to_100_clips(http: httpx.Client, recording: Recording, number: int) -> None:
    assert http.post(PATH, json={"clips": [item(recording)] * number}).status_code == 422


def test_full_queue_creates_no_clip_of_the_batch(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    engine.ledger.clips._max_queued = 2
    answer = http.post(PATH, json={"clips": [item(recording)] * 3})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert http.get("/v1/clips").json()["data"] == []


def test_repeated_batch_is_created_once(http: httpx.Client, recording: Recording) -> None:
    key = {"Idempotency-Key": "batch"}
    first, second = (http.post(PATH, json={"clips": [item(recording)] * 2}, headers=key) for _ in range(2))
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    assert len(http.get("/v1/clips").json()["data"]) == 2


def test_several_clips_are_deleted(
    http: httpx.Client, engine: RecordedEngine, recording: Recording, clip: Clip
) -> None:
    engine.run(clip)
    other = engine.make_clip(recording)
    ids = [clip.clip_id, "clip_none", other.clip_id, clip.clip_id]
    answer = http.post("/v1/clips/delete", json={"clip_ids": ids})
    assert answer.status_code == 200
    existing = sorted([clip.clip_id, other.clip_id])
    assert answer.json() == {"deleted": existing, "not_found": ["clip_none"]}
    assert [call for call in engine.calls if call[0] == "abandon"] == [("abandon", each) for each in existing]
    assert len(engine.ledger.removals.due()) == 4
    assert http.get("/v1/clips").json()["data"] == []
