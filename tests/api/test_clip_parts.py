"""Requests for clips of several parts: what is accepted, and where each fault is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.clips.edit import MAX_PARTS, MAX_RECORDINGS, Part
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, post, refused


def _part(start: float, end: float, **more: str) -> dict[str, Any]:
    return {"start_seconds": start, "end_seconds": end, **more}


def _body(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"label": "highlights", "parts": list(parts), **more}


def test_parts_are_kept_and_bound_the_clip(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    other = engine.make_recording("other.mp4")
    body = _body(_part(60, 70), _part(2, 9, recording_id=other.recording_id), _part(12, 20.5))
    clip = post(http, recording.recording_id, body).json()
    assert (clip["start_seconds"], clip["end_seconds"]) == (12.0, 70.0)
    expected = [(recording, 60.0, 70.0), (other, 2.0, 9.0), (recording, 12.0, 20.5)]
    assert clip["parts"] == [_part(start, end, recording_id=of.recording_id) for of, start, end in expected]
    stored = engine.ledger.clips.get(clip["clip_id"])
    assert stored.parts == tuple(Part(of.recording_id, start, end) for of, start, end in expected)
    assert stored.requested_seconds == 25.5


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (_body(_part(1, 2), start_seconds=1.0, end_seconds=2.0), ["/start_seconds", "/end_seconds"]),
        (_body(_part(1, 2), end_seconds=2.0), ["/end_seconds"]),
        (_body(), ["/parts"]),
        (_body(*[_part(1, 2)] * (MAX_PARTS + 1)), ["/parts"]),
        (_body({"start_seconds": 1}, _part("1", 2)), ["/parts/0/end_seconds", "/parts/1/start_seconds"]),
        ({"label": "a"}, ["/start_seconds", "/end_seconds"]),
        ({"label": "a", "parts": None, "start_seconds": 1.0}, ["/end_seconds"]),
    ],
)
def test_fault_of_the_form_is_located(http: httpx.Client, recording: Recording, body: object, where: list[str]) -> None:
    assert pointers(refused(post(http, recording.recording_id, body), 422, "invalid_request")) == where


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ([_part(1, 2), _part(5, 4)], ["/parts/1/start_seconds", "/parts/1/end_seconds"]),
        ([_part(1, 2), _part(1e6, 1e6 + 1)], ["/parts/1/start_seconds", "/parts/1/end_seconds"]),
        ([_part(0, 5000)] * 3, ["/parts"]),
    ],
)
def test_range_outside_its_recording_or_the_limits_is_located(
    http: httpx.Client, recording: Recording, parts: list[dict[str, Any]], where: list[str]
) -> None:
    problem = refused(post(http, recording.recording_id, _body(*parts)), 422, "invalid_time_range")
    assert pointers(problem) == where


def test_part_of_an_unknown_recording_is_located(http: httpx.Client, recording: Recording) -> None:
    body = _body(_part(1, 2), _part(1, 2, recording_id="rec_none"))
    problem = refused(post(http, recording.recording_id, body), 404, "recording_not_found")
    assert pointers(problem) == ["/parts/1/recording_id"]


def test_number_of_recordings_is_limited(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    others = [engine.make_recording(f"{number}.mp4") for number in range(MAX_RECORDINGS + 1)]
    body = _body(*[_part(1, 2, recording_id=other.recording_id) for other in others])
    problem = refused(post(http, recording.recording_id, body), 422, "invalid_request")
    assert pointers(problem) == [f"/parts/{MAX_RECORDINGS}"]


def test_recording_of_a_queued_part_is_not_deleted(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    other = engine.make_recording("other.mp4")
    body = _body(_part(1, 2), _part(1, 2, recording_id=other.recording_id))
    clip = post(http, recording.recording_id, body).json()
    refused(http.delete(f"/v1/recordings/{other.recording_id}"), 409, "recording_busy")
    http.post(f"/v1/clips/{clip['clip_id']}/cancel").raise_for_status()
    assert http.delete(f"/v1/recordings/{other.recording_id}").status_code == 204
