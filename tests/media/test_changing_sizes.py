"""The picture's size changes inside a recording: the clip has the largest size shown for a second in its range."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.output import BlurBox, Output
from clipengine.clips.options.picture_size import Picture, PictureSize, chosen_size
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import encoded_instead
from clipengine.media.bitstream.picture_sizes import PictureSizes
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.previews.clip_plan import clip_plan
from clipengine.media.previews.frame import filmstrip, frame_at
from clipengine.media.previews.proxy import make_init, make_segment
from clipengine.recordings.facts import SourceFacts
from scripts.fuzz_bitstream import encode_with
from tests.films.cutting import DEFAULT, SMART, Clip, cut_file, cut_parts, facts_of
from tests.support.changing_sizes import Run, write_changing
from tests.support.ffmpeg import run_ffmpeg
from tests.support.patches import read_pixels
from tests.support.selection import cases

pytestmark = pytest.mark.proof

_SECOND, _SMALL, _LARGE, _SQUARE = Fraction(1), Run(96, 64, 15, 60), Run(192, 128, 15, 120), Run(128, 128, 15, 200)
_RUNS = (_SMALL, _LARGE, _SQUARE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a WebM of 4.5 s whose picture has 96x64, 192x128 and 128x128, for 1.5 s each."""
    write_changing(tmp_path / "film.webm", "libvpx", _RUNS)
    return tmp_path / "film.webm"


def _cut(path: Path, start: float, end: float, profile: Profile = DEFAULT) -> Clip:
    return cut_file(path, Fraction(str(start)), Fraction(str(end)), path.with_name("clip.mp4"), profile)


def _size(clip: Clip) -> tuple[int | None, int | None]:
    return clip.made.width, clip.made.height


