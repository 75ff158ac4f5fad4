"""Output options that change the picture, read back from clips of recordings that show where each pixel is from."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.framing import clip_size
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of
from clipengine.errors import VerificationFailed
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.previews.clip_plan import clip_plan
from clipengine.media.video.convert import FrameConverter
from clipengine.settings.settings import Settings
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut, cut_file, cut_parts, facts_of
from tests.films.reader import read_clip
from tests.support.ramp import Picture, read_pictures, write_ramp
from tests.support.selection import cases

pytestmark = pytest.mark.proof

_START, _END = Fraction(1, 5), Fraction(3, 5)
_PIXEL = 0.018  # of the picture: a pixel of chroma and the errors of the encoders
_RIGHT_HALF = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
_QUARTER = {"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.25}


def _profile(options: dict[str, Any], **profile: Any) -> Profile:
    return Profile(audio="none", **profile).rendered(None, Output.model_validate(options))


def _cut(recording: Path, tmp_path: Path, options: dict[str, Any], **profile: Any) -> tuple[Clip, Picture]:
    chosen = _profile(options, **profile)
    clip = cut_file(recording, _START, _END, tmp_path / f"clip.{chosen.container}", chosen)
    pictures = read_pictures(clip.path)
    assert len(pictures) == clip.made.frames == 10
    picture = pictures[-1][1]
    assert (picture.width, picture.height) == (clip.made.width, clip.made.height)
    video = facts_of(recording).video
    assert video is not None
    assert clip_size(video, chosen) == (picture.width, picture.height)
    return clip, picture


def _assert_shows(picture: Picture, x: float, y: float, width: float, height: float) -> None:
    """Check that the picture shows this part of the recording's."""
    for across in (0.05, 0.3, 0.5, 0.95):
        for down in (0.05, 0.5, 0.7, 0.95):
            assert picture.source(across, down) == pytest.approx((x + across * width, y + down * height), abs=_PIXEL)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_crop_is_a_part_of_the_upright_picture(rotation: int, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180, rotation=rotation)
    _, picture = _cut(tmp_path / "ramp.mp4", tmp_path, {"crop": _QUARTER})
    assert (picture.width, picture.height) == (160, 46)
    _assert_shows(picture, 0.25, 0.5, 0.5, 0.25)


@pytest.mark.parametrize(
    ("ratio", "rotation", "size", "shown"),
    [
        (Fraction(4, 3), 0, (240, 240), (0.21875, 0.0, 0.5625, 1.0)),  # the upright picture is shown as 426x240
        (Fraction(3, 4), 0, (240, 240), (0.0, 0.0, 1.0, 1.0)),
        (Fraction(4, 3), 90, (240, 240), (0.0, 0.0, 1.0, 1.0)),  # its pixels are 3:4 when it is upright
    ],
)
def test_aspect_has_square_pixels(ratio: Fraction, rotation: int, size: Any, shown: Any, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 240, sample_aspect_ratio=ratio, rotation=rotation)
    clip, picture = _cut(tmp_path / "ramp.mp4", tmp_path, {"aspect": "1:1"})
    assert (picture.width, picture.height) == size
    _assert_shows(picture, *shown)
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)


