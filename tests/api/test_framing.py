"""The framing of a clip over HTTP: the part of the picture that the clip shows, and the size that it then has."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.clips.options.framing import Size, covering_pixels
from clipengine.clips.options.output import Output, Region
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import Watermark
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_parts
from tests.support.api import RecordedEngine
from tests.support.png import png
from tests.support.selection import cases

__all__ = ["shelf"]  # a fixture

OPTIONS: list[dict[str, Any]] = [
    {"aspect": "9:16", "focus": {"x": 1.0, "y": 0.5}},
    {"aspect": "1:1"},
    {"aspect": "4:5", "fit": "blur"},
    {"crop": {"x": 0.5, "y": 0, "width": 0.5, "height": 1}, "max_height": 90},
    {},
]


def _framing(http: httpx.Client, recording_id: str, output: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(f"/v1/recordings/{recording_id}/framing", json={"output": output})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("output", cases(OPTIONS, OPTIONS[:1]), ids=str)
@pytest.mark.parametrize("name", cases(["mp4_25", "rotated_90"], ["mp4_25"]))
def test_framing_has_the_size_of_the_clip(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, tmp_path: Path, name: str, output: dict[str, Any]
) -> None:
    path = shelf.get(name).path
    found = _framing(http, registered(engine, path).recording_id, output)
    profile = Profile(preset="ultrafast").rendered(None, Output.model_validate(output))
    made = cut_parts([(path, Fraction(0), Fraction(1, 2))], tmp_path / "clip.mp4", profile).made
    assert (found["width"], found["height"]) == (made.width, made.height)


def test_region_is_as_near_to_the_focus_as_the_picture_allows(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    id = registered(engine, shelf.get("mp4_25").path).recording_id
    whole = _framing(http, id, {})
    size = whole["recording"]
    assert whole["region"] == {"x": 0, "y": 0, **size}
    places = [_framing(http, id, {"aspect": "9:16", "focus": {"x": x, "y": 0.5}})["region"] for x in (0.0, 0.5, 1.0)]
    width = places[0]["width"]
    assert [each["height"] for each in places] == [size["height"]] * 3
    assert places[0]["x"] == 0
    assert abs(places[1]["x"] - (size["width"] - width) / 2) <= 1
    assert places[2]["x"] == size["width"] - width


def test_region_moves_with_the_focus_between_the_edges(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    id = registered(engine, shelf.get("mp4_25").path).recording_id
    focus = [{"recording_seconds": 1.0, "x": 0.0, "y": 0.5}, {"recording_seconds": 2.0, "x": 0.5, "y": 0.5}]
    found = _framing(http, id, {"aspect": "9:16", "focus": focus})
    width, half = found["recording"]["width"], found["region"]["width"] / 2
    leaves = 1 + half / (width / 2)  # the edge, when its middle is at half of its width
    assert [each["at_seconds"] for each in found["path"]] == pytest.approx([1.0, leaves, 2.0], abs=1e-6)
    assert [each["x"] for each in found["path"]] == [0, 0, pytest.approx(width / 2 - half, abs=1)]
    assert _framing(http, id, {"aspect": "9:16"})["path"] == []


def test_recording_without_video_has_no_framing(http: httpx.Client, engine: RecordedEngine, shelf: Shelf) -> None:
    id = registered(engine, shelf.get("audio_only_mp3").path, key="talk.mp3").recording_id
    answer = http.post(f"/v1/recordings/{id}/framing", json={"output": {"aspect": "9:16"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_media_in_range")


@pytest.mark.parametrize("output", [{"aspect": "9:0"}, {"focus": {"x": 2, "y": 0}, "aspect": "1:1"}, {"aspekt": "1:1"}])
def test_invalid_options_are_rejected(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, output: dict[str, Any]
) -> None:
    id = registered(engine, shelf.get("mp4_25").path).recording_id
    answer = http.post(f"/v1/recordings/{id}/framing", json={"output": output})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"].startswith("/output/")


def test_framing_says_what_is_drawn_over_the_clip(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, tmp_path: Path
) -> None:
    id = registered(engine, shelf.get("mp4_25").path).recording_id
    assert {name: _framing(http, id, {})[name] for name in ("blur", "watermark", "fade_seconds")} == {
        "blur": [],
        "watermark": None,
        "fade_seconds": None,
    }
    (tmp_path / "logo.png").write_bytes(png(20, 10, bytes(20 * 10 * 4)))
    mark = Watermark(path=tmp_path / "logo.png", position="top-left", width=0.25, opacity=0.5, margin=0.1)
    engine.settings = engine.settings.model_copy(update={"watermarks": {"logo": mark}})
    box = {"x": 0.5, "y": 0.25, "width": 0.25, "height": 0.5}
    moving = {"box": [{"at_seconds": 1.0, **box}, {"at_seconds": 2.0, **box, "x": 0.0}], "to_seconds": 3.0}
    recorded = {"box": [{"recording_seconds": 1.0, **box}, {"recording_seconds": 2.0, **box, "x": 0.0}]}
    boxes = [{**box, "from_seconds": 1.5}, moving, recorded]
    output = {"aspect": "1:1", "watermark": "logo", "fade_seconds": 0.5, "blur": boxes}
    found = _framing(http, id, output)
    whole, canvas = found["recording"], Size(found["width"], found["height"])
    place = covering_pixels(Region(**box), whole["width"], whole["height"])._asdict()
    still, moved, followed = found["blur"]
    path = [{"at_seconds": 0.0, **place}]
    assert still == {"from_seconds": 1.5, "to_seconds": None, "times_of": "clip", "path": path}
    assert (moved["from_seconds"], moved["to_seconds"]) == (0.0, 3.0)
    assert moved["path"] == followed["path"] == [{"at_seconds": 1.0, **place}, {"at_seconds": 2.0, **place, "x": 0}]
    assert (moved["times_of"], followed["times_of"]) == ("clip", "recording")
    expected = mark.box(Size(20, 10), canvas, Fraction(1))
    assert found["watermark"] == {"name": "logo", "opacity": 0.5, **expected._asdict()}
    assert found["fade_seconds"] == 0.5
    assert http.get("/v1/watermarks").json()["data"] == [{"name": "logo", "position": "top-left"}]
    answer = http.get("/v1/watermarks/logo")
    assert (answer.headers["content-type"], answer.content) == ("image/png", (tmp_path / "logo.png").read_bytes())
    assert http.get("/v1/watermarks/other").json()["code"] == "unknown_watermark"
    problem = http.post(f"/v1/recordings/{id}/framing", json={"output": {"watermark": "other"}}).json()
    assert [each["pointer"] for each in problem["errors"]] == ["/output/watermark"]
