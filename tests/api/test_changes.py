"""PATCH of clips and recordings."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine


def test_label_and_expiry_of_a_clip_change_and_the_rest_stays(http: httpx.Client, clip: Clip) -> None:
    path = f"/v1/clips/{clip.clip_id}"
    before = http.get(path).json()
    answer = http.patch(path, json={"label": "winning goal", "expires_at": "2100-01-01T00:00:00Z"})
    assert answer.status_code == 200
    changed = {"label": "winning goal", "expires_at": "2100-01-01T00:00:00.000Z", "revision": before["revision"] + 1}
    assert answer.json() == before | changed
    assert http.get(path).json() == answer.json()
    assert http.patch(path, json={"expires_at": None}).json()["expires_at"] is None


def test_object_of_a_renamed_clip_keeps_its_name(http: httpx.Client, engine: RecordedEngine, clip: Clip) -> None:
    engine.finish(clip)
    path = f"/v1/recordings/{clip.recording_id}/clips/{clip.clip_id}"
    renamed = http.patch(path, json={"label": "winning goal"}).json()
    assert renamed["bucket_path"] == clip.object_key
    assert "winning%20goal.mp4" in http.get(f"{path}/download").headers["content-disposition"]


@pytest.mark.parametrize("kind", ["clip", "recording"])
def test_metadata_is_merged(http: httpx.Client, clip: Clip, kind: str) -> None:
    path = f"/v1/clips/{clip.clip_id}" if kind == "clip" else f"/v1/recordings/{clip.recording_id}"
    http.patch(path, json={"metadata": {"team": "a", "half": "1"}}).raise_for_status()
    changed = http.patch(path, json={"metadata": {"team": "b", "half": None, "unknown": None}})
    assert changed.json()["metadata"] == {"team": "b"}
    full = {f"key {number}": "x" for number in range(100)}
    answer = http.patch(path, json={"metadata": full})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/metadata")
    assert http.get(path).json()["metadata"] == {"team": "b"}


def test_recording_is_renamed(http: httpx.Client, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    assert http.patch(path, json={"name": "Board meeting"}).json()["name"] == "Board meeting"
    assert http.patch(path, json={}).json()["name"] == "Board meeting"
    assert http.patch(path, json={"name": None}).json()["name"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"label": ""}, "invalid_label"),
        ({"label": None}, "invalid_label"),
        ({"label": "a\nb"}, "invalid_label"),
        ({"label": "x" * 201}, "invalid_label"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_request"),
        ({"metadata": {"a": 1}}, "invalid_request"),
        ({"metadata": {"a": "x" * 2001}}, "invalid_request"),
        ({"start_seconds": 1}, "invalid_request"),
    ],
)
def test_invalid_change_is_rejected(http: httpx.Client, clip: Clip, body: dict[str, Any], code: str) -> None:
    answer = http.patch(f"/v1/clips/{clip.clip_id}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    (fault,) = answer.json()["errors"]
    assert fault["pointer"].startswith(f"/{next(iter(body))}")


def test_expiry_of_a_recording_is_changed(http: httpx.Client, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    assert (
        http.patch(path, json={"expires_at": "2100-01-01T00:00:00Z"}).json()["expires_at"] == "2100-01-01T00:00:00.000Z"
    )
    assert http.patch(path, json={"expires_at": None}).json()["expires_at"] is None
    past = http.patch(path, json={"expires_at": "2001-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["errors"][0]["pointer"]) == (422, "/expires_at")


def test_unknown_clip_and_recording_are_not_found(http: httpx.Client) -> None:
    for path in ("/v1/clips/clip_none", "/v1/recordings/rec_none"):
        assert http.patch(path, json={"metadata": {}}).status_code == 404