def test_crop_keeps_the_pixel_aspect_ratio(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 240, sample_aspect_ratio=Fraction(4, 3))
    clip, picture = _cut(tmp_path / "ramp.mp4", tmp_path, {"crop": _RIGHT_HALF})
    assert (picture.width, picture.height) == (160, 240)
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(
    ("focus", "left"), [(None, 110 / 320), ({"x": 0.0, "y": 0.5}, 0.0), ({"x": 1.0, "y": 0.5}, 220 / 320)]
)
def test_focus_stays_in_the_picture(focus: Any, left: float, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    options = {"aspect": "9:16"} | ({"focus": focus} if focus else {})
    _, picture = _cut(tmp_path / "ramp.mp4", tmp_path, options)
    assert (picture.width, picture.height) == (102, 180)
    _assert_shows(picture, left, 0.0, 102 / 320, 1.0)


_PAN = [{"at_seconds": 0.04, "x": 51 / 320, "y": 0.5}, {"at_seconds": 0.24, "x": 251 / 320, "y": 0.5}]


@pytest.mark.parametrize("options", [{"aspect": "9:16"}, {"size": {"width": 180, "height": 320, "enlarge": True}}])
@pytest.mark.parametrize(("speed", "frames"), [(1, 10), (0.5, 13)])  # held for 80 ms, frames are repeated
@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.typical(2)
def test_focus_moves(options: dict[str, Any], speed: float, frames: int, rotation: int, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180, rotation=rotation)
    profile = _profile(options | {"focus": _PAN, "speed": speed, "fade_seconds": 0.001})
    clip = cut_file(tmp_path / "ramp.mp4", _START, _END, tmp_path / "clip.mp4", profile)
    pictures = read_pictures(clip.path)
    assert len(pictures) == frames
    for time, picture in pictures[1:-1]:  # a pixel each millisecond
        left = min(max(float(time) - 0.04, 0) * 1000, 200) / 320
        _assert_shows(picture, left, 0.0, 102 / 320, 1.0)


def test_focus_moves_on_over_the_parts(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    path = [{"at_seconds": 0.0, "x": 51 / 320, "y": 0.5}, {"at_seconds": 0.4, "x": 251 / 320, "y": 0.5}]
    parts = [(tmp_path / "ramp.mp4", Fraction(0), Fraction(1, 5))] * 2
    clip = cut_parts(parts, tmp_path / "clip.mp4", _profile({"aspect": "9:16", "focus": path}))
    pictures = read_pictures(clip.path)
    assert len(pictures) == 10
    for time, picture in pictures:
        _assert_shows(picture, float(time) * 500 / 320, 0.0, 102 / 320, 1.0)


def test_focus_at_times_of_the_recording_is_the_same_in_each_part(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    path = [{"recording_seconds": at, "x": (51 + 500 * at) / 320, "y": 0.5} for at in (0.0, 0.4)]
    parts = [(tmp_path / "ramp.mp4", Fraction(1, 5), Fraction(2, 5)), (tmp_path / "ramp.mp4", 0, Fraction(1, 5))]
    clip = cut_parts(parts, tmp_path / "clip.mp4", _profile({"aspect": "9:16", "focus": path}))
    pictures = read_pictures(clip.path)
    assert len(pictures) == 10
    for number, (_, picture) in enumerate(pictures):
        at = ((number + 5) % 10) / 25
        _assert_shows(picture, at * 500 / 320, 0.0, 102 / 320, 1.0)


@pytest.mark.exhaustive
def test_slow_clip_of_held_frames_follows_a_focus_in_the_recording(shelf: Shelf, tmp_path: Path) -> None:
    path = [{"recording_seconds": at, "x": at / 10, "y": 0.5} for at in (0, 10)]
    options = Output.model_validate({"aspect": "9:16", "focus": path, "speed": 0.5})
    clip = LocalClip([(Fraction(0), Fraction(10))], options=options)
    source = str(shelf.get("one_frame_a_second").path)
    made = cut_once(Settings(), source, tmp_path / "clip.mp4", clip, on_progress=lambda done: None)
    assert (made.frames, made.duration_seconds) == (500, 20)  # at 25 fps: each shows another region


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(
    ("pixel_format", "codec"), [("yuv420p", "h264"), ("yuvj420p", "h264"), ("yuv420p10le", "hevc")]
)
@pytest.mark.typical(2)
def test_pad_shows_all_between_black_bars(pixel_format: str, codec: Any, rotation: int, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180, pixel_format=pixel_format, rotation=rotation)
    deep = {"pixel_format": "yuv420p10le"} if "10" in pixel_format else {}
    _, picture = _cut(tmp_path / "ramp.mp4", tmp_path, {"aspect": "1:1", "fit": "pad"}, video=codec, **deep)
    assert (picture.width, picture.height) == (180, 180)
    black = 0 if pixel_format == "yuvj420p" else 16
    for down in (0.02, 0.15, 0.85, 0.98):
        assert picture.levels(0.5, down) == pytest.approx((black, 128, 128), abs=3)
    for across in (0.05, 0.5, 0.95):
        for down in (0.1, 0.5, 0.9):
            shown = picture.source(across, (180 - 102) / 360 + down * 102 / 180)
            assert shown == pytest.approx((across, down), abs=2 * _PIXEL)


@pytest.mark.parametrize(
    ("pixel_format", "codec"), [("yuv420p", "h264"), ("yuvj420p", "h264"), ("yuv420p10le", "hevc")]
)
def test_blur_fills_the_bars_with_the_enlarged_picture(pixel_format: str, codec: Any, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180, pixel_format=pixel_format)
    deep = {"pixel_format": "yuv420p10le"} if "10" in pixel_format else {}
    _, picture = _cut(tmp_path / "ramp.mp4", tmp_path, {"aspect": "9:16", "fit": "blur"}, video=codec, **deep)
    assert (picture.width, picture.height) == (180, 320)
    bar = (320 - 102) / 640
    for across in (0.05, 0.5, 0.95):
        assert picture.source(across, 0.5) == pytest.approx((across, 0.5), abs=2 * _PIXEL)
        for down in (0.1, 0.9):
            assert picture.source(across, bar + down * 102 / 320) == pytest.approx((across, down), abs=2 * _PIXEL)
    background = 180 / 320 * 180 / 320  # the part of the picture's width that fills the frame
    for down in (0.05, 0.25, 0.75, 0.95):
        x, y = picture.source(0.5, down)
        assert (x, y) == pytest.approx((0.5, down), abs=0.06)
    left, right = picture.source(0.2, 0.1)[0], picture.source(0.8, 0.1)[0]
    assert right - left == pytest.approx(0.6 * background, abs=0.04)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "h264"), ("mp4", "hevc"), ("webm", "vp9")])