def _columns(path: Path, number: int) -> list[int]:
    """Return the luma of a frame at its left edge and in its middle."""
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[number].to_ndarray(format="gray")
    middle = frame[frame.shape[0] // 2]
    return [int(np.mean(part)) for part in (middle[:8], middle[len(middle) // 2 - 8 : len(middle) // 2 + 8])]


def test_largest_size_that_is_shown_for_a_second_is_chosen() -> None:
    shown = {Picture(160, 90): Fraction(9), Picture(640, 360): _SECOND}
    assert chosen_size(shown) == PictureSize(640, 360, (Picture(160, 90),))


def test_size_that_is_shown_longest_is_chosen_if_none_is_shown_for_a_second() -> None:
    assert chosen_size({Picture(160, 90): _SECOND / 2, Picture(640, 360): _SECOND / 4})[:2] == (160, 90)
    assert chosen_size({Picture(160, 90): _SECOND / 2, Picture(640, 360): _SECOND / 2})[:2] == (640, 360)


def test_one_frame_of_a_huge_size_does_not_decide() -> None:
    assert chosen_size({Picture(640, 360): 5 * _SECOND, Picture(8192, 4096): Fraction(1, 25)})[:2] == (640, 360)


def test_shape_that_is_shown_longest_is_chosen() -> None:
    wide, narrow = Picture(720, 576, Fraction(64, 45)), Picture(720, 576, Fraction(16, 11))
    assert chosen_size({narrow: _SECOND / 2, wide: _SECOND * 2 / 3}) == PictureSize(720, 576, (narrow,), wide.ratio)


def test_clip_has_the_largest_size_and_all_pictures_fitted_into_it(path: Path) -> None:
    clip = _cut(path, 0, 4.5)
    assert _size(clip) == (192, 128)
    assert clip.made.frames == 45
    assert clip.made.warnings == ("picture_resized: pictures of 96x64, 128x128 in the range are fitted into 192x128",)
    edges = [_columns(clip.path, number) for number in (7, 22, 37)]
    assert np.allclose(edges, [[52, 52], [122, 122], [0, 214]], atol=6)


def test_range_of_one_size_has_that_size_without_a_warning(path: Path) -> None:
    assert [(_size(clip), clip.made.warnings) for clip in (_cut(path, 0.2, 1.4), _cut(path, 3.2, 4.4))] == [
        ((96, 64), ()),
        ((128, 128), ()),
    ]


def test_size_that_is_shown_for_less_than_a_second_does_not_decide(path: Path) -> None:
    assert _size(_cut(path, 0, 2)) == (96, 64)


def test_change_that_the_probe_did_not_see_is_found_in_the_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = facts_of(path)
    assert facts.video is not None
    assert facts.video.largest == (192, 128)
    unseen = facts.model_copy(update={"video": facts.video.model_copy(update={"largest": None})})
    monkeypatch.setattr("tests.films.cutting.facts_of", lambda path: unseen)
    assert _size(_cut(path, 0, 4.5)) == (192, 128)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libvpx-vp9", "webm"), ("libx264", "ts"), ("libx265", "ts"), ("libsvtav1", "mkv"), ("mpeg4", "mkv")],
)
def test_sizes_are_found_in_the_headers_of_a_codec(tmp_path: Path, codec: str, suffix: str) -> None:
    write_changing(path := tmp_path / f"film.{suffix}", codec, _RUNS)
    clip = _cut(path, 0, 4.5)
    # Nothing but decoding tells the sizes of other codecs: the clip has that of the first frame.
    assert _size(clip) == ((96, 64) if codec == "mpeg4" else (192, 128))
    assert any(each.startswith("picture_resized") for each in clip.made.warnings)


@pytest.mark.parametrize(("codec", "name"), [("h264", "libx264"), ("hevc", "libx265"), ("av1", "libsvtav1")])
def test_size_in_a_header_is_that_without_the_edge_that_players_cut_off(codec: str, name: str) -> None:
    extradata, packets = encode_with(name, {}, (130, 74), 3)
    sizes = PictureSizes(codec, extradata)
    assert sizes.picture == (None if codec == "av1" else Picture(130, 74))
    assert sizes.add(packets[0]) == Picture(130, 74)


def test_damaged_header_does_not_change_the_size() -> None:
    extradata, _ = encode_with("libx264", {}, (130, 74), 3)
    sizes = PictureSizes("h264", extradata)
    sizes.change_header(extradata[:9])
    assert sizes.add(b"\0\0\0\2\x67\xff") == Picture(130, 74)


def test_smart_clip_of_a_range_with_a_change_is_encoded(path: Path) -> None:
    profile = Profile(container="webm", video="vp8", audio="opus", render="smart")
    clip = cut_file(path, Fraction("0.3"), Fraction(4), path.with_name("clip.webm"), profile)
    assert (clip.made.render, _size(clip)) == ("encode", (192, 128))


@pytest.mark.parametrize("profile", [DEFAULT, SMART, Profile(max_height=64)], ids=["encode", "smart", "max_height"])
@pytest.mark.typical(1)
def test_plan_states_the_size_of_the_clip_and_the_warning(path: Path, profile: Profile) -> None:
    made = _cut(path, 0.3, 4, profile).made
    with path.open("rb") as file:
        source, facts = DescriptorSource(file.fileno()), facts_of(path)
        plan = clip_plan(source, facts, profile, start=Fraction("0.3"), end=Fraction(4), threads=1)
    assert (plan["width"], plan["height"], plan["frames"]) == (made.width, made.height, made.frames)
    encoded = [encoded_instead(plan["reason"])] if plan["reason"] else []
    assert sorted([*plan["warnings"], *encoded]) == sorted(made.warnings)


def test_first_part_decides_the_size_of_a_clip_of_parts(path: Path) -> None:
    parts = [(path, Fraction("0.2"), Fraction("4.4")), (path, Fraction(0), Fraction(1)), (path, _SECOND, Fraction(3))]
    clip = cut_parts(parts, path.with_name("clip.mp4"))
    assert _size(clip) == (192, 128)
    assert [each[: each.index(":", 20)] for each in clip.made.warnings] == [
        "picture_resized: part 1",
        "picture_resized: part 3",
    ]


def test_options_apply_to_the_chosen_size(path: Path) -> None:
    assert _size(_cut(path, 0, 4.5, Profile(max_height=64))) == (96, 64)
    assert _size(_cut(path, 0, 4.5, Profile(output=Output(aspect="1:1", fit="crop")))) == (128, 128)
    blurred = Profile(output=Output(blur=(BlurBox(x=0, y=0, width=0.5, height=1),)))
    assert _size(_cut(path, 0, 4.5, blurred)) == (192, 128)


@pytest.mark.exhaustive
def test_recording_whose_size_changes_ten_times_a_second(defects: Path, tmp_path: Path) -> None:
    clip = cut_file(defects / "fate_frame_size_change.webm", Fraction(0), Fraction(10), tmp_path / "clip.mp4")
    assert _size(clip) == (1920, 1080)
    assert clip.made.frames == 300
    assert clip.made.warnings[0].endswith("640x360 and 3 more sizes in the range are fitted into 1920x1080")


_WIDE, _FLAT = Run(96, 64, 15, 60, Fraction(4, 3), True), Run(192, 128, 15, 60, Fraction(1), True)
_BROADCAST = Run(128, 128, 15, 60, Fraction(5, 3), True)
_ANAMORPHIC = {
    "h264": ("libx264", "ts", (_WIDE, _FLAT)),
    "mkv": ("libx264", "mkv", (_FLAT, _WIDE)),
    "hevc": ("libx265", "ts", (_BROADCAST, _WIDE)),
    "mpeg2": ("mpeg2video", "ts", (Run(96, 64, 15, 60, Fraction(32, 27), True), _FLAT._replace(ratio=Fraction(8, 9)))),
    "small_first": ("libx264", "ts", (_WIDE, Run(160, 128, 15, 60, Fraction(8, 5), True))),
}


def _square(path: Path, at: float) -> float:
    """Return the shape of the white square in the frame at a time, as it is shown: 1 if it is a square."""
    with av.open(str(path)) as container:
        ratio = container.streams.video[0].sample_aspect_ratio or 1
    white = read_pixels(path, at=at)[:, :, 1] > 150
    rows, columns = (white.any(axis=axis).sum() for axis in (1, 0))
    return float(columns * ratio / rows)


@pytest.mark.parametrize("name", cases(_ANAMORPHIC, ("h264", "mpeg2")))
@pytest.mark.parametrize("values", [{}, {"max_height": 96}, {"output": {"aspect": "1:1", "fit": "pad"}}], ids=str)
@pytest.mark.typical(2)
def test_anamorphic_pictures_of_several_sizes_keep_their_shape(
    tmp_path: Path, name: str, values: dict[str, Any]
) -> None:
    codec, suffix, runs = _ANAMORPHIC[name]
    write_changing(path := tmp_path / f"film.{suffix}", codec, runs)
    clip = _cut(path, 0, 3, Profile.model_validate({"crf": 10} | values))
    assert [_square(clip.path, at) for at in (0.5, 2.5)] == pytest.approx([1, 1], abs=0.05)


_BROADCASTS = {"h264": ("libx264", (Fraction(12, 11), Fraction(16, 11))),
               "mpeg2": ("mpeg2video", (Fraction(16, 15), Fraction(64, 45)))}  # fmt: skip


def _write_broadcast(path: Path, codec: str, ratios: tuple[Fraction, ...]) -> None:
    """Write a part of 2 s for each sample aspect ratio, with a white square in the middle of 180x144 pixels."""
    with path.open("wb") as joined:
        for number, ratio in enumerate(ratios):
            part = path.with_suffix(f".{number}.ts")
            box = f"drawbox=(iw-w)/2:(ih-h)/2:{round(72 / ratio)}:72:white:fill"
            picture = f"color=gray:180x144:25,{box},setsar={ratio}"
            command = ["-v", "error", "-f", "lavfi", "-i", picture, "-t", "2", "-c:v", codec, "-bf", "2"]
            command += ["-b:v", "2M", "-pix_fmt", "yuv420p", "-output_ts_offset", str(2 * number), str(part)]
            run_ffmpeg(*command)
            joined.write(part.read_bytes())


@pytest.mark.parametrize(("codec", "ratios"), _BROADCASTS.values(), ids=_BROADCASTS)
@pytest.mark.exhaustive
def test_change_of_the_sample_aspect_ratio_at_one_size_keeps_the_shape(
    tmp_path: Path, codec: str, ratios: tuple[Fraction, ...]
) -> None:
    _write_broadcast(path := tmp_path / "film.ts", codec, ratios)
    clip = _cut(path, 0.4, 3.9, Profile(crf=10))
    assert [_square(clip.path, at) for at in (0.5, 1.52, 1.64, 3)] == pytest.approx([1] * 4, abs=0.05)
    other = f"180x144 with the sample aspect ratio {ratios[0].numerator}:{ratios[0].denominator}"
    # The joint of the parts damages a packet.
    assert f"picture_resized: pictures of {other} in the range are fitted into 180x144" in clip.made.warnings
    later = _cut(path, 2.4, 3.6, Profile(crf=10))
    with av.open(str(later.path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == ratios[1]
    assert _square(later.path, 0.5) == pytest.approx(1, abs=0.05)
    assert not any(each.startswith("picture_resized") for each in later.made.warnings)


@pytest.mark.parametrize(("codec", "ratios"), _BROADCASTS.values(), ids=_BROADCASTS)
@pytest.mark.exhaustive
def test_previews_show_each_frame_with_its_own_sample_aspect_ratio(
    tmp_path: Path, codec: str, ratios: tuple[Fraction, ...]
) -> None:
    _write_broadcast(path := tmp_path / "film.ts", codec, ratios)
    facts = facts_of(path)
    with path.open("rb") as file:
        source = DescriptorSource(file.fileno())
        for at in (0.5, 3):
            (tmp_path / "frame.jpg").write_bytes(frame_at(source, facts, at=Fraction(at), width=480, threads=1))
            assert _square(tmp_path / "frame.jpg", 0) == pytest.approx(1, abs=0.05)
        strip = filmstrip(source, facts, start=Fraction(0), end=facts.duration, count=2, width=240, threads=1)
        (tmp_path / "strip.jpg").write_bytes(strip)
        segment = make_init(facts, lines=240) + make_segment(source, facts, number=0, lines=240, threads=1)
    whole = read_pixels(tmp_path / "strip.jpg")
    for tile in np.split(whole, 2, axis=1):
        rows, columns = ((tile[:, :, 1] > 150).any(axis=axis).sum() for axis in (1, 0))
        assert columns / rows == pytest.approx(1, abs=0.06)
    (tmp_path / "proxy.mp4").write_bytes(segment)
    assert [_square(tmp_path / "proxy.mp4", at) for at in (0.5, 3)] == pytest.approx([1, 1], abs=0.05)


def test_plan_states_the_shape_of_a_clip_after_a_change_of_the_sample_aspect_ratio(tmp_path: Path) -> None:
    _write_broadcast(path := tmp_path / "film.ts", *_BROADCASTS["h264"])
    profile = Profile(output=Output(aspect="1:1", fit="pad"))
    made = _cut(path, 2.4, 3.6, profile).made
    with path.open("rb") as file:
        plan = clip_plan(
            DescriptorSource(file.fileno()),
            facts_of(path),
            profile,
            start=Fraction("2.4"),
            end=Fraction("3.6"),
            threads=1,
        )
    assert (plan["width"], plan["height"]) == (made.width, made.height)


def test_facts_of_older_probes_are_accepted(path: Path) -> None:
    stored = facts_of(path).model_dump(mode="json")
    del stored["video"]["largest"]
    read = SourceFacts.model_validate(stored)
    assert read.video is not None
    assert read.video.largest is None
