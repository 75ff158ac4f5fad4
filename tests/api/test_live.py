"""Requests about recordings that are still written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from clipengine.basis.moments import parse_moment, rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, post, refused
from tests.support.live import added, refreshed, written

STARTED = 1_795_910_400_000


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_last_seconds_are_resolved(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    id = written(engine.ledger)
    for of, seconds, span in (
        (id, 30, (9.9, 39.9)),
        (id, 100, (0, 39.9)),
        (recording.recording_id, 2.5, (5397.54, 5400.04)),
    ):
        clip = post(http, of, {"label": "x", "last_seconds": seconds}).json()
        assert (clip["start_seconds"], clip["end_seconds"]) == span
        assert (clip["step"], clip["wait_until"]) == ("queued", None)


def test_last_seconds_of_a_recording_that_no_engine_has_read_since_its_start_are_worth_a_retry(
    http: httpx.Client, engine: RecordedEngine
) -> None:
    id, body = written(engine.ledger), {"label": "x", "last_seconds": 5}
    engine.ledger.live.release_orphans("other", in_flight=set, living=tuple)
    problem = refused(post(http, id, body), 422, "not_recorded_yet")
    assert "ask again in a second" in problem["hint"]
    refused(http.post(f"/v1/recordings/{id}/clips/plan", json=body), 422, "not_recorded_yet")
    assert post(http, id, {"label": "x", "start_seconds": 1, "end_seconds": 2}).status_code == 202
    assert engine.ledger.live.append(refreshed(engine.ledger, "other"), now_ms(), added(10, 12))
    assert post(http, id, body).json()["end_seconds"] == 47.9


def test_clip_of_what_is_not_recorded_yet_waits(http: httpx.Client, engine: RecordedEngine) -> None:
    id = written(engine.ledger)
    answer = post(http, id, {"label": "x", "start_seconds": 30, "end_seconds": 60})
    assert answer.status_code == 202
    clip = answer.json()
    assert (clip["status"], clip["step"], clip["queue"]) == ("processing", "waiting", None)
    assert parse_moment(clip["wait_until"]) == pytest.approx(now_ms() + 20_100 + 300_000, abs=60_000)
    assert refreshed(engine.ledger).wanted
    until = in_days(6)
    answer = post(http, id, {"label": "x", "start_seconds": 90, "end_seconds": 99, "wait_until": until})
    assert answer.json()["wait_until"] == until.replace("Z", ".000Z")
    plan = http.post(f"/v1/recordings/{id}/clips/plan", json={"label": "x", "start_seconds": 30, "end_seconds": 60})
    assert "Ask again later" in str(refused(plan, 422, "not_recorded_yet"))


def series(http: httpx.Client, engine: RecordedEngine) -> str:
    """Return a recording of the series front that is still written, and has reached 39.9 s."""
    id = written(engine.ledger)
    changed = http.patch(f"/v1/recordings/{id}", json={"series": "front", "started_at": rfc3339(STARTED)})
    assert changed.status_code == 200, changed.text
    return id


def by_time(http: httpx.Client, start: float, end: float, **fields: Any) -> httpx.Response:
    """Request a clip of the series front between two times, in seconds after its start."""
    times = (rfc3339(STARTED + round(each * 1000)) for each in (start, end))
    body = {"label": "x", "series": ["front"], **dict(zip(("start_time", "end_time"), times, strict=True)), **fields}
    return http.post("/v1/clips/by-time", json=body)


@pytest.mark.parametrize(("start", "end"), [(10, 40), (20, 50), (60, 80)])
def test_clip_by_time_of_a_series_that_is_still_written_waits(
    http: httpx.Client, engine: RecordedEngine, start: float, end: float
) -> None:
    id = series(http, engine)
    answer = by_time(http, start, end, on_timeout="clamp", gaps="fail")
    assert answer.status_code == 202, answer.text
    (clip,) = answer.json()["data"]
    assert (clip["recording_id"], clip["start_seconds"], clip["end_seconds"]) == (id, start, end)
    assert (clip["parts"], clip["step"]) == (None, "waiting")
    kept = engine.ledger.clips.get(clip["clip_id"])
    assert (kept.on_timeout, kept.warnings) == ("clamp", ())
    same = post(http, id, {"label": "x", "start_seconds": start, "end_seconds": end}).json()
    assert parse_moment(clip["wait_until"]) == pytest.approx(parse_moment(same["wait_until"]), abs=60_000)
    assert refreshed(engine.ledger).wanted


def test_clip_by_time_waits_as_long_as_requested(http: httpx.Client, engine: RecordedEngine) -> None:
    series(http, engine)
    until = in_days(6)
    (clip,) = by_time(http, 20, 50, wait_until=until).json()["data"]
    assert clip["wait_until"] == until.replace("Z", ".000Z")
    (clip,) = by_time(http, 10, 30, wait_until=until).json()["data"]
    assert (clip["step"], clip["wait_until"]) == ("queued", None)
    assert pointers(refused(by_time(http, 20, 50, wait_until=in_days(8)), 422, "invalid_request")) == [
        "/series/0/wait_until"
    ]


def test_range_that_the_next_recording_of_a_series_may_have_is_refused_with_a_hint(
    http: httpx.Client, engine: RecordedEngine
) -> None:
    id = series(http, engine)
    assert engine.ledger.live.complete(refreshed(engine.ledger), added(10, 11, ended=True))
    ahead = (now_ms() - STARTED) / 1000 + 3600
    assert "recordings?series=" in refused(by_time(http, 30, ahead), 422, "not_recorded_yet")["detail"]
    assert "recordings?series=" in refused(by_time(http, ahead, ahead + 10), 422, "nothing_recorded")["detail"]
    for end, fields in ((60, {}), (ahead, {"on_timeout": "clamp"})):
        (clip,) = by_time(http, 30, end, **fields).json()["data"]
        assert (clip["recording_id"], clip["step"], clip["end_seconds"]) == (id, "queued", 44)


@pytest.mark.parametrize(
    "preview",
    [
        "frame?at_seconds=50",
        "moments?to=scene&at_seconds=50",
        "filmstrip?start_seconds=50",
        "waveform?start_seconds=50",
    ],
)
def test_preview_of_what_is_not_recorded_yet_is_worth_a_retry(
    http: httpx.Client, engine: RecordedEngine, recording: Recording, preview: str
) -> None:
    id = written(engine.ledger)
    problem = refused(http.get(f"/v1/recordings/{id}/{preview}"), 422, "not_recorded_yet")
    assert "Ask again later" in str(problem)
    assert refreshed(engine.ledger).wanted
    ended = preview.replace("50", "5500")
    refused(http.get(f"/v1/recordings/{recording.recording_id}/{ended}"), 422, "invalid_time_range")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"last_seconds": 5, "start_seconds": 1}, ["/start_seconds"]),
        ({"last_seconds": 5, "start_seconds": 1, "end_seconds": 2}, ["/start_seconds", "/end_seconds"]),
        ({"last_seconds": 5, "parts": [{"start_seconds": 1, "end_seconds": 2}]}, ["/last_seconds"]),
        ({"last_seconds": 0}, ["/last_seconds"]),
        ({"last_seconds": "5"}, ["/last_seconds"]),
        ({"start_seconds": 1, "end_seconds": 2, "on_timeout": "wait"}, ["/on_timeout"]),
        ({"start_seconds": 1, "end_seconds": 60, "wait_until": 5}, ["/wait_until"]),
        ({"start_seconds": 1, "end_seconds": 60, "wait_until": in_days(-1)}, ["/wait_until"]),
        ({"start_seconds": 1, "end_seconds": 60, "wait_until": in_days(8)}, ["/wait_until"]),
    ],
)
def test_fault_of_a_request_is_located(
    http: httpx.Client, engine: RecordedEngine, fields: dict[str, Any], where: list[str]
) -> None:
    id = written(engine.ledger)
    assert pointers(refused(post(http, id, {"label": "x", **fields}), 422, "invalid_request")) == where


def test_range_of_a_live_recording_has_the_limits_of_others(http: httpx.Client, engine: RecordedEngine) -> None:
    id = written(engine.ledger)
    for span in ({"start_seconds": 1, "end_seconds": 1e7}, {"start_seconds": 5, "end_seconds": 4}):
        assert refused(post(http, id, {"label": "x", **span}), 422, "invalid_time_range")


def test_live_is_for_objects_of_the_store(http: httpx.Client) -> None:
    answer = http.post("/v1/recordings", json={"url": "http://127.0.0.1/x.m3u8", "live": True})
    assert answer.status_code == 422


def test_recording_is_ended_once_and_a_finished_one_is_not_changed(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    id = written(engine.ledger)
    for _ in range(2):
        answer = http.post(f"/v1/recordings/{id}/end")
        assert (answer.status_code, answer.json()["status"]) == (200, "recording")
    assert refreshed(engine.ledger).ending
    answer = http.post(f"/v1/recordings/{recording.recording_id}/end")
    assert (answer.status_code, answer.json()["status"]) == (200, "complete")
    assert http.post("/v1/recordings/rec_none/end").status_code == 404


def test_list_has_the_status(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    id = written(engine.ledger)
    for status, found in (("recording", [id]), ("complete", [recording.recording_id])):
        answer = http.get("/v1/recordings", params={"status": status}).json()
        assert [each["recording_id"] for each in answer["data"]] == found
    shown = http.get(f"/v1/recordings/{id}?wait=10").json()
    assert (shown["status"], shown["duration_seconds"], shown["revision"]) == ("recording", 39.9, 1)
