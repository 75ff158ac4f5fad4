"""Colours by profile: HDR tone-mapped or kept, tags true, levels as they were."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.media.video.convert import FrameConverter, jpeg
from tests.films.catalogue import Shelf
from tests.films.cutting import cut
from tests.films.film import BT601, BT709, BT2020, HLG, PQ, Film, Tags
from tests.films.judge import picture_faults
from tests.films.reader import read_clip
from tests.support.tone import Look, look, reference_look

_FILMS = {"hdr_pq": PQ, "hdr_hlg": HLG}
_REAL = {
    "av1_hdr10_phone_portrait.mp4": PQ,
    "hevc_hlg10.mp4": HLG,
    "iphone_hevc_hdr_editlist_rot90.mp4": HLG,
}


def _film(path: Path) -> Film:
    """Enough of a film for a real recording to be cut."""
    return Film(path.name, path, (), None, (), Fraction(0))


def _first_frame(path: Path) -> Any:
    with av.open(str(path)) as container:
        return next(frame for frame in container.decode(video=0) if (frame.pts or 0) >= 0)


def _assert_tags(frame: Any, tags: Tags) -> None:
    assert (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)) == (
        tags.primaries,
        tags.transfer,
        tags.matrix,
    )


def _assert_alike(made: Look, reference: Look) -> None:
    """Assert that brightness, contrast, colours and shapes are about those of the reference.

    Measured: 0.00 to 0.06 brighter, contrast 0.96 to 1.16 times, colours 0.97 to 1.09 times the reference's,
    correlation 0.98 to 0.99. Untouched HDR samples shown as BT.709 have 0.3 to 0.6 times its colours.
    """
    assert abs(made.mean - reference.mean) < 0.12
    assert 0.8 < made.contrast / reference.contrast < 1.45
    assert 0.7 < made.colourfulness / reference.colourfulness < 1.3
    assert made.likeness(reference) > 0.95


@pytest.mark.parametrize("name", _FILMS)
@pytest.mark.typical(1)
def test_hdr_films_are_tone_mapped(name: str, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get(name)
    path = cut(recording, Fraction(0), Fraction(1, 2), tmp_path / "clip.mp4").path
    frame = _first_frame(path)
    assert frame.format.name == "yuv420p"
    _assert_tags(frame, BT709)
    _assert_alike(look(frame), reference_look(_first_frame(recording.path)))
    reading = read_clip(path)
    assert picture_faults(recording, reading) == []
    assert [seen.number for _, seen in reading.frames] == list(range(len(reading.frames)))


@pytest.mark.parametrize("name", _REAL)
@pytest.mark.typical(2)
def test_real_hdr_recordings_are_tone_mapped(name: str, recordings: Path, tmp_path: Path) -> None:
    recording = _film(recordings / name)
    frame = _first_frame(cut(recording, Fraction(0), Fraction(1, 10), tmp_path / "clip.mp4").path)
    assert frame.format.name == "yuv420p"
    _assert_tags(frame, BT709)
    source = _first_frame(recording.path)
    _assert_alike(look(frame), reference_look(source).turned(source.rotation // 90))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("name", _FILMS)
@pytest.mark.typical(2)
def test_hdr_is_kept_if_the_profile_says_so(name: str, codec: Any, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get(name)
    clip = cut(recording, Fraction(0), Fraction(1, 2), tmp_path / "clip.mp4", Profile(video=codec, hdr="keep"))
    frame = _first_frame(clip.path)
    assert frame.format.name == "yuv420p10le"
    _assert_tags(frame, _FILMS[name])
    was, now = look(_first_frame(recording.path)), look(frame)
    assert abs(now.mean - was.mean) < 0.02
    assert 0.9 < now.contrast / was.contrast < 1.1
    assert 0.9 < now.colourfulness / was.colourfulness < 1.1


@pytest.mark.parametrize("name", _FILMS)
def test_poster_of_kept_hdr_is_tone_mapped(name: str, shelf: Shelf) -> None:
    frame = _first_frame(shelf.get(name).path)
    kept = FrameConverter(Profile(video="hevc", hdr="keep"), frame, None).convert(frame)
    mapped = FrameConverter(Profile(), frame, None).convert(frame)
    levels = []
    for each in (kept, mapped):
        with av.open(io.BytesIO(jpeg(each))) as poster:
            levels.append(next(poster.decode(video=0)).to_ndarray(format="rgb24").astype(int))
    assert abs(levels[0] - levels[1]).mean() < 3


@pytest.mark.parametrize("name", _REAL)
@pytest.mark.typical(1)
def test_real_hdr_recordings_are_kept(name: str, recordings: Path, tmp_path: Path) -> None:
    recording = _film(recordings / name)
    profile = Profile(video="hevc", hdr="keep", max_height=360)
    frame = _first_frame(cut(recording, Fraction(0), Fraction(1, 10), tmp_path / "clip.mp4", profile).path)
    assert frame.format.name == "yuv420p10le"
    _assert_tags(frame, _REAL[name])
    was, now = look(_first_frame(recording.path)), look(frame)
    assert abs(now.mean - was.mean) < 0.02
    assert 0.85 < now.contrast / was.contrast < 1.1


@pytest.mark.parametrize(
    ("name", "tags"), [("tagged_bt601", BT601), ("tagged_bt709", BT709), ("tagged_bt2020", BT2020)]
)
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.typical(2)
def test_colour_tags_and_levels_are_kept(name: str, tags: Tags, codec: Any, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get(name)
    clip = cut(recording, Fraction(1), Fraction(3, 2), tmp_path / "clip.mp4", Profile(video=codec))
    reading = read_clip(clip.path)
    _assert_tags(_first_frame(clip.path), tags)
    assert picture_faults(recording, reading) == []


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.typical(1)
def test_full_range_stays_full(codec: Any, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get("full_range")
    clip = cut(recording, Fraction(1), Fraction(3, 2), tmp_path / "clip.mp4", Profile(video=codec))
    reading = read_clip(clip.path)
    assert reading.color_range == 2
    assert picture_faults(replace(recording, tags=BT709), reading) == []
