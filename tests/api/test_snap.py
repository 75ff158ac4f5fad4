"""Requests to snap the cuts of a clip, and their plans, with recordings that real children search."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.clips.options.snap import Snap
from clipengine.clips.texts.cues import Cue
from clipengine.recordings.recording import Recording
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, post, refused

__all__ = ["shelf"]  # a fixture
BODY = {"label": "snapped", "start_seconds": 1.3, "end_seconds": 4.5}
KEYFRAME = {"to": "keyframe", "within_seconds": 0.5}


@pytest.fixture
def film(engine: RecordedEngine, shelf: Shelf) -> Recording:
    return registered(engine, shelf.get("mp4_bframes").path)  # keyframes are 1.6 s apart


def _plan(http: httpx.Client, recording: Recording, **fields: Any) -> httpx.Response:
    return http.post(f"/v1/recordings/{recording.recording_id}/clips/plan", json=BODY | fields)


def _cut(cut: str, asked: float, snapped: float | None, part: int = 0) -> dict[str, Any]:
    return {"part": part, "cut": cut, "asked_seconds": asked, "snapped_seconds": snapped}


def test_snap_is_kept_as_requested(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    clip = post(http, film.recording_id, BODY | {"snap": {"to": "scene"}}).json()
    assert clip["snap"] == {"to": "scene", "within_seconds": 2.0}
    assert (clip["start_seconds"], clip["end_seconds"]) == (1.3, 4.5)
    assert engine.ledger.clips.get(clip["clip_id"]).snap == Snap(to="scene")
    assert post(http, film.recording_id, BODY).json()["snap"] is None


@pytest.mark.parametrize(
    ("snap", "where"),
    [
        ({}, "/snap/to"),
        ({"to": "beat"}, "/snap/to"),
        (KEYFRAME | {"within_seconds": 0}, "/snap/within_seconds"),
        (KEYFRAME | {"within_seconds": 30.5}, "/snap/within_seconds"),
        (KEYFRAME | {"within_seconds": "2"}, "/snap/within_seconds"),
        (KEYFRAME | {"more": 1}, "/snap/more"),
        ("keyframe", "/snap"),
    ],
)
def test_fault_of_a_snap_is_located(http: httpx.Client, film: Recording, snap: object, where: str) -> None:
    assert pointers(refused(post(http, film.recording_id, BODY | {"snap": snap}), 422, "invalid_request")) == [where]


def test_moments_that_a_recording_cannot_have_are_refused(
    http: httpx.Client, film: Recording, engine: RecordedEngine, shelf: Shelf
) -> None:
    silent = registered(engine, shelf.get("video_only_mp4").path, key="silent.mp4")
    problem = refused(post(http, silent.recording_id, BODY | {"snap": {"to": "silence"}}), 422, "invalid_request")
    assert pointers(problem) == ["/snap/to"]
    problem = refused(_plan(http, film, snap={"to": "sentence"}), 422, "invalid_request")
    assert pointers(problem) == ["/snap/to"]
    assert "needs a transcript" in problem["detail"]
    parts = [{"start_seconds": 1, "end_seconds": 2, "recording_id": each.recording_id} for each in (film, silent)]
    clips = [{"recording_id": film.recording_id, "label": "a", "parts": parts, "snap": {"to": "silence"}}]
    problem = refused(http.post("/v1/clips/batch", json={"clips": clips}), 422, "invalid_request")
    assert pointers(problem) == ["/clips/0/snap/to"]


def test_plan_says_what_each_cut_becomes(http: httpx.Client, film: Recording) -> None:
    plan = _plan(http, film, snap=KEYFRAME, render="smart").json()
    assert plan["snapped"] == [_cut("start", 1.3, 1.6), _cut("end", 4.5, 4.8)]
    assert (plan["actual_start_seconds"], plan["actual_end_seconds"], plan["frames"]) == (1.6, 4.8, 80)
    assert [(each["kind"], each["start_seconds"], each["end_seconds"]) for each in plan["segments"]] == [
        ("copy", 1.6, 4.8)
    ]
    assert plan["warnings"] == []
    assert _plan(http, film).json()["snapped"] == []


@pytest.mark.exhaustive
def test_plan_warns_of_a_cut_that_stays(http: httpx.Client, film: Recording) -> None:
    parts = [{"start_seconds": 1.3, "end_seconds": 2.4}, {"start_seconds": 3.0, "end_seconds": 4.0}]
    body = {"label": "parts", "parts": parts, "snap": KEYFRAME}
    plan = http.post(f"/v1/recordings/{film.recording_id}/clips/plan", json=body).json()
    assert plan["snapped"] == [
        _cut("start", 1.3, 1.6),
        _cut("end", 2.4, None),
        _cut("start", 3.0, 3.2, part=1),
        _cut("end", 4.0, None, part=1),
    ]
    assert plan["warnings"] == [
        "not_snapped: part 1: the end stays at 2.4 s: there is no keyframe within 0.5 s",
        "not_snapped: part 2: the end stays at 4 s: there is no keyframe within 0.5 s",
    ]
    assert (plan["actual_start_seconds"], plan["actual_end_seconds"]) == (1.6, 4.0)


@pytest.mark.exhaustive
def test_plan_is_refused_if_nothing_is_left_between_the_cuts(http: httpx.Client, film: Recording) -> None:
    problem = refused(_plan(http, film, end_seconds=1.9, snap=KEYFRAME), 422, "invalid_time_range")
    assert pointers(problem) == ["/snap"]
    assert "after its cuts were snapped" in problem["detail"]


@pytest.mark.parametrize(("language", "snapped"), [(None, (1.0, 4.1)), ("de", (1.5, 4.7)), ("fr", None)])
def test_sentences_are_those_of_the_chosen_transcript(
    http: httpx.Client, film: Recording, engine: RecordedEngine, language: str | None, snapped: tuple[float, float]
) -> None:
    english = [Cue(200, 900, "Before."), Cue(1000, 2500, "It began"), Cue(2500, 4100, "here."), Cue(4100, 5900, "No")]
    engine.ledger.transcripts.put(film.recording_id, "en", english)
    engine.ledger.transcripts.put(film.recording_id, "de", [Cue(1500, 4700, "Es begann hier.")])
    subtitles = {"mode": "none", "language": language} if language else {"mode": "none"}
    answer = _plan(http, film, snap={"to": "sentence"}, subtitles=subtitles)
    if snapped is None:
        assert pointers(refused(answer, 404, "transcript_not_found")) == ["/subtitles/language"]
        return
    assert answer.status_code == 200, answer.text
    assert answer.json()["snapped"] == [_cut("start", 1.3, snapped[0]), _cut("end", 4.5, snapped[1])]
