"""Every fault of a request comes in one answer, each with where it is, its code and what to do."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from clipengine.api import clips
from clipengine.clips.clip import Recording
from clipengine.timecode import now_ms
from tests.support.api import RecordedEngine

WHERE = ("pointer", "parameter", "header")


def told(answer: httpx.Response) -> dict[str, str]:
    """Where → code. Each fault has a place, what is wrong, a code and what to do."""
    found: dict[str, str] = {}
    for fault in answer.json()["errors"]:
        assert fault["detail"]
        assert fault["hint"]
        (place,) = [fault[each] for each in WHERE if each in fault] or [""]
        found[place] = fault["code"]
    return found


def test_one_of_each_kind(http: httpx.Client, recording: Recording) -> None:
    """Of types, of limits, of what is unknown, missing, out of the recording, of the settings, of a header, a query."""
    answer = http.post(
        f"/v1/recordings/{recording.recording_id}/clips?surprise=1",
        headers={"Idempotency-Key": "a b"},
        json={
            "lable": "x",
            "label": "a\nb",
            "start_seconds": "1",
            "end_seconds": (recording.duration_seconds or 0.0) + 60,
            "profile": "none",
            "priority": 11,
            "metadata": {"a": 1},
            "webhook_url": "http://10.0.0.1/",
            "expires_at": "2001-01-01T00:00:00.000Z",
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert told(answer) == {
        "surprise": "invalid_request",
        "Idempotency-Key": "invalid_request",
        "/lable": "invalid_request",
        "/start_seconds": "invalid_request",
        "/priority": "invalid_request",
        "/metadata/a": "invalid_request",
        "/end_seconds": "invalid_time_range",
        "/label": "invalid_label",
        "/profile": "unknown_profile",
        "/webhook_url": "invalid_webhook_url",
        "/expires_at": "invalid_request",
    }
    hints = {fault.get("pointer"): fault["hint"] for fault in answer.json()["errors"]}
    assert hints["/lable"] == "Did you mean `label`?"
    assert hints["/webhook_url"].startswith("Give an http or https URL")


def test_a_request_without_an_expiry_is_right_however_long_its_judging_takes(
    http: httpx.Client, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "now_ms", itertools.count(now_ms(), 60_000).__next__)
    body = {"label": "x", "start_seconds": 1, "end_seconds": 2}
    assert http.post(f"/v1/recordings/{recording.recording_id}/clips", json=body).status_code == 202


def test_values_alone(http: httpx.Client, recording: Recording) -> None:
    """The first leads, and each has its own code all the same."""
    body = {"label": "", "start_seconds": -1, "end_seconds": 1e9, "profile": "none", "webhook_url": "http://10.0.0.1/"}
    answer = http.post(f"/v1/recordings/{recording.recording_id}/clips", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_profile")
    assert told(answer) == {
        "/profile": "unknown_profile",
        "/start_seconds": "invalid_time_range",
        "/end_seconds": "invalid_time_range",
        "/label": "invalid_label",
        "/webhook_url": "invalid_webhook_url",
    }


def test_the_address_too(http: httpx.Client) -> None:
    """What can be judged without the recording is judged: of its range, what no recording could have."""
    body = {"label": "", "start_seconds": 5, "end_seconds": 2}
    answer = http.post("/v1/recordings/rec_none/clips", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "recording_not_found")
    assert set(told(answer)) == {"recording_id", "/start_seconds", "/end_seconds", "/label"}
    answer = http.post("/v1/recordings/rec_none/clips", json={**body, "priority": "high"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert set(told(answer)) == {"recording_id", "/start_seconds", "/end_seconds", "/label", "/priority"}


def test_a_recording_that_is_read_still(http: httpx.Client, engine: RecordedEngine) -> None:
    """Waiting for it would not help a request that can never be right."""
    reading, _ = engine.ledger.recordings.register("new.mp4", etag="e", size=1)
    path = f"/v1/recordings/{reading.recording_id}/clips"
    faulty: dict[str, Any] = {"label": "", "start_seconds": 5, "end_seconds": 2}
    assert http.post(path, json=faulty).status_code == 422
    right = {"label": "x", "start_seconds": 2, "end_seconds": 5}
    assert http.post(path, json=right).json()["code"] == "recording_not_complete"


def test_a_body_that_cannot_be_read(http: httpx.Client) -> None:
    path, headers = "/v1/recordings/rec_none/clips?surprise=1", {"Content-Type": "application/json"}
    answer = http.post(path, content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert told(answer) == {
        "": "malformed_request",
        "surprise": "invalid_request",
        "recording_id": "recording_not_found",
    }
    answer = http.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_type")
    assert set(told(answer)) == {"", "surprise", "recording_id"}


@pytest.mark.parametrize(
    ("method", "path", "body", "places"),
    [
        ("GET", "/v1/clips/clip_none?wait=61&x=1", None, {"wait", "x", "clip_id"}),
        ("GET", "/v1/clips?limit=0&cursor=x&limit=5", None, {"limit", "cursor"}),
        ("GET", "/v1/events?x=1&clip_id=clip_none&recording_id=rec_none", None, {"x", "clip_id", "recording_id"}),
        ("GET", "/v1/events?clip_id=clip_none&recording_id=rec_none", None, {"clip_id", "recording_id"}),
        ("GET", "/v1/recordings/rec_none/frame?width=1", None, {"at", "width", "recording_id"}),
        ("POST", "/v1/webhooks", {"url": "http://10.0.0.1/", "secret": "x"}, {"/url", "/secret"}),
        ("PATCH", "/v1/webhooks/whk_none", {"url": "http://10.0.0.1/"}, {"/url", "webhook_id"}),
        ("PATCH", "/v1/webhooks/whk_none", {"url": "http://10.0.0.1/", "x": 1}, {"/url", "/x", "webhook_id"}),
        ("POST", "/v1/recordings", {"bucket_path": "../x", "name": ""}, {"/bucket_path", "/name"}),
        ("POST", "/v1/recordings", {"bucket_path": "none.mp4", "name": ""}, {"/bucket_path", "/name"}),
        ("POST", "/v1/deliveries/dlv_none/redeliver?x=1", None, {"x", "delivery_id"}),
    ],
)
def test_every_resource(
    http: httpx.Client, method: str, path: str, body: dict[str, Any] | None, places: set[str]
) -> None:
    answer = http.request(method, path, json=body)
    assert set(told(answer)) == places, answer.text


def test_what_lies_outside_the_recording_beside_another_fault(http: httpx.Client, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    assert set(told(http.get(f"{path}/frame?at=1e6&width=1"))) == {"at", "width"}
    assert set(told(http.get(f"{path}/waveform?start=1e6&points=0"))) == {"start", "points"}


def test_nothing_is_told_of_a_request_without_its_key(http: httpx.Client) -> None:
    answer = httpx.post(f"{http.base_url}/v1/recordings/rec_none/clips?x=1", json={})
    assert answer.status_code == 401
    assert "errors" not in answer.json()
