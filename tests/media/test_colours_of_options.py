"""Row 95 of the faults: outside what an option draws, the colours of tagged recordings differ by at most 6 of 255.

The clips are read by the ffmpeg command, so that no code of the engine converts their colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import WatermarkStyle
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import FontsMissing, UnsupportedMedia
from clipengine.media.clip_builder import Drawing
from clipengine.media.cut import cut_clip
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.video.caption_painter import Font
from clipengine.media.video.overlay import decode_watermark
from clipengine.work.children.fonts import choose_fonts
from tests.films.cutting import cut_file, cut_parts, facts_of
from tests.support.patches import HEIGHT, SOURCES, WIDTH, Pixels, read_frames, read_pixels, stripes, write_patches
from tests.support.png import png

_MOST = 6  # of 255
_MOST_OF_WEBP = 12  # a chroma sample for four pixels of small pictures
_START, _END, _AT = Fraction(1, 5), Fraction(3, 5), 0.12
_LEFT = {"x": 0.0, "y": 0.0, "width": 0.2, "height": 0.5}
_RIGHT_HALF = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
_OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "blur": {"blur": [_LEFT]},
    "crop": {"crop": _RIGHT_HALF},
    "crop_height": {"crop": _RIGHT_HALF, "max_height": 128},
    "height": {"max_height": 128},
    "aspect": {"aspect": "1:1"},
    "aspect_height": {"aspect": "9:16", "max_height": 128},
    "pad": {"aspect": "1:1", "fit": "pad"},
    "pad_height": {"aspect": "3:4", "fit": "pad", "max_height": 240},
    "fill": {"aspect": "9:16", "fit": "blur"},
    "fill_height": {"aspect": "9:16", "fit": "blur", "max_height": 320},
    "size": {"size": {"width": 72, "height": 128}},
    "enlarged": {"size": {"width": 360, "height": 640, "enlarge": True}, "fit": "blur"},
    "fps": {"fps": 30},
    "fade": {"fade_seconds": 0.08},
    "speed": {"speed": 2},
    "watermark": {"watermark": "logo"},
    "captions": {},
    "all": {"blur": [_LEFT], "crop": _RIGHT_HALF, "aspect": "9:16", "max_height": 128, "fade_seconds": 0.08},
}
_PROFILES: dict[str, dict[str, Any]] = {
    "h264": {},
    "hevc": {"video": "hevc"},
    "hevc_hdr": {"video": "hevc", "hdr": "keep"},
    "vp9": {"video": "vp9", "container": "webm"},
    "gif": {"container": "gif", "fps": 25},
    "webp": {"container": "webp", "fps": 25, "crf": 0},
}
# One case of each mechanism: graphs that scale, their range, depth and transfer, drawing, RGB, and the codecs.
_CHOSEN = {
    ("709", "blur", "h264"), ("709", "fill_height", "h264"), ("709", "enlarged", "h264"),
    ("2020", "crop_height", "hevc"), ("full", "pad", "h264"),
    ("pq", "aspect_height", "h264"), ("hlg", "fill", "hevc_hdr"), ("rgb", "pad_height", "h264"),
    ("10bit", "all", "vp9"), ("601", "watermark", "h264"), ("709", "captions", "gif"), ("full", "size", "hevc"),
}  # fmt: skip
_OF_EACH_CODEC = ("none", "blur", "fill_height", "all")  # options whose graphs differ
# Sources that differ in the graph, with which H.264 has all options; the others have each third.
_OF_EACH_OPTION = ("709", "full", "pq", "rgb")
_CHOSEN_PARTS = {("601", "709"), ("709", "601_625"), ("full", "pq"), ("untagged", "rgb")}


def _cases() -> Iterator[Any]:
    for numbered in product(enumerate(SOURCES), enumerate(_OPTIONS), enumerate(_PROFILES)):
        case = name, option, profile = tuple(value for _, value in numbered)
        number = sum(each for each, _ in numbered)
        if profile == "hevc_hdr" and not SOURCES[name].tags.hdr:
            continue
        if case in _CHOSEN:
            yield pytest.param(*case, id="-".join(case))
        elif _differs(name, option, profile, number):
            yield pytest.param(*case, marks=pytest.mark.exhaustive, id="-".join(case))


def _differs(name: str, option: str, profile: str, number: int) -> bool:
    if profile == "h264":
        return name in _OF_EACH_OPTION or number % 3 == 0
    return option in _OF_EACH_CODEC and (profile == "hevc_hdr" or (number + _OF_EACH_CODEC.index(option)) % 2 == 0)


def _pairs() -> Iterator[Any]:
    for number, pair in enumerate(product(SOURCES, SOURCES)):  # an odd number of sources: each has half of the others
        if pair not in _CHOSEN_PARTS and "709" not in pair and number % 2:
            continue
        yield pytest.param(*pair, marks=() if pair in _CHOSEN_PARTS else (pytest.mark.exhaustive,), id="-".join(pair))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("patches")


def _recording(folder: Path, name: str, *, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Return a recording of this kind, which is written on first use."""
    path = folder / f"{name}_{width}.{SOURCES[name].container}"
    if not path.exists():
        write_patches(path, SOURCES[name], width=width, height=height)
    return path