@pytest.mark.parametrize(
    ("size", "found"),
    [
        ({"width": 90, "height": 160}, (90, 160)),
        ({"width": 360, "height": 640}, (102, 180)),
        ({"width": 360, "height": 640, "enlarge": True}, (360, 640)),
    ],
)
def test_size_is_exact_and_enlarges_only_if_asked(
    container: Any, codec: Any, size: Any, found: Any, tmp_path: Path
) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    options = {"size": size, "focus": {"x": 0.0, "y": 0.5}}
    clip, picture = _cut(tmp_path / "ramp.mp4", tmp_path, options, container=container, video=codec)
    assert (picture.width, picture.height) == found
    for across, down in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)):
        assert picture.source(across, down) == pytest.approx((across * 102 / 320, down), abs=_PIXEL)
    with av.open(str(clip.path)) as file:
        assert file.streams.video[0].sample_aspect_ratio in (None, 1)


def test_animation_has_the_size(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    options = {"size": {"width": 360, "height": 640, "enlarge": True}}
    clip = cut_file(
        tmp_path / "ramp.mp4", _START, _END, tmp_path / "clip.gif", _profile(options, container="gif", video="gif")
    )
    with av.open(str(clip.path)) as file:
        grey = next(file.decode(video=0)).to_ndarray(format="gray").astype(float)
    assert grey.shape == (640, 360)
    columns = grey.mean(axis=0)
    rise = columns[-20:].mean() - columns[:20].mean()
    assert 40 < rise < 70  # a third of the recording's width, which rises by about 180


@pytest.mark.parametrize(("fit", "enlarge", "size"), [("pad", False, (320, 568)), ("blur", True, (360, 640))])
def test_size_with_bars(fit: str, enlarge: bool, size: Any, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    options = {"size": {"width": 360, "height": 640, "enlarge": enlarge}, "fit": fit}
    _, picture = _cut(tmp_path / "ramp.mp4", tmp_path, options)
    assert (picture.width, picture.height) == size
    for across in (0.05, 0.5, 0.95):
        assert picture.source(across, 0.5) == pytest.approx((across, 0.5), abs=2 * _PIXEL)
    if fit == "pad":
        assert picture.levels(0.5, 0.05) == pytest.approx((16, 128, 128), abs=3)


def test_size_of_a_profile_replaces_its_height(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    output = Output.model_validate({"size": {"width": 200, "height": 200, "enlarge": True}})
    profile = Profile(audio="none", max_height=90, output=output).rendered(None)
    clip = cut_file(tmp_path / "ramp.mp4", _START, _END, tmp_path / "clip.mp4", profile)
    assert (clip.made.width, clip.made.height) == (200, 200)


def test_options_are_applied_in_order(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 240)
    options = {"crop": _RIGHT_HALF, "aspect": "1:1", "focus": {"x": 0.9, "y": 0.0}, "max_height": 80, "fps": 50}
    chosen = _profile(options)
    clip = cut_file(tmp_path / "ramp.mp4", _START, _END, tmp_path / "clip.mp4", chosen)
    pictures = read_pictures(clip.path)
    assert [time for time, _ in pictures] == pytest.approx([Fraction(number, 50) for number in range(20)], abs=0.001)
    picture = pictures[0][1]
    assert (picture.width, picture.height) == (80, 80)
    _assert_shows(picture, 0.5, 0.0, 0.5, 160 / 240)


def test_poster_shows_the_result(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    path, profile = tmp_path / "ramp.mp4", _profile({"crop": _RIGHT_HALF})
    poster = _poster(path, tmp_path / "clip.mp4", profile)
    with av.open(io.BytesIO(poster)) as container:
        picture = Picture(next(container.decode(video=0)))
    assert (picture.width, picture.height) == (160, 180)
    left, right = picture.levels(0.05, 0.5)[0], picture.levels(0.95, 0.5)[0]
    assert 120 < left < right


def test_poster_of_a_clip_that_fades_in_is_not_dark(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    levels = []
    for options in ({}, {"fade_seconds": 0.2}):
        poster = _poster(tmp_path / "ramp.mp4", tmp_path / "clip.mp4", _profile(options))
        with av.open(io.BytesIO(poster)) as container:
            levels.append(Picture(next(container.decode(video=0))).levels(0.95, 0.5)[0])
    assert levels[1] == pytest.approx(levels[0], abs=6)


def _poster(path: Path, output: Path, profile: Profile) -> bytes:
    from clipengine.clips.edit import PlannedPart
    from clipengine.media.cut import cut_clip

    with path.open("rb") as source, output.open("w+b") as target:
        _, poster = cut_clip(
            [DescriptorSource(source.fileno())],
            [PlannedPart(facts_of(path), _START, _END)],
            profile,
            output=target.fileno(),
            threads=1,
            poster=True,
            on_progress=lambda step, part: None,
        )
    assert poster is not None
    return poster


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"aspect": "1:1"}, "aspect of the output changes the picture"),
        ({"crop": _QUARTER, "aspect": "16:9"}, "crop, aspect of the output changes the picture"),
        ({"size": {"width": 180, "height": 320}}, "size of the output changes the picture"),
        ({"fps": 30}, "a frame rate is set"),
        ({"max_height": 48}, "the profile changes the size"),
    ],
)
@pytest.mark.typical(1)
def test_changed_picture_is_encoded_instead_of_copied(
    options: dict[str, Any], reason: str, shelf: Shelf, tmp_path: Path
) -> None:
    film, profile = shelf.get("mp4_bframes"), Profile().rendered("smart", Output.model_validate(options))
    clip = cut(film, Fraction(1), Fraction(5), tmp_path / "clip.mp4", profile)
    assert clip.made.render == "encode"
    (warning,) = [each for each in clip.made.warnings if code_of(each) == "encoded_instead"]
    assert reason in warning
    with film.path.open("rb") as file:
        plan = clip_plan(
            DescriptorSource(file.fileno()), facts_of(film.path), profile, start=Fraction(1), end=Fraction(5), threads=1
        )
    assert (plan["width"], plan["height"]) == (clip.made.width, clip.made.height)
    assert plan["segments"][0]["kind"] == "encode"
    assert reason in (plan["reason"] or plan["misfit"])


@pytest.mark.parametrize("options", [{"aspect": "16:9"}, {"aspect": "16:9", "fit": "pad"}, {"max_height": 2160}])
def test_options_without_effect_keep_smart_render(options: dict[str, Any], shelf: Shelf, tmp_path: Path) -> None:
    profile = Profile().rendered("smart", Output.model_validate(options))
    clip = cut(shelf.get("mp4_bframes"), Fraction(1), Fraction(5), tmp_path / "clip.mp4", profile)
    assert clip.made.render == "smart"


@pytest.mark.parametrize("options", [{"crop": {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}}, {"aspect": "16:9"}])
def test_options_without_effect_leave_the_frames_as_they_are(options: dict[str, Any], tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    with av.open(str(tmp_path / "ramp.mp4")) as container:
        frame = next(container.decode(video=0))
    assert FrameConverter(_profile(options), frame, Fraction(1)).convert(frame) is frame


def test_recording_without_video_gets_a_warning(shelf: Shelf, tmp_path: Path) -> None:
    profile = Profile().rendered(None, Output.model_validate({"aspect": "9:16", "max_height": 720}))
    clip = cut(shelf.get("audio_only_m4a"), Fraction(1), Fraction(2), tmp_path / "clip.mp4", profile)
    assert [each for each in clip.made.warnings if code_of(each) == "output_ignored"] == [
        "output_ignored: the recording has no video: max_height, aspect of the output had no effect"
    ]


def test_clip_of_another_aspect_does_not_match_its_plan(tmp_path: Path) -> None:
    from clipengine.clips.edit import PlannedPart
    from clipengine.clips.file_comparison import FilePlan
    from tests.support.inspection import hold_to_plan

    write_ramp(tmp_path / "ramp.mp4", 320, 180)
    clip, _ = _cut(tmp_path / "ramp.mp4", tmp_path, {"aspect": "1:1"})
    report = {name: value for name, value in vars(clip.made).items() if name != "poster"}
    report["parts"] = [{name: str(value) for name, value in vars(part).items()} for part in clip.made.parts]
    plan = FilePlan([PlannedPart(facts_of(tmp_path / "ramp.mp4"), _START, _END)], _profile({"aspect": "9:16"}))
    with clip.path.open("rb") as file, pytest.raises(VerificationFailed, match="180x180, not 9:16"):
        hold_to_plan(file.fileno(), plan, report)


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(("pixel_format", "codec"), [("yuv420p", "h264"), ("yuv420p10le", "hevc")])
@pytest.mark.typical(2)
def test_boxes_are_blurred_in_their_time_and_nothing_else_is(
    pixel_format: str, codec: Any, rotation: int, tmp_path: Path
) -> None:
    _write_stripes(tmp_path / "stripes.mp4", rotation, pixel_format)
    box = {"x": 0.5, "y": 0.25, "width": 0.25, "height": 0.5}
    options = {"blur": [box | {"from_seconds": 0.12, "to_seconds": 0.28}, box | {"x": 0.0}]}
    deep = {"pixel_format": "yuv420p10le"} if "10" in pixel_format else {}
    profile = _profile(options, video=codec, crf=10, **deep)
    clip = cut_file(tmp_path / "stripes.mp4", _START, _END, tmp_path / "clip.mp4", profile)
    pictures = read_pictures(clip.path)
    assert len(pictures) == 10
    for number, (_, picture) in enumerate(pictures):
        contrast = {place: _contrast(picture, *place) for place in ((0.5, 0.25), (0.0, 0.25), (0.25, 0.25), (0.5, 0.0))}
        assert (contrast[0.5, 0.25] < 25) is (3 <= number < 7), number  # frames at 0.12 to 0.24 s
        assert contrast[0.0, 0.25] < 25
        assert min(contrast[0.25, 0.25], contrast[0.5, 0.0]) > 100


def test_box_at_times_of_the_recording_is_the_same_in_each_part(tmp_path: Path) -> None:
    """A box jumps from the left half to the right one in the middle of the recording."""
    _write_stripes(tmp_path / "stripes.mp4", 0, "yuv420p")
    size = {"y": 0.0, "width": 0.25, "height": 1.0}
    path = [{"recording_seconds": at, "x": x, **size} for at, x in ((0, 0.25), (0.199, 0.25), (0.2, 0.5), (0.4, 0.5))]
    film = tmp_path / "stripes.mp4"
    parts = [(film, Fraction(1, 5), Fraction(2, 5)), (film, Fraction(0), Fraction(1, 5))]
    profile = _profile({"blur": [{"box": path}]}, crf=10)
    pictures = read_pictures(cut_parts(parts, tmp_path / "clip.mp4", profile).path)
    assert len(pictures) == 10
    for number, (_, picture) in enumerate(pictures[:-1]):  # the last frame is on screen until the jump
        assert (_contrast(picture, 0.5, 0.25) < 25) is (number < 5), number
        assert (_contrast(picture, 0.25, 0.25) < 25) is (number > 4), number


def _write_stripes(path: Path, rotation: int, pixel_format: str) -> None:
    """Write a recording of vertical stripes, 4 pixels wide."""

    def stripes(levels: Any, plane: int) -> Any:
        return levels if plane else 60 + 120 * (np.arange(levels.shape[1]) // 4 % 2)[None, :] + 0 * levels

    write_ramp(path, 320, 180, rotation=rotation, pixel_format=pixel_format, change=stripes)


def _contrast(picture: Picture, x: float, y: float) -> float:
    """Return the range of luma in the middle of the quarter of the width and half of the height from a position on."""
    found = [picture.levels(x + 0.05 + step / 320, y + 0.12)[0] for step in range(48)]
    return max(found) - min(found)


def test_boxes_are_fractions_of_the_picture_before_it_is_cropped(tmp_path: Path) -> None:
    _write_stripes(tmp_path / "stripes.mp4", 0, "yuv420p")
    options = {"blur": [{"x": 0.5, "y": 0.0, "width": 0.25, "height": 1.0}], "crop": _RIGHT_HALF}
    clip = cut_file(tmp_path / "stripes.mp4", _START, _END, tmp_path / "clip.mp4", _profile(options, crf=10))
    _, picture = read_pictures(clip.path)[0]
    left = [picture.levels(0.1 + step / 160, 0.5)[0] for step in range(48)]
    right = [picture.levels(0.6 + step / 160, 0.5)[0] for step in range(48)]
    assert max(left) - min(left) < 25
    assert max(right) - min(right) > 100


@pytest.mark.parametrize("speed", cases([0.25, 0.7, 1.5, 16], [0.7, 16]))
@pytest.mark.typical(1)
def test_speed_divides_the_times_of_frames_exactly(speed: float, shelf: Shelf, tmp_path: Path) -> None:
    film, start, end = shelf.get("mp4_25"), Fraction(1), Fraction(5)
    plain = read_clip(cut(film, start, end, tmp_path / "plain.mp4", Profile()).path)
    clip = cut(film, start, end, tmp_path / "clip.mp4", Profile().rendered(None, Output(speed=speed)))
    reading = read_clip(clip.path)
    exact = Fraction(str(speed))
    assert [sight.number for _, sight in reading.frames] == [sight.number for _, sight in plain.frames]
    for (time, _), (before, _) in zip(reading.frames, plain.frames, strict=True):
        assert abs(time - before / exact) <= Fraction(1, 90_000)
    assert abs(reading.video_end - 4 / exact) <= Fraction(1, 1000)
    for track in reading.tracks:
        assert abs(track.end - 4 / exact) < Fraction(1, 40)
    assert (clip.made.actual_start, clip.made.actual_end) == (1, 5)
    assert clip.made.encoded_seconds == pytest.approx(float(4 / exact), abs=0.001)


def test_speed_with_a_frame_rate_drops_frames(shelf: Shelf, tmp_path: Path) -> None:
    profile = Profile().rendered(None, Output(speed=4.0, fps=25.0))
    reading = read_clip(cut(shelf.get("mp4_25"), Fraction(1), Fraction(5), tmp_path / "clip.mp4", profile).path)
    numbers = [sight.number for _, sight in reading.frames]
    assert [number - (numbers[0] or 0) for number in numbers if number is not None] == list(range(0, 100, 4))
    assert [time for time, _ in reading.frames] == pytest.approx([Fraction(n, 25) for n in range(25)], abs=0.001)


@pytest.mark.parametrize(
    ("ranges", "options", "frames"),
    [
        (["2.1-2.9"], {"fade_seconds": 0.3}, 16),  # of one picture, from 2.0 s on
        (["2-8"], {"fade_seconds": 1}, 54),
        (["2-4", "8-10"], {"fade_seconds": 0.5, "speed": 2}, 26),
        (["2-4"], {"fade_seconds": 0.5, "fps": 10}, 20),
    ],
)
@pytest.mark.typical(2)
def test_held_pictures_fade(
    shelf: Shelf, tmp_path: Path, ranges: list[str], options: dict[str, Any], frames: int
) -> None:
    path = shelf.get("one_frame_a_second").path
    parts = [(path, *map(Fraction, each.split("-"))) for each in ranges]
    plain = cut_parts(parts, tmp_path / "plain.mp4", _profile({**options, "fade_seconds": None}))
    faded = cut_parts(parts, tmp_path / "faded.mp4", _profile(options))
    assert faded.made.frames == frames
    full, shown = ([(time, _brightness(each)) for time, each in read_pictures(clip.path)] for clip in (plain, faded))
    length = sum((part.actual_end - part.actual_start for part in faded.made.parts), Fraction(0))
    length, fade = length / Fraction(options.get("speed", 1)), Fraction(str(options["fade_seconds"]))
    for time, brightness in shown:
        held = next(level for start, level in reversed(full) if start <= time)
        assert brightness / held == pytest.approx(float(min(1, time / fade, (length - time) / fade)), abs=0.03)
    ends = [time for time, _ in shown[1:]] + [length]
    longest = Fraction(1, 10) if "fps" in options else Fraction(3, 50)
    for (time, _), end in zip(shown, ends, strict=True):
        if time < fade or end > length - fade:
            assert end - time <= longest + Fraction(1, 10_000)


def _brightness(picture: Picture) -> float:
    return float(np.mean([picture.levels(x / 10, y / 10)[0] for x in range(1, 10) for y in range(1, 10)])) - 16
