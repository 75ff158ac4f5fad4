"""Ranges by the time of day: recordings with a clock, and clips, batches, plans and search hits by it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from clipengine.basis.moments import parse_moment
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock, ClockPoint
from tests.support.api import FACTS, RecordedEngine
from tests.support.clip_requests import pointers, post, refused

STARTED = "2026-11-28T12:00:00.000Z"
# Berlin is an hour ahead: a time is the same with any offset.
BODY = {"label": "x", "start_time": "2026-11-28T13:00:08.5+01:00", "end_time": "2026-11-28T12:00:20Z"}


def start(http: httpx.Client, recording: Recording, time: str | None = STARTED) -> dict[str, Any]:
    answer = http.patch(f"/v1/recordings/{recording.recording_id}", json={"started_at": time})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_start_of_a_recording_can_be_given_and_taken_back(http: httpx.Client, recording: Recording) -> None:
    assert http.get(f"/v1/recordings/{recording.recording_id}").json()["clock"] is None
    changed = start(http, recording)
    assert (changed["started_at"], changed["clock"]) == (STARTED, {"source": "given", "accuracy_seconds": 0.001})
    assert [start(http, recording, None)[name] for name in ("started_at", "clock")] == [None, None]


def test_clip_by_the_clock_has_its_seconds_and_its_times(http: httpx.Client, recording: Recording) -> None:
    start(http, recording)
    clip = post(http, recording.recording_id, BODY).json()
    assert (clip["start_seconds"], clip["end_seconds"], clip["parts"]) == (8.5, 20.0, None)
    assert (clip["start_time"], clip["end_time"]) == ("2026-11-28T12:00:08.500Z", "2026-11-28T12:00:20.000Z")
    assert http.get(f"/v1/clips/{clip['clip_id']}").json()["start_time"] == clip["start_time"]
    start(http, recording, "2026-11-28T15:00:00Z")
    assert http.get(f"/v1/clips/{clip['clip_id']}").json()["start_time"] == clip["start_time"]


def test_file_that_states_its_creation_has_a_clock(http: httpx.Client, engine: RecordedEngine) -> None:
    made = engine.make_recording(
        "phone.mp4", facts=FACTS.model_copy(update={"creation_time": datetime.fromisoformat(STARTED)})
    )
    shown = http.get(f"/v1/recordings/{made.recording_id}").json()
    assert (shown["started_at"], shown["clock"]) == (STARTED, {"source": "file", "accuracy_seconds": None})
    assert post(http, made.recording_id, BODY).json()["start_seconds"] == 8.5


def test_batch_and_parts_may_be_given_by_the_clock(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    other = engine.make_recording("other.mp4")
    start(http, recording)
    start(http, other, "2026-11-28T11:59:50Z")
    times = {name: BODY[name] for name in ("start_time", "end_time")}
    parts = [times, {**times, "recording_id": other.recording_id}, {"start_seconds": 1, "end_seconds": 2}]
    clips = [{"recording_id": recording.recording_id, **each} for each in (BODY, {"label": "p", "parts": parts})]
    answer = http.post("/v1/clips/batch", json={"clips": clips})
    assert answer.status_code == 202, answer.text
    first, second = answer.json()["data"]
    assert first["start_seconds"] == 8.5
    assert [(part["start_seconds"], part["end_seconds"]) for part in second["parts"]] == [(8.5, 20), (18.5, 30), (1, 2)]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"label": "x", "start_time": STARTED}, ["/end_time"]),
        ({"label": "x", "end_time": STARTED}, ["/end_time"]),
        ({**BODY, "start_seconds": 1}, ["/start_seconds"]),
        ({**BODY, "parts": [{"start_seconds": 1, "end_seconds": 2}]}, ["/start_time", "/end_time"]),
        ({**BODY, "start_time": "2026-11-28T12:00:08"}, ["/start_time"]),  # without an offset
        ({**BODY, "start_time": 1764331208}, ["/start_time"]),
        ({"label": "x", "parts": [{"start_time": STARTED}]}, ["/parts/0/end_time"]),
    ],
)
def test_fault_of_the_form_is_located(http: httpx.Client, recording: Recording, body: object, where: list[str]) -> None:
    assert pointers(refused(post(http, recording.recording_id, body), 422, "invalid_request")) == where


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"])
def test_start_must_be_a_time_of_recordings(http: httpx.Client, recording: Recording, time: str) -> None:
    answer = http.patch(f"/v1/recordings/{recording.recording_id}", json={"started_at": time})
    assert pointers(refused(answer, 422, "invalid_request")) == ["/started_at"]
    start(http, recording)
    body = {**BODY, "start_time": time, "end_time": time}
    answer = refused(post(http, recording.recording_id, body), 422, "invalid_request")
    assert pointers(answer) == ["/start_time", "/end_time"]


def test_times_need_a_clock(http: httpx.Client, recording: Recording) -> None:
    refused(post(http, recording.recording_id, BODY), 422, "clock_unknown")
    refused(http.post(f"/v1/recordings/{recording.recording_id}/clips/plan", json=BODY), 422, "clock_unknown")


def test_time_outside_of_the_recording_is_refused_with_its_bounds(http: httpx.Client, recording: Recording) -> None:
    start(http, recording, "2026-11-28T12:00:10Z")
    problem = refused(post(http, recording.recording_id, BODY), 422, "invalid_time_range")
    assert pointers(problem) == ["/start_time"]
    assert "begins at 2026-11-28T12:00:10.000Z" in problem["detail"]


def test_time_that_the_clock_showed_twice_is_ambiguous(http: httpx.Client, engine: RecordedEngine) -> None:
    made = engine.make_recording("camera.mp4")
    noon = parse_moment(STARTED) * 1000
    points = ClockPoint(0, noon), ClockPoint(60_000_000, noon + 60_000_000), ClockPoint(60_000_000, noon)
    found = Clock("playlist", 0.001, points).to_object()
    engine.ledger.recordings.update(made.recording_id, {"found_clock": found}, {})
    problem = refused(post(http, made.recording_id, BODY), 422, "clock_ambiguous")
    assert pointers(problem) == ["/start_time"]


def test_search_says_when_words_were_said(http: httpx.Client, recording: Recording) -> None:
    cues = [{"start_seconds": 1, "end_seconds": 2.5, "text": "The budget"}]
    http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=cues)
    assert http.get("/v1/search?q=budget").json()["data"][0]["start_time"] is None
    start(http, recording)
    for address in ("/v1/search", f"/v1/recordings/{recording.recording_id}/transcripts/en/search"):
        hit = http.get(f"{address}?q=budget").json()["data"][0]
        assert (hit["start_time"], hit["end_time"]) == ("2026-11-28T12:00:01.000Z", "2026-11-28T12:00:02.500Z")


def test_recordings_of_a_series_are_listed(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    engine.put("day.mp4", b"media")
    made = http.post("/v1/recordings", json={"bucket_path": "day.mp4", "series": "front", "started_at": STARTED}).json()
    assert (made["series"], made["started_at"]) == ("front", STARTED)
    http.patch(f"/v1/recordings/{recording.recording_id}", json={"series": "front"})
    found = http.get("/v1/recordings?series=front").json()["data"]
    assert {each["recording_id"] for each in found} == {made["recording_id"], recording.recording_id}
    http.patch(f"/v1/recordings/{recording.recording_id}", json={"series": None})
    assert len(http.get("/v1/recordings?series=front").json()["data"]) == 1


def series(http: httpx.Client, engine: RecordedEngine, name: str, began: str) -> Recording:
    made = engine.make_recording(f"{name}-{began}.mp4")
    answer = http.patch(f"/v1/recordings/{made.recording_id}", json={"series": name, "started_at": began})
    assert answer.status_code == 200, answer.text
    return made


BY_TIME = {"label": "parcel", "start_time": "2026-11-28T12:00:00Z", "end_time": "2026-11-28T12:01:00Z"}


def test_one_clip_of_each_series_is_made_by_the_clock(http: httpx.Client, engine: RecordedEngine) -> None:
    # A recording has 5,400.04 seconds.
    before, after = (series(http, engine, "front", each) for each in ("2026-11-28T10:30:30Z", "2026-11-28T12:00:40Z"))
    yard = series(http, engine, "yard", "2026-11-28T11:00:00Z")
    answer = http.post("/v1/clips/by-time", json={**BY_TIME, "series": ["yard", "front"], "tags": ["a"]})
    assert answer.status_code == 202, answer.text
    first, second = answer.json()["data"]
    assert (first["recording_id"], first["start_seconds"], first["end_seconds"]) == (yard.recording_id, 3600, 3660)
    assert (first["parts"], first["tags"]) == (None, ["a"])
    assert second["parts"] == [
        {"recording_id": before.recording_id, "start_seconds": 5370.0, "end_seconds": 5400.04},
        {"recording_id": after.recording_id, "start_seconds": 0.0, "end_seconds": 20.0},
    ]
    assert (second["start_time"], second["end_time"]) == ("2026-11-28T12:00:00.000Z", "2026-11-28T12:01:00.000Z")
    assert engine.ledger.clips.get(first["clip_id"]).warnings == ()
    assert engine.ledger.clips.get(second["clip_id"]).warnings == (
        "recordings_apart: no recording from 2026-11-28T12:00:30.040Z to 2026-11-28T12:00:40.000Z, which is left out",
    )


def test_no_clip_is_made_if_a_series_has_nothing(http: httpx.Client, engine: RecordedEngine) -> None:
    series(http, engine, "front", STARTED)
    body = {**BY_TIME, "series": ["front", "yard"]}
    assert pointers(refused(http.post("/v1/clips/by-time", json=body), 422, "nothing_recorded")) == ["/series/1"]
    early = {**body, "series": ["front"], "start_time": "2026-11-28T11:59:00Z"}
    assert pointers(refused(http.post("/v1/clips/by-time", json={**early, "gaps": "fail"}), 422, "nothing_recorded"))
    assert http.post("/v1/clips/by-time", json=early).status_code == 202
    assert len(http.get("/v1/clips").json()["data"]) == 1


def test_series_that_is_being_probed_is_waited_for(http: httpx.Client, engine: RecordedEngine) -> None:
    for name in ("new.mp4", "other.mp4"):
        engine.put(name, b"media")
    http.post("/v1/recordings", json={"bucket_path": "new.mp4", "series": "front"})
    http.post("/v1/recordings", json={"bucket_path": "other.mp4", "series": "yard"})
    answer = http.post("/v1/clips/by-time", json={**BY_TIME, "series": ["front"]})
    assert pointers(refused(answer, 409, "recording_not_complete")) == ["/series/0"]
    both = refused(
        http.post("/v1/clips/by-time", json={**BY_TIME, "series": ["front", "yard"]}), 409, "recording_not_complete"
    )
    assert pointers(both) == ["/series/0", "/series/1"]
    assert both["detail"].count("The recording's status is `processing`") == 1
    assert "{recording_id}" not in str(both)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"series": []}, ["/series"]),
        ({"series": ["a"] * 2}, ["/series"]),
        ({"series": [f"{number}" for number in range(21)]}, ["/series"]),
        ({"end_time": None}, ["/end_time"]),
        ({"start_seconds": 1}, ["/start_seconds"]),
    ],
)
def test_fault_of_a_request_by_time_is_located(http: httpx.Client, changes: dict[str, Any], where: list[str]) -> None:
    body = {**BY_TIME, "series": ["front"], **changes}
    assert pointers(refused(http.post("/v1/clips/by-time", json=body), 422, "invalid_request")) == where
