"""Framing: sizes and positions of the clip's picture."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.framing import framing
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import known_warnings
from clipengine.recordings.facts import SourceFacts, VideoFacts

_HD = (1920, 1080)
_PAL = (720, 576)


def _region(x: float, y: float, width: float, height: float) -> dict[str, float]:
    return {"x": x, "y": y, "width": width, "height": height}


@pytest.mark.parametrize(
    ("options", "size", "ratio", "region", "inner", "canvas"),
    [
        ({"crop": _region(0.5, 0, 0.5, 1)}, _HD, 1, (960, 0, 960, 1080), (960, 1080), (960, 1080)),
        ({"crop": _region(0.3333, 0.3333, 0.3333, 0.3333)}, _HD, 1, (640, 360, 640, 360), (640, 360), (640, 360)),
        ({"crop": _region(1, 0, 1e-9, 1e-9)}, _HD, 1, (1904, 0, 16, 16), (16, 16), (16, 16)),
        ({"aspect": "9:16"}, _HD, 1, (656, 0, 608, 1080), (608, 1080), (608, 1080)),
        ({"aspect": "9:16", "focus": {"x": 1, "y": 0}}, _HD, 1, (1312, 0, 608, 1080), (608, 1080), (608, 1080)),
        ({"aspect": "9:16", "focus": {"x": 0.25, "y": 0}}, _HD, 1, (176, 0, 608, 1080), (608, 1080), (608, 1080)),
        ({"aspect": "1:1", "crop": _region(0, 0, 0.5, 1)}, _HD, 1, (0, 60, 960, 960), (960, 960), (960, 960)),
        ({"aspect": "9:16", "fit": "pad"}, _HD, 1, (0, 0, *_HD), (1080, 608), (1080, 1920)),
        ({"aspect": "1:1", "fit": "blur"}, _HD, 1, (0, 0, *_HD), (1080, 608), (1080, 1080)),
        ({"aspect": "16:9", "fit": "pad"}, (640, 480), 1, (0, 0, 640, 480), (640, 480), (854, 480)),
        ({"aspect": "16:9"}, _PAL, Fraction(16, 15), (0, 72, 720, 432), (768, 432), (768, 432)),
        ({"crop": _region(0, 0, 0.5, 0.5)}, _PAL, Fraction(16, 15), (0, 0, 360, 288), (360, 288), (360, 288)),
        ({"aspect": "4:3", "fit": "pad"}, _PAL, Fraction(16, 15), (0, 0, *_PAL), (768, 576), (768, 576)),
    ],
)
def test_framing(options: dict[str, Any], size: Any, ratio: Any, region: Any, inner: Any, canvas: Any) -> None:
    found = framing(Output.model_validate(options), *size, Fraction(ratio), max_height=None)
    assert (found.region, found.inner, found.canvas) == (region, inner, canvas)
    assert found.sample_aspect_ratio == (1 if "aspect" in options else ratio)


def _size(width: int, height: int, *, enlarge: bool = False) -> dict[str, Any]:
    return {"width": width, "height": height, "enlarge": enlarge}


@pytest.mark.parametrize(
    ("options", "size", "ratio", "region", "inner", "canvas"),
    [
        ({"size": _size(360, 640)}, _HD, 1, (656, 0, 608, 1080), (360, 640), (360, 640)),
        ({"size": _size(1080, 1920)}, _HD, 1, (656, 0, 608, 1080), (608, 1080), (608, 1080)),
        ({"size": _size(1080, 1920)}, (1280, 720), 1, (438, 0, 404, 720), (404, 720), (404, 720)),
        ({"size": _size(1080, 1920, enlarge=True)}, _HD, 1, (656, 0, 608, 1080), (1080, 1920), (1080, 1920)),
        (
            {"size": _size(1080, 1920, enlarge=True), "focus": {"x": 1, "y": 0}, "aspect": "9:16"},
            *(_HD, 1, (1312, 0, 608, 1080), (1080, 1920), (1080, 1920)),
        ),
        (
            {"size": _size(1080, 1920, enlarge=True), "crop": _region(0, 0, 0.5, 1)},
            *(_HD, 1, (176, 0, 608, 1080), (1080, 1920), (1080, 1920)),
        ),
        ({"size": _size(1080, 1920), "fit": "pad"}, _HD, 1, (0, 0, *_HD), (1080, 608), (1080, 1920)),
        ({"size": _size(2160, 3840), "fit": "pad"}, _HD, 1, (0, 0, *_HD), _HD, (1920, 3414)),
        ({"size": _size(2160, 3840, enlarge=True), "fit": "blur"}, _HD, 1, (0, 0, *_HD), (2160, 1216), (2160, 3840)),
        ({"size": _size(1024, 576)}, _PAL, Fraction(16, 15), (0, 72, 720, 432), (768, 432), (768, 432)),
        (
            {"size": _size(1024, 576, enlarge=True)},
            *(_PAL, Fraction(16, 15), (0, 72, 720, 432), (1024, 576), (1024, 576)),
        ),
    ],
)
def test_exact_size(options: dict[str, Any], size: Any, ratio: Any, region: Any, inner: Any, canvas: Any) -> None:
    found = framing(Output.model_validate(options), *size, Fraction(ratio), max_height=None)
    assert (found.region, found.inner, found.canvas, found.sample_aspect_ratio) == (region, inner, canvas, 1)


def test_plan_says_that_a_size_is_missed() -> None:
    video = VideoFacts(
        index=0,
        codec="h264",
        width=1280,
        height=720,
        frame_seconds=Fraction(1, 25),
        tick=Fraction(1, 12_800),
        sample_aspect_ratio=Fraction(1),
        variable_rate=False,
        rotation=0,
    )
    facts = SourceFacts(container="mp4", duration=Fraction(10), origin=Fraction(0), video=video, audio=())
    part = PlannedPart(facts, Fraction(0), Fraction(5))

    def warnings(**options: Any) -> list[str]:
        profile = Profile().rendered(None, Output.model_validate(options))
        return [*known_warnings([part], 0, profile)]

    missed = "size_missed: the clip is 404x720, not 1080x1920: the picture is smaller; with `enlarge` it is enlarged"
    assert warnings(size=_size(1080, 1920)) == [missed]
    assert warnings(size=_size(1080, 1920, enlarge=True)) == warnings(size=_size(360, 640)) == warnings() == []


@pytest.mark.parametrize("fit", ["crop", "pad", "blur"])
def test_height_is_limited_after_the_aspect(fit: str) -> None:
    output = Output.model_validate({"aspect": "9:16", "fit": fit})
    assert framing(output, *_HD, Fraction(1), max_height=640).canvas == (360, 640)
    assert framing(output, *_HD, Fraction(1), max_height=643).canvas == (362, 642)


@pytest.mark.parametrize("width", range(2, 60, 2))
@pytest.mark.parametrize("fit", ["crop", "pad", "blur"])
@pytest.mark.parametrize("aspect", ["9:16", "10:1", "1:10", "16:9"])
@pytest.mark.typical(2)
def test_small_pictures_have_even_sizes_inside_each_other(width: int, fit: str, aspect: str) -> None:
    output = Output.model_validate({"aspect": aspect, "fit": fit, "crop": _region(0.2, 0.1, 0.5, 0.7)})
    found = framing(output, width, 34, Fraction(64, 45), max_height=16)
    assert all(value % 2 == 0 for part in found[:3] for value in part)
    assert found.region.x + found.region.width <= width
    assert found.region.y + found.region.height <= 34
    assert 2 <= found.inner.width <= found.canvas.width
    assert 2 <= found.inner.height <= found.canvas.height


@pytest.mark.parametrize(
    "options",
    [
        {"size": _size(1920, 1080, enlarge=True)},
        {"size": _size(3840, 2160)},
        {"aspect": "16:9"},
        {"aspect": "16:9", "fit": "blur"},
        {"crop": _region(0, 0, 1, 1)},
    ],
)
def test_aspect_of_the_picture_changes_nothing(options: dict[str, Any]) -> None:
    assert framing(Output.model_validate(options), *_HD, Fraction(1), max_height=None).keeps(*_HD)
