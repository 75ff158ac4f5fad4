"""Request errors: all faults of form in one response, each located; faults of value one at a time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.api.http.validation import MAX_LISTED, MAX_PARAMETERS
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine

WHERE = ("pointer", "parameter", "header")


def told(answer: httpx.Response) -> dict[str, str]:
    """Return the code of each fault by its location. Every fault has a message and a hint."""
    found: dict[str, str] = {}
    for fault in answer.json()["errors"]:
        assert fault["detail"]
        assert fault["hint"]
        (place,) = [fault[each] for each in WHERE if each in fault] or [""]
        found[place] = fault["code"]
    return found


def test_faults_of_query_headers_and_body_are_listed_together(http: httpx.Client, recording: Recording) -> None:
    """Wrong type, limit, unknown field, missing field, header and parameter; values are checked later."""
    answer = http.post(
        f"/v1/recordings/{recording.recording_id}/clips?surprise=1",
        headers={"Idempotency-Key": "a b"},
        json={
            "lable": "x",
            "start_seconds": "1",
            "end_seconds": (recording.duration_seconds or 0.0) + 60,
            "profile": "none",
            "priority": 11,
            "metadata": {"a": 1},
            "webhook_url": "ftp://example.org/",
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert told(answer) == {
        "surprise": "invalid_request",
        "Idempotency-Key": "invalid_request",
        "/lable": "invalid_request",
        "/label": "invalid_request",
        "/start_seconds": "invalid_request",
        "/priority": "invalid_request",
        "/metadata/a": "invalid_request",
        "/webhook_url": "invalid_webhook_url",
    }
    hints = {fault.get("pointer"): fault["hint"] for fault in answer.json()["errors"]}
    assert hints["/lable"] == "Did you mean `label`?"
    assert hints["/webhook_url"].startswith("Give an http or https URL")
    assert "errors_omitted" not in answer.json()


def test_faults_of_value_are_rejected_one_at_a_time(http: httpx.Client, recording: Recording) -> None:
    right = {"label": "x", "start_seconds": 1.0, "end_seconds": 2.0}
    wrong: dict[str, tuple[Any, str]] = {
        "/profile": ("none", "unknown_profile"),
        "/end_seconds": (1e9, "invalid_time_range"),
        "/label": ("", "invalid_label"),
        "/webhook_url": ("http://10.0.0.1/", "invalid_webhook_url"),
        "/expires_at": ("2001-01-01T00:00:00.000Z", "invalid_request"),
    }
    body = {**right, **{pointer[1:]: value for pointer, (value, _) in wrong.items()}}
    for pointer, (_, code) in wrong.items():
        answer = http.post(f"/v1/recordings/{recording.recording_id}/clips", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert told(answer) == {pointer: code}
        body.pop(pointer[1:])
        body = {**right, **body}
    assert http.post(f"/v1/recordings/{recording.recording_id}/clips", json=body).status_code == 202


def test_unknown_recording_is_rejected_after_form_and_before_values(http: httpx.Client) -> None:
    body: dict[str, Any] = {"label": "", "start_seconds": 5, "end_seconds": 2}
    answer = http.post("/v1/recordings/rec_none/clips", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "recording_not_found")
    answer = http.post("/v1/recordings/rec_none/clips", json={**body, "priority": "high"})
    assert (answer.status_code, told(answer)) == (422, {"/priority": "invalid_request"})


def test_values_are_checked_while_the_recording_is_being_probed(http: httpx.Client, engine: RecordedEngine) -> None:
    """Waiting for the probe would not help a request that is invalid anyway."""
    reading, _ = engine.ledger.recordings.register("new.mp4", etag="e", size=1)
    path = f"/v1/recordings/{reading.recording_id}/clips"
    faulty: dict[str, Any] = {"label": "", "start_seconds": 5, "end_seconds": 2}
    assert http.post(path, json=faulty).status_code == 422
    right = {"label": "x", "start_seconds": 2, "end_seconds": 5}
    assert http.post(path, json=right).json()["code"] == "recording_not_complete"


def test_unreadable_body_is_the_only_fault(http: httpx.Client) -> None:
    path, headers = "/v1/recordings/rec_none/clips?surprise=1", {"Content-Type": "application/json"}
    answer = http.post(path, content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    answer = http.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_type")
    assert "errors" not in answer.json()


@pytest.mark.parametrize(
    ("method", "path", "body", "places"),
    [
        ("GET", "/v1/clips/clip_none?wait=61&x=1", None, {"wait", "x"}),
        ("GET", "/v1/clips?limit=0&cursor=x&limit=5", None, {"limit", "cursor"}),
        ("GET", "/v1/events?x=1&clip_id=clip_none", None, {"x"}),
        ("GET", "/v1/events?clip_id=clip_none&recording_id=rec_none", None, {"clip_id"}),
        ("GET", "/v1/events?recording_id=rec_none", None, {"recording_id"}),
        ("GET", "/v1/recordings/rec_none/frame?width=1", None, {"at_seconds", "width"}),
        ("POST", "/v1/webhooks", {"url": "http://10.0.0.1/", "secret": "x", "x": 1}, {"/secret", "/x"}),
        ("POST", "/v1/webhooks", {"url": "http://10.0.0.1/"}, {"/url"}),
        ("PATCH", "/v1/webhooks/whk_none", {"url": "ftp://a/", "x": 1}, {"/url", "/x"}),
        ("POST", "/v1/recordings", {"bucket_path": "../x", "name": ""}, {"/name"}),
        ("POST", "/v1/recordings", {"bucket_path": "../x"}, {"/bucket_path"}),
        ("POST", "/v1/recordings", {"bucket_path": "none.mp4"}, {"/bucket_path"}),
        ("POST", "/v1/deliveries/dlv_none/redeliver?x=1", None, {"x"}),
    ],
)
def test_every_resource_locates_faults(
    http: httpx.Client, method: str, path: str, body: dict[str, Any] | None, places: set[str]
) -> None:
    answer = http.request(method, path, json=body)
    assert set(told(answer)) == places, answer.text


def test_range_outside_the_recording_names_its_parameter(http: httpx.Client, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    assert set(told(http.get(f"{path}/frame?at_seconds=1e6"))) == {"at_seconds"}
    assert set(told(http.get(f"{path}/waveform?start_seconds=1e6"))) == {"start_seconds"}


def test_at_most_twenty_faults_are_listed_and_the_others_counted(http: httpx.Client) -> None:
    answer = http.post("/v1/webhooks?surprise=1", json={f"field{number}": 1 for number in range(100)})
    assert answer.status_code == 422
    assert len(told(answer)) == MAX_LISTED == 20
    assert answer.json()["errors_omitted"] == 100 + 1 + 1 - 20  # plus the missing `url` and the parameter
    several = http.get("/v1/clips?" + "a=1&" * (MAX_PARAMETERS - 1))
    assert (several.status_code, len(several.json()["errors"])) == (422, 20)
    assert several.json()["errors_omitted"] == MAX_PARAMETERS - 2 + 1 - 20  # each repetition, and that it is unknown
    assert "; and " in several.json()["detail"]


def test_query_with_too_many_parameters_is_rejected(http: httpx.Client) -> None:
    answer = http.get("/v1/clips?" + "&".join(f"a{number}=" for number in range(MAX_PARAMETERS + 1)))
    assert (answer.status_code, "more than 50 parameters" in answer.json()["detail"]) == (422, True)
    assert "errors" not in answer.json()


def test_long_names_from_the_client_are_truncated(http: httpx.Client) -> None:
    name = "\N{GRINNING FACE}" * 3000
    answer = http.post("/v1/webhooks", json={"url": "https://example.org/", name: 1, "~/" * 500: 1})
    assert len(answer.content) < 16 * 1024
    assert {len(place) for place in told(answer)} == {102, 202}  # `~` and `/` take two characters each
    answer = http.get("/v1/clips", params={name[:500]: 1})
    assert {len(place) for place in told(answer)} == {101}


def test_request_without_a_key_gets_no_fault_list(http: httpx.Client) -> None:
    answer = httpx.post(f"{http.base_url}/v1/recordings/rec_none/clips?x=1", json={})
    assert answer.status_code == 401
    assert "errors" not in answer.json()
