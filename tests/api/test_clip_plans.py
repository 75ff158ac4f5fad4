"""Plans of clips over HTTP: what would be copied, with the same checks as a clip, and nothing queued."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.work.children import fonts
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_parts, facts_of
from tests.support.api import RecordedEngine
from tests.support.clip_requests import refused
from tests.support.damage import film
from tests.support.selection import cases

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


@pytest.mark.exhaustive
def test_plan_of_auto_is_that_of_what_is_done(http: httpx.Client, path: str) -> None:
    assert _plan(http, path, 1.01, 5.3, render="auto") == _plan(http, path, 1.01, 5.3, render="smart")
    short = _plan(http, path, 1.01, 1.3, render="auto")
    assert [each["kind"] for each in short["segments"]] == ["encode"]
    assert short["warnings"] == []
    assert [each[:15] for each in _plan(http, path, 1.01, 1.3, render="smart")["warnings"]] == ["encoded_instead"]


@pytest.mark.exhaustive
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
    segments = [(each["part"], each["kind"], each["reason"]) for each in plan["segments"]]
    ends = (1, "encode", None)  # a frame that is shown before one which is decoded earlier
    assert segments == [(0, "copy", None), (1, "encode", None), (1, "copy", None), ends]


ONE_FRAME = [("mp4_bframes", 1.6, 1.64), ("mp4_bframes", 1.6, 1.64), ("mp4_bframes", 3.2, 5.0)]
SPANS = [("mp4_bframes", 3.2, 5.0), ("mp4_bframes", 1.7, 3.1), ("mp4_25", 1.0, 1.5), ("mp4_bframes", 1.01, 5.0)]


@pytest.mark.parametrize(
    "spans", cases([SPANS, SPANS[1:3], ONE_FRAME, [*SPANS[:1], ("rotated_90", 0.0, 1.0)]], [SPANS, ONE_FRAME])
)
@pytest.mark.typical(1)
def test_plan_says_of_each_part_whether_it_is_copied(
    engine: RecordedEngine, http: httpx.Client, shelf: Shelf, tmp_path: Path, spans: list[tuple[str, float, float]]
) -> None:
    paths = [shelf.get(name).path for name, _, _ in spans]
    ids = {path: registered(engine, path, key=path.name).recording_id for path in dict.fromkeys(paths)}
    parts = [
        {"recording_id": ids[path], "start_seconds": start, "end_seconds": end}
        for path, (_, start, end) in zip(paths, spans, strict=True)
    ]
    path = f"/v1/recordings/{ids[paths[0]]}/clips/plan"
    plan = http.post(path, json={"label": "plan", "parts": parts, "render": "smart"}).json()
    cuts = [
        (path, Fraction(str(start)), Fraction(str(end))) for path, (_, start, end) in zip(paths, spans, strict=True)
    ]
    made = cut_parts(cuts, tmp_path / "clip.mp4", Profile(render="smart")).made
    assert plan["warnings"] == [*made.warnings]
    copied = [each for each in plan["segments"] if each["kind"] == "copy"]
    assert bool(copied) is (made.render == "smart")
    assert sum(each["end_seconds"] - each["start_seconds"] for each in copied) == pytest.approx(made.copied_seconds)
    whole = {each["part"] for each in plan["segments"]} - {each["part"] for each in copied}
    assert all(each["reason"] for each in plan["segments"] if each["part"] in whole)


@pytest.mark.parametrize("count", cases([1, 3], [3]))
def test_estimate_is_within_max_bytes(http: httpx.Client, path: str, count: int) -> None:
    parts = [{"start_seconds": 1.0, "end_seconds": 3.0}] * count
    answer = http.post(path, json={"label": "plan", "parts": parts, "output": {"max_bytes": 10_000}})
    assert answer.json()["estimated_bytes"] == 10_000


@pytest.mark.exhaustive
def test_plan_says_why_nothing_can_be_copied(http: httpx.Client, path: str) -> None:
    plan = _plan(http, path, 1.7, 3.1, render="smart")
    assert plan["segments"] == [
        {"part": 0, "kind": "encode", "start_seconds": 1.68, "end_seconds": 3.1, "reason": "no GOP begins in the range"}
    ]
    assert plan["warnings"] == [
        "encoded_instead: nothing was copied, all of the clip was encoded: no GOP begins in the range"
    ]


@pytest.mark.parametrize(
    "names",
    cases(
        [("mp4_bframes",), ("mp4_25", "video_only_mp4", "mp4_25"), ("video_only_mp4", "mp4_25")],
        [("mp4_25", "video_only_mp4", "mp4_25")],
    ),
)
@pytest.mark.exhaustive
def test_plan_has_the_warnings_of_the_clip(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, tmp_path: Path, names: tuple[str, ...]
) -> None:
    films = {name: shelf.get(name) for name in names}
    ids = {name: registered(engine, film.path, key=f"{name}.mp4").recording_id for name, film in films.items()}
    output = Output(fade_seconds=0.2, mute=((0.1, 0.2),))
    ends = [round(float(facts_of(film.path).duration) + 0.5, 3) for film in films.values()]
    ranges = [(name, 2.0, ends[0] if number == 0 else 3.0) for number, name in enumerate(names)]
    parts = [{"recording_id": ids[name], "start_seconds": start, "end_seconds": end} for name, start, end in ranges]
    body = {"label": "plan", "parts": parts, "output": output.model_dump(exclude_none=True)}
    answer = http.post(f"/v1/recordings/{ids[names[0]]}/clips/plan", json=body)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    spans = [(films[name].path, Fraction(start), Fraction(end)) for name, start, end in ranges]
    made = cut_parts(spans, tmp_path / "clip.mp4", Profile().rendered(None, output)).made
    assert sorted(plan["warnings"]) == sorted(made.warnings)
    assert [text for text in plan["warnings"] if text.startswith("end_clamped:")]
    assert plan["frames"] == made.frames


@pytest.mark.parametrize(
    ("name", "ranges", "options", "frames"),
    [
        ("mp4_25", [(1, 1.5)], {}, 13),  # 12.5 frames
        pytest.param("mp4_25", [(1, 1.5), (3.01, 3.51)], {"speed": 0.5}, 26, marks=pytest.mark.exhaustive),
        ("mp4_25", [(1, 1.5), (3, 3.5)], {"fps": 30, "speed": 2}, 15),
        ("mp4_gop_10s", [(0.3, 11)], {"speed": 20, "fps": 12}, 7),  # 6.42 frames
        pytest.param("mp4_25", [(0.98, 5.99)], {"fade_seconds": 0.4}, 126, marks=pytest.mark.exhaustive),
        pytest.param("mp4_2997", [(0.7, 4.7), (1.13, 2.4)], {}, 158, marks=pytest.mark.exhaustive),
        pytest.param("mp4_25", [(1, 1.33), (3, 3.46), (4, 4.05)], {"fps": 10}, 9, marks=pytest.mark.exhaustive),
        pytest.param("webm_live_vp8", [(1, 3.5)], {"fps": 12.5}, 32, marks=pytest.mark.exhaustive),
        ("one_frame_a_second", [(2, 4), (5, 8)], {"fade_seconds": 0.5}, 30),
        pytest.param("one_frame_a_second", [(2, 11.8)], {"fps": 5}, 49, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.typical(2)
def test_plan_has_the_frames_of_the_clip(
    http: httpx.Client,
    engine: RecordedEngine,
    shelf: Shelf,
    tmp_path: Path,
    name: str,
    ranges: list[tuple[float, float]],
    options: dict[str, Any],
    frames: int,
) -> None:
    path = shelf.get(name).path
    parts = [{"start_seconds": start, "end_seconds": end} for start, end in ranges]
    id = registered(engine, path).recording_id
    answer = http.post(f"/v1/recordings/{id}/clips/plan", json={"label": "plan", "parts": parts, "output": options})
    assert answer.status_code == 200, answer.text
    spans = [(path, *(Fraction(str(each)) for each in span)) for span in ranges]
    profile = Profile(preset="ultrafast").rendered(None, Output(**options))
    made = cut_parts(spans, tmp_path / "clip.mp4", profile).made
    assert (answer.json()["frames"], made.frames) == (frames, frames)


@pytest.mark.exhaustive
def test_plan_has_the_frames_of_an_animation(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, profile = shelf.get("mp4_25"), Profile(container="gif", audio="none", video="gif", fps=10)
    monkeypatch.setitem(engine.settings.profiles, "gif", profile)
    id = registered(engine, whole.path).recording_id
    for end in ("1.51", "1.53"):  # one frame for 10 ms is left out
        plan = _plan(http, f"/v1/recordings/{id}/clips/plan", 1.0, float(end), profile="gif")
        made = cut_parts([(whole.path, Fraction(1), Fraction(end))], tmp_path / "clip.gif", profile).made
        assert plan["frames"] == made.frames


@pytest.mark.parametrize("fps", cases([None, 10], [None]))
@pytest.mark.exhaustive
def test_plan_counts_the_frames_that_are_held_over_a_part_without_video(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, tmp_path: Path, fps: int | None
) -> None:
    spans = [("mp4_25", 1.0, 1.55), ("audio_only_with_cover", 1.0, 2.0), ("mp4_25", 2.0, 2.25)]
    names = dict.fromkeys(name for name, _, _ in spans)
    ids = {name: registered(engine, shelf.get(name).path, key=f"{name}.mp4").recording_id for name in names}
    parts = [{"recording_id": ids[name], "start_seconds": start, "end_seconds": end} for name, start, end in spans]
    output = Output(fps=fps)
    body = {"label": "plan", "parts": parts, "output": output.model_dump(exclude_none=True)}
    answer = http.post(f"/v1/recordings/{ids['mp4_25']}/clips/plan", json=body)
    assert answer.status_code == 200, answer.text
    ranges = [(shelf.get(name).path, Fraction(str(start)), Fraction(str(end))) for name, start, end in spans]
    made = cut_parts(ranges, tmp_path / "clip.mp4", Profile(preset="ultrafast").rendered(None, output)).made
    assert answer.json()["frames"] == made.frames
    assert sorted(answer.json()["warnings"]) == sorted(made.warnings)
    assert [text for text in made.warnings if text.startswith("picture_missing: part 2:")]


@pytest.mark.parametrize(("noise", "most"), [pytest.param(True, 5, marks=pytest.mark.exhaustive), (False, 6)])
@pytest.mark.typical(2)
def test_estimate_of_bytes_follows_those_of_the_recording(
    http: httpx.Client, engine: RecordedEngine, tmp_path: Path, noise: bool, most: int
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(noise=noise, size=256, seconds=3, sound=0))
    id = registered(engine, path).recording_id
    plan = _plan(http, f"/v1/recordings/{id}/clips/plan", 0.5, 2.5)
    made = cut_parts([(path, Fraction(1, 2), Fraction(5, 2))], tmp_path / "clip.mp4").made
    assert made.size_bytes / most < plan["estimated_bytes"] < made.size_bytes * most


def test_plan_counts_the_cues_that_the_clip_does_not_draw(
    http: httpx.Client, path: str, engine: RecordedEngine
) -> None:
    texts = [*(f"line {number}" for number in range(8)), "\u200d"]
    cues = [{"start_seconds": 1.0, "end_seconds": 2.0, "text": text} for text in texts]
    assert http.put(path.replace("clips/plan", "transcripts/en"), json=cues).status_code == 201
    burning = {"subtitles": {"mode": "burn"}}
    dropped = "subtitles_dropped: 2 cues in en were not drawn as a whole: they have no room"  # as in the clip
    assert [each for each in _plan(http, path, 1.0, 2.0, **burning)["warnings"] if "dropped" in each] == [dropped]
    assert _plan(http, path, 3.2, 5.0, **burning)["warnings"] == []


@pytest.mark.exhaustive
def test_plan_knows_the_subtitles_of_the_clip(
    http: httpx.Client, path: str, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_SYSTEM_FOLDERS", ())
    monkeypatch.setitem(engine.settings.profiles, "gif", Profile(container="gif"))
    cues = [
        {"start_seconds": 1.0, "end_seconds": 2.0, "text": "🫠"},
        {"start_seconds": 2, "end_seconds": 3, "text": "a"},
    ]
    answer = http.put(path.replace("clips/plan", "transcripts/en"), json=cues)
    assert answer.status_code in (200, 201), answer.text
    burning = {"subtitles": {"mode": "burn"}, "render": "smart"}
    codes = [text.partition(": ")[0] for text in _plan(http, path, 1.0, 2.0, **burning)["warnings"]]
    assert sorted(codes) == ["encoded_instead", "glyphs_missing"]
    body = {"label": "plan", "start_seconds": 1.5, "end_seconds": 2.5, **burning}
    refused(http.post(path, json=body), 422, "fonts_missing")
    assert _plan(http, path, 3.2, 5.0, **burning)["warnings"] == []  # no cue is shown
    assert _plan(http, path, 1.0, 2.0)["warnings"] == []
    lost = ["subtitles_dropped: the transcript in en has no track in the clip: gif holds no text"]
    assert _plan(http, path, 1.0, 2.0, profile="gif")["warnings"] == lost
    assert _plan(http, path, 3.2, 5.0, profile="gif")["warnings"] == []


def test_request_of_a_plan_is_checked_like_that_of_a_clip(http: httpx.Client, path: str) -> None:
    body = {"label": "plan", "start_seconds": 2.0, "end_seconds": 1.0}
    refused(http.post(path, json=body), 422, "invalid_time_range")
    refused(http.post(path, json=body | {"end_seconds": 3.0, "profile": "none"}), 422, "unknown_profile")
    refused(http.post(path, json=body | {"end_seconds": 3.0, "render": "copy"}), 422, "invalid_request")
    refused(http.post(path.replace("rec_", "rec_0"), json=body), 404, "recording_not_found")