def _profile(options: dict[str, Any], values: dict[str, Any]) -> Profile:
    chosen = {"crf": 8, "preset": "ultrafast"} | values
    return Profile(audio="none", **chosen).rendered(None, Output.model_validate(options))


def _pixels(path: Path, output: Path, option: str, values: dict[str, Any]) -> Pixels:
    """Return the pixels of a clip with this option."""
    options, drawn = _OPTIONS[option], {}
    if option == "watermark":
        logo = decode_watermark(png(2, 2, bytes((255, 0, 0, 255)) * 4), WatermarkStyle(width=0.1, margin=0.02))
        drawn = {"drawing": Drawing(logo)}
    if option == "captions":
        drawn = _captions()
    profile = _profile(options, values)
    clip = output / f"clip.{profile.container}"
    cut_file(path, _START, _END, clip, profile, **drawn)
    return read_pixels(clip, at=_AT)


def _captions() -> dict[str, Any]:
    track = TextTrack("en", "eng", (Cue(0, 200, "EARLY"), Cue(200, 300, "I"), Cue(300, 320, "LATE")))
    try:
        chosen = choose_fonts((track,), ()).fonts
    except FontsMissing as error:
        pytest.skip(f"fonts: {error.hint.partition(', or')[0]}")
    fonts = tuple(Font(font.path.read_bytes(), font.index, frozenset(font.characters)) for font in chosen)
    return {"burnt": track, "drawing": Drawing(None, fonts)}


@cache
def _expected(folder: Path, name: str, *, keeps_hdr: bool = False) -> Any:
    """Return the colours of the recording, or those of a clip without options if its HDR is tone-mapped."""
    path = _recording(folder, name)
    if SOURCES[name].tags.hdr and not keeps_hdr:
        return stripes(_pixels(path, folder, "none", {"crf": 8}))
    return stripes(read_pixels(path, at=0.3))


@pytest.mark.parametrize(("name", "option", "profile"), [*_cases()])
@pytest.mark.typical(2)
def test_options_keep_the_colours(name: str, option: str, profile: str, folder: Path, tmp_path: Path) -> None:
    expected = _expected(folder, name, keeps_hdr="hdr" in _PROFILES[profile])
    pixels = _pixels(_recording(folder, name), tmp_path, option, _PROFILES[profile])
    found = stripes(pixels, bars="fit" in _OPTIONS[option])
    rows = slice(None, -1) if option == "captions" else slice(None)  # the text is over the last stripe
    most = _MOST_OF_WEBP if profile == "webp" else _MOST
    assert found[rows] == pytest.approx(expected[rows], abs=most)


@pytest.mark.parametrize(("first", "later"), [*_pairs()])
@pytest.mark.typical(2)
def test_later_parts_keep_their_colours(first: str, later: str, folder: Path, tmp_path: Path) -> None:
    small = _recording(folder, later, width=WIDTH // 2, height=HEIGHT // 2)
    parts = [
        (_recording(folder, first), Fraction(0), Fraction(1, 5)),
        (_recording(folder, later), Fraction(0), Fraction(1, 5)),
        (small, Fraction(0), Fraction(1, 5)),
    ]
    cut_parts(parts, tmp_path / "parts.mp4", _profile({}, {}))
    pixels = read_frames(tmp_path / "parts.mp4", (0.08, 0.28, 0.48))
    for number, name in enumerate((first, later, later)):
        expected = _expected(folder, name)
        assert stripes(pixels[number]) == pytest.approx(expected, abs=_MOST), (name, number)


def test_parts_in_pq_and_hlg_are_not_joined_in_hdr(folder: Path, tmp_path: Path) -> None:
    parts = [(_recording(folder, name), Fraction(0), Fraction(1, 5)) for name in ("pq", "hlg")]
    with pytest.raises(UnsupportedMedia, match="PQ and with HLG cannot be joined"):
        cut_parts(parts, tmp_path / "parts.mp4", _profile({}, _PROFILES["hevc_hdr"]))


@pytest.mark.parametrize("option", ["none", pytest.param("fill_height", marks=pytest.mark.exhaustive), "blur"])
@pytest.mark.parametrize(
    "name",
    [name if name in ("709", "full", "hlg") else pytest.param(name, marks=pytest.mark.exhaustive) for name in SOURCES],
)
@pytest.mark.typical(2)
def test_poster_equals_the_first_frame(name: str, option: str, folder: Path, tmp_path: Path) -> None:
    path, clip = _recording(folder, name), tmp_path / "clip.mp4"
    with path.open("rb") as source, clip.open("w+b") as target:
        _, made = cut_clip(
            [DescriptorSource(source.fileno())],
            [PlannedPart(facts_of(path), _START, _END)],
            _profile(_OPTIONS[option], {}),
            output=target.fileno(),
            threads=1,
            poster=True,
            on_progress=lambda step, part: None,
        )
    assert made is not None
    (tmp_path / "poster.jpg").write_bytes(made)
    poster, first = (read_pixels(each) for each in (tmp_path / "poster.jpg", clip))
    assert poster.shape == first.shape
    bars = "fit" in _OPTIONS[option]
    assert stripes(poster, bars=bars) == pytest.approx(stripes(first, bars=bars), abs=_MOST)
