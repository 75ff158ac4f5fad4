"""Requests for clips without pauses and fillers, and their plans, with recordings that real children search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.clips.options.without import Without
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.recordings.recording import Recording
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, post, refused
from tests.support.moments_film import make_moments_film
from tests.support.speech import write_wav

__all__ = ["shelf"]  # a fixture
BODY = {"label": "short", "start_seconds": 0.3, "end_seconds": 11.5}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_moments_film(tmp_path_factory.mktemp("moments") / "film.mp4")


@pytest.fixture
def film(engine: RecordedEngine, path: Path) -> Recording:
    return registered(engine, path)  # silent from 2 to 3 and from 7 to 9.5


def _plan(http: httpx.Client, recording: Recording, **fields: Any) -> httpx.Response:
    return http.post(f"/v1/recordings/{recording.recording_id}/clips/plan", json=BODY | fields)


def _removed(plan: dict[str, Any]) -> list[tuple[int, float, float]]:
    return [(each["part"], each["start_seconds"], each["end_seconds"]) for each in plan["removed"]]


def test_without_is_kept_as_requested(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    clip = post(http, film.recording_id, BODY | {"without": ["silence"]}).json()
    assert clip["without"] == ["silence"]
    assert engine.ledger.clips.get(clip["clip_id"]).without == Without(("silence",))
    assert post(http, film.recording_id, BODY).json()["without"] == []


@pytest.mark.parametrize(
    ("without", "where"),
    [
        ("silence", "/without"),
        (["noise"], "/without/0"),
        (["silence", "silence"], "/without"),
        (["silence", "fillers", "silence"], "/without"),
        (None, "/without"),
    ],
)
def test_fault_of_without_is_located(http: httpx.Client, film: Recording, without: object, where: str) -> None:
    answer = post(http, film.recording_id, BODY | {"without": without})
    assert pointers(refused(answer, 422, "invalid_request")) == [where]


def test_ranges_of_a_plan_can_be_kept(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    first, second = _plan(http, film, without=["silence"]).json()["removed"]
    plan = _plan(http, film, without=["silence"], keep_ranges=[first]).json()
    assert plan["removed"] == [second]
    assert _plan(http, film, without=["silence"], keep_ranges=[first, second]).json()["removed"] == []
    clip = post(http, film.recording_id, BODY | {"without": ["silence"], "keep_ranges": [first]}).json()
    kept = engine.ledger.clips.get(clip["clip_id"]).without.keep
    assert [each.model_dump() for each in kept] == [first]
    assert "keep_ranges" not in clip


@pytest.mark.parametrize(
    ("keep", "where"),
    [
        ([{"start_seconds": 2}], "/keep_ranges/0/end_seconds"),
        ([{"start_seconds": 2, "end_seconds": 2}], "/keep_ranges/0/end_seconds"),
        ([{"start_seconds": -1, "end_seconds": 2}], "/keep_ranges/0/start_seconds"),
        ([{"start_seconds": 1, "end_seconds": 2, "part": 1}], "/keep_ranges/0/part"),
        ([{"start_seconds": 1, "end_seconds": 2, "part": -1}], "/keep_ranges/0/part"),
        ([[1, 2]], "/keep_ranges/0"),
    ],
)
def test_fault_of_ranges_to_keep_is_located(http: httpx.Client, film: Recording, keep: object, where: str) -> None:
    problem = refused(_plan(http, film, without=["silence"], keep_ranges=keep), 422, "invalid_request")
    assert pointers(problem) == [where]


def test_as_many_ranges_can_be_kept_as_are_removed(http: httpx.Client, film: Recording) -> None:
    keep = [{"part": 0, "start_seconds": 7.1 + each / 10_000, "end_seconds": 7.9} for each in range(5000)]
    assert len(_plan(http, film, without=["silence"], keep_ranges=keep).json()["removed"]) == 2
    refused(_plan(http, film, without=["silence"], keep_ranges=[*keep, keep[0]]), 400, "malformed_request")
    problem = refused(_plan(http, film, keep_ranges=keep[:1]), 422, "invalid_request")
    assert pointers(problem) == ["/keep_ranges"]


def test_what_cannot_be_removed_is_refused(
    http: httpx.Client, film: Recording, engine: RecordedEngine, shelf: Shelf
) -> None:
    silent = registered(engine, shelf.get("video_only_mp4").path, key="silent.mp4")
    body = {"label": "short", "start_seconds": 0, "end_seconds": 2, "without": ["silence"]}
    assert pointers(refused(post(http, silent.recording_id, body), 422, "invalid_request")) == ["/without"]
    problem = refused(_plan(http, film, without=["fillers"]), 422, "invalid_request")
    assert pointers(problem) == ["/without"]
    assert "needs a transcript" in problem["detail"]
    problem = refused(_plan(http, film, without=["silence"], output={"speed": 100}), 422, "invalid_request")
    assert "timelapse" in problem["detail"]


def test_plan_lists_what_is_removed_and_has_the_length_of_the_rest(http: httpx.Client, film: Recording) -> None:
    whole, plan = _plan(http, film).json(), _plan(http, film, without=["silence"]).json()
    assert [(part, round(start, 1), round(end, 1)) for part, start, end in _removed(plan)] == [
        (0, 2.1, 2.9),
        (0, 7.1, 9.4),
    ]
    removed = sum(end - start for _, start, end in _removed(plan))
    assert abs(whole["duration_seconds"] - plan["duration_seconds"] - removed) < 1e-6
    assert whole["frames"] - plan["frames"] == round(removed * 25)
    assert (plan["actual_start_seconds"], plan["actual_end_seconds"]) == (0.28, 11.5)
    assert plan["estimated_bytes"] < whole["estimated_bytes"]
    assert whole["removed"] == []


def test_plan_of_a_recording_without_video_has_no_frames(
    http: httpx.Client, engine: RecordedEngine, tmp_path: Path
) -> None:
    talk = registered(engine, write_wav(tmp_path / "talk.wav", 12, silences=[(2, 3), (7, 9.5)]), key="talk.wav")
    plan = _plan(http, talk, without=["silence"]).json()
    assert [(round(start, 1), round(end, 1)) for _, start, end in _removed(plan)] == [(2.1, 2.9), (7.1, 9.4)]
    assert (plan["frames"], round(plan["duration_seconds"], 1)) == (0, 8.1)


def test_plan_of_smart_render_says_that_all_is_encoded(http: httpx.Client, film: Recording) -> None:
    plan = _plan(http, film, without=["silence"], render="smart").json()
    assert [each["kind"] for each in plan["segments"]] == ["encode"]
    assert plan["warnings"] == [
        "encoded_instead: nothing was copied, all of the clip was encoded: pauses or fillers are removed"
    ]


def test_each_part_loses_its_own_pauses(http: httpx.Client, film: Recording) -> None:
    parts = [{"start_seconds": 6.5, "end_seconds": 10}, {"start_seconds": 1, "end_seconds": 4}]
    body = {"label": "short", "parts": parts, "without": ["silence"]}
    plan = http.post(f"/v1/recordings/{film.recording_id}/clips/plan", json=body).json()
    assert [(part, round(start, 1), round(end, 1)) for part, start, end in _removed(plan)] == [
        (0, 7.1, 9.4),
        (1, 2.1, 2.9),
    ]


def test_words_stay_and_fillers_go(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    words = (TimedWord(4000, 4300, "Um,"), TimedWord(4300, 4800, "so"), TimedWord(7000, 8200, "quiet"))
    engine.ledger.transcripts.put(film.recording_id, "en", [Cue(4000, 8200, "Um, so quiet", None, words)])
    plan = _plan(http, film, without=["silence", "fillers"]).json()
    assert [(round(start, 1), round(end, 1)) for _, start, end in _removed(plan)] == [
        (2.1, 2.9),
        (4.0, 4.3),
        (8.3, 9.4),
    ]
    assert plan["warnings"] == []
    engine.ledger.transcripts.put(film.recording_id, "en", [Cue(4000, 8200, "Um, so quiet")])
    assert _plan(http, film, without=["fillers"]).json()["warnings"] == [
        "fillers_kept: the transcript does not have the times of words"
    ]
