"""Plans of clips over HTTP: what would be copied, with the same checks as a clip, and nothing queued."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import RecordedEngine
from tests.support.clip_requests import refused

__all__ = ["shelf"]  # a fixture


@pytest.fixture
def path(engine: RecordedEngine, shelf: Shelf) -> str:
    recording = registered(engine, shelf.get("mp4_bframes").path)
    return f"/v1/recordings/{recording.recording_id}/clips/plan"


def _plan(http: httpx.Client, path: str, start: float, end: float, **fields: Any) -> dict[str, Any]:
    body = {"label": "plan", "start_seconds": start, "end_seconds": end, **fields}
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


def test_plan_says_what_would_be_copied(http: httpx.Client, path: str, engine: RecordedEngine) -> None:
    plan = _plan(http, path, 1.01, 5.3, render="smart")
    assert (plan["actual_start_seconds"], plan["actual_end_seconds"], plan["frames"]) == (1.0, 5.3, 108)
    assert plan["segments"] == [  # keyframes are 1.6 s apart
        {"part": 0, "kind": "encode", "start_seconds": 1.0, "end_seconds": 1.6, "reason": None},
        {"part": 0, "kind": "copy", "start_seconds": 1.6, "end_seconds": 5.3, "reason": None},
    ]
    assert plan["warnings"] == []
    whole = _plan(http, path, 1.01, 5.3)
    assert [each["kind"] for each in whole["segments"]] == ["encode"]
    assert 0 < plan["estimated_seconds"] < whole["estimated_seconds"]
    assert plan["estimated_bytes"] > 0
    assert plan["bytes_to_read"] == whole["bytes_to_read"] > 0
    assert http.get("/v1/clips").json()["data"] == []
    assert engine.ledger.clips.counts()["queued"] == 0


def test_plan_of_a_clip_that_begins_with_a_keyframe_is_one_copy(http: httpx.Client, path: str) -> None:
    assert _plan(http, path, 3.2, 5.0, render="smart")["segments"] == [
        {"part": 0, "kind": "copy", "start_seconds": 3.2, "end_seconds": 5.0, "reason": None}
    ]


def test_plan_of_several_parts_adds_them_up(http: httpx.Client, path: str) -> None:
    ranges = [(3.2, 5.0), (1.0, 2.0)]
    parts = [{"start_seconds": start, "end_seconds": end} for start, end in ranges]
    single = [_plan(http, path, start, end) for start, end in ranges]
    answer = http.post(path, json={"label": "plan", "parts": parts, "render": "smart"})
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert (plan["actual_start_seconds"], plan["actual_end_seconds"]) == (1.0, 5.0)
    assert plan["frames"] == sum(each["frames"] for each in single)
    assert [(each["part"], each["kind"]) for each in plan["segments"]] == [(0, "encode"), (1, "encode")]
    assert [text for text in plan["warnings"] if text.startswith("encoded_instead:")]


@pytest.mark.parametrize("count", [1, 3])
def test_estimate_is_within_max_bytes(http: httpx.Client, path: str, count: int) -> None:
    parts = [{"start_seconds": 1.0, "end_seconds": 3.0}] * count
    answer = http.post(path, json={"label": "plan", "parts": parts, "output": {"max_bytes": 10_000}})
    assert answer.json()["estimated_bytes"] == 10_000


def test_plan_says_why_nothing_can_be_copied(http: httpx.Client, path: str) -> None:
    plan = _plan(http, path, 1.7, 3.1, render="smart")
    assert plan["segments"] == [
        {"part": 0, "kind": "encode", "start_seconds": 1.68, "end_seconds": 3.1, "reason": "no GOP begins in the range"}
    ]
    assert plan["warnings"] == [
        "encoded_instead: nothing was copied, all of the clip was encoded: no GOP begins in the range"
    ]


def test_request_of_a_plan_is_checked_like_that_of_a_clip(http: httpx.Client, path: str) -> None:
    body = {"label": "plan", "start_seconds": 2.0, "end_seconds": 1.0}
    refused(http.post(path, json=body), 422, "invalid_time_range")
    refused(http.post(path, json=body | {"end_seconds": 3.0, "profile": "none"}), 422, "unknown_profile")
    refused(http.post(path, json=body | {"end_seconds": 3.0, "render": "copy"}), 422, "invalid_request")
    refused(http.post(path.replace("rec_", "rec_0"), json=body), 404, "recording_not_found")
