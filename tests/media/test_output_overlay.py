"""Watermarks and subtitles that are drawn into the picture, read back from the frames of clips."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import ImageFont

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.framing import Size
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import WatermarkStyle
from clipengine.clips.texts.captions import MAX_FONTS
from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import code_of
from clipengine.errors import EncoderFailed, FontsMissing
from clipengine.media.clip_builder import Drawing
from clipengine.media.video import caption_painter
from clipengine.media.video.caption_painter import CaptionPainter, Font
from clipengine.media.video.captions import Captions
from clipengine.media.video.frame_format import Colors, FrameFormat
from clipengine.media.video.overlay import Overlay, WatermarkImage, decode_watermark
from clipengine.work.children import fonts as fonts_module
from clipengine.work.children.fonts import choose_fonts
from tests.films.catalogue import Shelf
from tests.films.cutting import cut, cut_file, cut_parts, facts_of
from tests.support.png import png
from tests.support.ramp import write_ramp

pytestmark = pytest.mark.proof

_CONTRAST = 40  # of the text and its outline; columns of the ramp have one level
_DARK = Profile(audio="none", preset="ultrafast", crf=12)


def _track(*cues: tuple[int, int, str], language: str = "en") -> TextTrack:
    return TextTrack(language, "eng", tuple(Cue(*cue) for cue in cues))


def _fonts(*tracks: TextTrack) -> tuple[Font, ...]:
    try:
        chosen = choose_fonts(tracks, ()).fonts
    except FontsMissing as error:
        pytest.skip(f"fonts: {error.hint.partition(', or')[0]}")
    return tuple(Font(font.path.read_bytes(), font.index, frozenset(font.characters)) for font in chosen)


def _burning(track: TextTrack) -> dict[str, Any]:
    return {"burnt": track, "drawing": Drawing(None, _fonts(track))}


def _luma(path: Path) -> list[tuple[Fraction, npt.NDArray[np.uint8]]]:
    """Return the time and the luma of each frame."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane: Any = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
            found.append((Fraction(frame.pts or 0) * Fraction(frame.time_base or 1), rows.copy()))
    return found


def _text_box(luma: npt.NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the pixels that differ from the top of their column, or None."""
    rows, columns = np.nonzero(np.abs(luma.astype(int) - luma[2]) > _CONTRAST)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if rows.size else None


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """A recording of 320x180 at 25 frames a second, for 3 seconds."""
    write_ramp(tmp_path / "ramp.mp4", 320, 180, seconds=3)
    return tmp_path / "ramp.mp4"


_CUES = _track((1000, 1480, "FIRST"), (1480, 1500, "SHORT"), (1870, 2201, "SECOND"))


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mp4", {}),
        ("webm", {}),
        ("mkv", {}),
        ("mp4", {"speed": 2.0}),
        ("mp4", {"speed": 0.3}),
        ("mp4", {"fps": 60.0}),
        ("mp4", {"speed": 1.5, "fps": 10.0}),
    ],
)
def test_cues_are_on_exactly_their_frames(options: Any, container: Any, ramp: Path, tmp_path: Path) -> None:
    codec = {"video": "vp8", "audio": "opus"} if container == "webm" else {}
    profile = Profile(container=container, preset="ultrafast", **codec).rendered(None, Output(**options))
    start, end = Fraction(9, 10), Fraction(5, 2)
    clip = cut_file(ramp, start, end, tmp_path / f"clip.{container}", profile, **_burning(_CUES))
    assert code_of("".join(clip.made.warnings)) == ""
    speed = Fraction(str(options.get("speed", 1)))
    pictures = _luma(clip.path)
    assert len(pictures) == clip.made.frames >= 10
    origin = clip.made.actual_start
    shown = []
    for time, luma in pictures:
        exact = round(time * 90_000) * Fraction(1, 90_000)  # MKV and WebM have whole milliseconds
        moment = (origin + exact * speed) * 1000
        if min(abs(moment - each) for cue in _CUES.cues for each in (cue.start_ms, cue.end_ms)) < 2 * speed:
            moment = Fraction(round(moment))  # frames and cues are at whole milliseconds
        expected = any(cue.start_ms <= moment < cue.end_ms for cue in _CUES.cues)
        assert (_text_box(luma) is not None) is expected, (float(time), float(moment))
        shown.append(expected)
    assert any(shown)
    assert not all(shown)


def test_cues_follow_the_parts(ramp: Path, tmp_path: Path) -> None:
    parts = [
        (ramp, Fraction(2), Fraction(12, 5)),
        (ramp, Fraction(1), Fraction(8, 5)),
        (ramp, Fraction(0), Fraction(1)),
    ]
    clip = cut_parts(parts, tmp_path / "clip.mp4", _DARK, **_burning(_CUES))
    shown = [_text_box(luma) is not None for _, luma in _luma(clip.path)]
    # The frames at 2.00 to 2.20 s, and at 1.00 to 1.48 s: the last one is in the cue of 20 ms.
    assert shown == [True] * 6 + [False] * 4 + [True] * 13 + [False] * 2 + [False] * 25


def test_held_frame_is_repeated_for_the_cue(shelf: Shelf, tmp_path: Path) -> None:
    track, film = _track((5300, 7120, "a still slide")), shelf.get("mp4_vfr_still")
    clips = [
        cut(film, Fraction(1), Fraction(23), tmp_path / "plain.mp4", _DARK),
        cut_file(film.path, Fraction(1), Fraction(23), tmp_path / "burnt.mp4", _DARK, **_burning(track)),
    ]
    plain, burnt = (_luma(clip.path) for clip in clips)
    added = sorted({time for time, _ in burnt} - {time for time, _ in plain})
    assert added == [Fraction(43, 10), Fraction(153, 25)]  # 5.3 and 7.12 s of the recording
    assert len(burnt) == len(plain) + 2
    still = next(luma for time, luma in reversed(plain) if time < 4)
    differs = {time: np.abs(luma.astype(int) - still)[60:].max() > 60 for time, luma in burnt if time in added}
    assert differs == {added[0]: True, added[1]: False}


@pytest.mark.parametrize(
    ("rotation", "options", "size"),
    [
        (0, {}, (320, 180)),
        (90, {}, (320, 180)),
        (0, {"aspect": "1:1"}, (180, 180)),
        (180, {"max_height": 90}, (160, 90)),
        (270, {"crop": {"x": 0.0, "y": 0.0, "width": 1.0, "height": 0.5}}, (320, 90)),
    ],
)
def test_text_is_at_the_bottom_of_the_finished_picture(rotation: int, options: Any, size: Any, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 320, 180, rotation=rotation)
    track = _track((0, 1000, "WORDS THAT MUST BE BROKEN INTO TWO LINES OR MORE, AS THEY ARE LONG"))
    profile = _DARK.rendered(None, Output.model_validate(options))
    clip = cut_file(
        tmp_path / "ramp.mp4", Fraction(0), Fraction(1, 2), tmp_path / "clip.mp4", profile, **_burning(track)
    )
    luma = _luma(clip.path)[0][1]
    assert luma.shape == size[::-1]
    box = _text_box(luma)
    assert box is not None
    left, top, right, bottom = box
    width, height = size
    assert 0.05 * width - 2 <= left < 0.3 * width
    assert abs((left + right) / 2 - width / 2) <= 0.03 * width
    assert 0.88 * height <= bottom <= 0.96 * height
    assert top >= 0.5 * height


def test_text_of_pixels_that_are_not_square_is_not_stretched(tmp_path: Path) -> None:
    boxes = []
    for ratio, width in ((Fraction(1), 320), (Fraction(2), 160)):
        write_ramp(tmp_path / "ramp.mp4", width, 180, sample_aspect_ratio=ratio)
        output, path = tmp_path / "clip.mp4", tmp_path / f"ramp{width}.mp4"
        (tmp_path / "ramp.mp4").rename(path)
        cut_file(path, Fraction(0), Fraction(1, 5), output, _DARK, **_burning(_track((0, 1000, "MMMMMM"))))
        boxes.append(_text_box(_luma(output)[0][1]))
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert (boxes[0][2] - boxes[0][0]) / 2 == pytest.approx(boxes[1][2] - boxes[1][0], abs=3)
    assert boxes[0][3] - boxes[0][1] == pytest.approx(boxes[1][3] - boxes[1][1], abs=1)


def test_fades_and_watermark_cover_text_and_picture(ramp: Path, tmp_path: Path) -> None:
    logo = decode_watermark(png(2, 2, bytes((255, 255, 255, 255)) * 4), WatermarkStyle(position="top-left", opacity=1))
    track = _track((0, 560, "MMMMMM"), (560, 3000, "WMWMWM"))  # the text changes while the picture fades
    profile = _DARK.rendered(None, Output(fade_seconds=1.0, watermark="logo"))
    drawing = Drawing(logo, _fonts(track))
    clip = cut_file(ramp, Fraction(0), Fraction(3), tmp_path / "clip.mp4", profile, burnt=track, drawing=drawing)
    for time, luma in _luma(clip.path):
        part = min(1.0, float(time), float(3 - time))
        white = 16 + 219 * part
        assert luma[8:40, 8:40].mean() == pytest.approx(white, abs=8), float(time)
        assert luma[150:].max() == pytest.approx(white, abs=16), float(time)


def test_smart_render_encodes_instead(shelf: Shelf, tmp_path: Path) -> None:
    film, track = shelf.get("mp4_bframes"), _track((1000, 2000, "text"))
    for options, reason in (
        ({}, "subtitles are drawn into the picture"),
        ({"watermark": "logo"}, "watermark of the output"),
    ):
        profile = Profile().rendered("smart", Output(**options))
        burning = {} if options else _burning(track)
        clip = cut_file(film.path, Fraction(1), Fraction(5), tmp_path / "clip.mp4", profile, **burning)
        assert clip.made.render == "encode"
        assert [reason in each for each in clip.made.warnings if code_of(each) == "encoded_instead"] == [True]


def test_recording_without_video_gets_a_warning(shelf: Shelf, tmp_path: Path) -> None:
    path = shelf.get("audio_only_m4a").path
    clip = cut_file(path, Fraction(1), Fraction(2), tmp_path / "clip.mp4", Profile(), burnt=_track((0, 3000, "text")))
    assert [each for each in clip.made.warnings if code_of(each) == "subtitles_dropped"] == [
        "subtitles_dropped: the transcript in en was not drawn: the clip has no video"
    ]


# ---- watermarks


def _logo(style: dict[str, Any]) -> WatermarkImage:
    """Return a red picture, 20x10, whose left half is transparent."""
    rows = (bytes((0, 255, 0, 0)) * 10 + bytes((255, 0, 0, 255)) * 10) * 10
    return decode_watermark(png(20, 10, rows), WatermarkStyle(**style))


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("opacity", [1.0, 0.4])
@pytest.mark.parametrize(
    ("pixel_format", "codec"), [("yuv420p", "h264"), ("yuvj420p", "h264"), ("yuv420p10le", "hevc")]
)
@pytest.mark.typical(3)
def test_watermark_has_its_place_colour_and_opacity(
    pixel_format: str, codec: Any, opacity: float, rotation: int, tmp_path: Path
) -> None:
    def gray(levels: Any, plane: int) -> Any:
        return 0 * levels + (128 if plane else 60)

    write_ramp(tmp_path / "gray.mp4", 320, 180, rotation=rotation, pixel_format=pixel_format, change=gray)
    deep: Any = {"pixel_format": "yuv420p10le"} if "10" in pixel_format else {}
    profile = Profile(audio="none", video=codec, crf=8, preset="ultrafast", **deep).rendered(
        None, Output(watermark="x")
    )
    logo = _logo({"position": "top-right", "width": 0.25, "margin": 0.1, "opacity": opacity})
    drawing = Drawing(logo)
    path = tmp_path / "clip.mp4"
    cut_file(tmp_path / "gray.mp4", Fraction(0), Fraction(2, 5), path, profile, drawing=drawing)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 10
    scale = 4.0 if deep else 1.0
    kind: Any = np.uint16 if deep else np.uint8
    planes = [
        np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width] / scale  # type: ignore[call-overload]
        for plane in frames[-1].planes
    ]
    full = pixel_format == "yuvj420p"
    red = (76.2, 84.97, 255.5) if full else (81.5, 90.2, 240)  # BT.601, as the recording states no matrix
    # 80x40 pixels from (222, 18) on; the right half is red
    for plane, level, base in zip(planes, red, (60, 128, 128), strict=True):
        half = 1 if plane.shape[0] == 180 else 2
        seen = plane[20 // half : 56 // half, 266 // half : 298 // half]
        assert seen.mean() == pytest.approx(base + opacity * (level - base), abs=2.5)
        outside = plane.copy()
        outside[16 // half : 60 // half, 260 // half : 304 // half] = base
        assert np.abs(outside - base).max() <= 4


@pytest.mark.parametrize(
    ("pixel_format", "color_range", "trc", "white"),
    [
        ("yuv420p", 1, 1, 235),
        ("yuv420p", 0, 2, 235),
        ("yuvj420p", 2, 1, 255),
        ("yuv420p10le", 1, 1, 940),
        ("yuv420p10le", 1, 16, 64 + 0.58 * 876),  # PQ: white of graphics is 203 cd/m2
        ("yuv420p10le", 1, 18, 64 + 0.75 * 876),  # HLG
    ],
)
def test_white_has_the_level_of_the_format(pixel_format: str, color_range: int, trc: int, white: float) -> None:
    format = FrameFormat(64, 64, pixel_format, Fraction(1), Colors(1, color_range, 1, trc))
    logo = decode_watermark(
        png(2, 2, bytes((255, 255, 255, 255)) * 4), WatermarkStyle(position="center", width=0.5, opacity=1)
    )
    frame = av.VideoFrame(64, 64, pixel_format)
    drawn = Overlay(format, logo, None).apply(frame, Fraction(0))
    plane: Any = drawn.planes[0]
    kind: Any = np.uint16 if "10" in pixel_format else np.uint8
    luma = np.frombuffer(plane, kind).reshape(64, -1)[:, :64]
    assert luma[20:44, 20:44].mean() == pytest.approx(white, abs=5)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", png(4, 4, bytes(64))[:45]])
def test_damaged_png_is_an_error(data: bytes) -> None:
    with pytest.raises(EncoderFailed, match="watermark"):
        decode_watermark(data, WatermarkStyle())


# ---- text


def _paint(*texts: str, language: str = "en", canvas: tuple[int, int] = (1280, 720)) -> npt.NDArray[np.uint8]:
    """Return the alpha channel of the texts."""
    fonts = _fonts(_track(*((0, 1000, text) for text in texts), language=language))
    painted = CaptionPainter(fonts, Size(*canvas), language).paint(texts)
    assert painted is not None
    pixels = np.frombuffer(painted.data, np.uint8).reshape(painted.size.height, painted.size.width, 4)
    return pixels[:, :, 3]


def _ink(alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the smallest part with all that is not transparent."""
    rows, columns = np.nonzero(alpha)
    return alpha[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Grüße, façade"),
        ("ru", "Привет, мир"),
        ("el", "Γειά σου, Κόσμε"),
        ("he", "שלום עולם"),
        ("ar", "مرحبا بالعالم"),
        ("zh", "今天天气很好"),
        ("ja", "今日はいい天気"),
        ("ko", "안녕하세요"),
        ("hi", "नमस्ते दुनिया"),
    ],
)
@pytest.mark.typical(3)
def test_every_script_is_drawn_with_its_glyphs(language: str, text: str) -> None:
    drawn = _ink(_paint(text, language=language))
    height, width = drawn.shape
    assert 15 < height < 80
    assert 3 * height / 2 < width < 1152
    letters = [_ink(_paint(each, language=language)) for each in sorted(set(text) - set(" ,"))]
    assert len({letter.tobytes() for letter in letters}) == len(letters)  # no two are the box of a missing glyph


def test_arabic_letters_are_joined() -> None:
    alone, joined = _ink(_paint("ب", language="ar")), _ink(_paint("بببب", language="ar"))
    assert joined.shape[1] < 3 * alone.shape[1]


def test_right_to_left_text_begins_at_the_right() -> None:
    assert _ink(_paint("ש WWWW")).tolist() == _ink(_paint("WWWW ש")).tolist()
    assert _ink(_paint("שלום")).tolist() != _ink(_paint("םולש")).tolist()


def test_one_line_may_need_several_fonts() -> None:
    mixed, first, second = _paint("今日 مرحبا"), _ink(_paint("今日")), _ink(_paint("مرحبا"))
    ink = _ink(mixed)
    assert ink.shape[1] == pytest.approx(first.shape[1] + second.shape[1] + 10, abs=12)
    backwards = _ink(_paint("مرحبا 今日"))
    assert np.abs(backwards[:, :30].astype(int) - ink[:, :30]).mean() < 8  # the ideographs are at the left in both


@pytest.mark.exhaustive
def test_long_texts_have_limits() -> None:
    for text in ("word " * (MAX_CUE_CHARACTERS // 5), "W" * MAX_CUE_CHARACTERS, "\u0301" * MAX_CUE_CHARACTERS + "x"):
        fonts = _fonts(_track((0, 1000, text)))
        painted = CaptionPainter(fonts, Size(640, 360), "en").paint([text] * 6)
        assert painted is not None
        assert painted.size.width <= 0.9 * 640 + 2
        assert painted.size.height <= 0.5 * 360
        assert painted.whole is (text[0] == "\u0301")


def test_text_without_room_gets_a_warning(ramp: Path, tmp_path: Path) -> None:
    track = _track(*((0, 1000, f"line {number}") for number in range(8)), (1000, 3000, "alone"))
    clip = cut_file(ramp, Fraction(0), Fraction(2), tmp_path / "clip.mp4", _DARK, **_burning(track))
    assert [each for each in clip.made.warnings if code_of(each) == "subtitles_dropped"] == [
        "subtitles_dropped: 2 cues in en were not drawn as a whole: they have no room"
    ]


def test_text_is_drawn_in_the_smallest_picture(tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 16, 16)
    track = _track((0, 1000, "tiny text"))
    cut_file(tmp_path / "ramp.mp4", Fraction(0), Fraction(1), tmp_path / "clip.mp4", _DARK, **_burning(track))


# ---- fonts


def _only(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """Let the machine have only these fonts."""
    for name in names:
        found = next(iter(Path("/usr/share/fonts").rglob(name)), None)
        if found is None:
            pytest.skip(f"the font {name} is missing")
        (folder / name).symlink_to(found)
    monkeypatch.setattr(fonts_module, "_SYSTEM_FOLDERS", (folder,))


def test_letter_without_a_glyph_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _only(monkeypatch, tmp_path, "DejaVuSans.ttf")
    with pytest.raises(
        FontsMissing, match="no font of this machine has the characters 今日 of the subtitles"
    ) as caught:
        choose_fonts([_track((0, 1, "today: 今日"))], ())
    assert "fonts-noto-cjk" in caught.value.hint
    with pytest.raises(FontsMissing, match="नमस") as caught:
        choose_fonts([_track((0, 1, "नमस्ते"))], ())
    assert "Debian's fonts-noto-core, or name" in caught.value.hint
    with pytest.raises(FontsMissing) as caught:
        choose_fonts([_track((0, 1, "今日 नमस्ते"))], ())
    assert "Debian's fonts-noto-core and fonts-noto-cjk, or name" in caught.value.hint


def test_only_cues_of_the_range_need_glyphs(ramp: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _only(monkeypatch, tmp_path, "DejaVuSans.ttf")
    track = _track((0, 1000, "今日"), (1000, 2000, "shown"), (2000, 3000, "later 🫠"))

    def drawn(start: str, end: str) -> TextTrack | None:
        part = PlannedPart(facts_of(ramp), Fraction(start), Fraction(end))
        return part.with_captions((track,), None).burnt

    chosen = choose_fonts([drawn("1", "2")], ())
    assert "".join(font.characters for font in chosen.fonts) == "hnosw"
    assert chosen.warnings() == []
    assert len(choose_fonts([drawn("1", "2"), drawn("5/2", "3")], ()).warnings()) == 1
    assert drawn("3", "4") is None
    with pytest.raises(FontsMissing):
        choose_fonts([drawn("1/2", "2")], ())


def test_symbol_without_a_glyph_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _only(monkeypatch, tmp_path, "DejaVuSans.ttf")
    track = _track((0, 1, "sun 🫠\ufe0f"), (1, 2, "🫠"))
    chosen = choose_fonts([track], ())
    assert chosen.warnings() == ["glyphs_missing: no font has these symbols of the subtitles, which were left out: 🫠"]
    font = chosen.fonts[0]
    painter = CaptionPainter(
        [Font(font.path.read_bytes(), font.index, frozenset(font.characters))], Size(320, 180), "en"
    )
    assert painter.paint(["sun 🫠\ufe0f"]) is not None
    assert painter.paint(["🫠"]) is None


@pytest.mark.parametrize("style", [None, CaptionStyle(name="word"), CaptionStyle(name="box")])
@pytest.mark.parametrize(
    "text",
    [
        "\u200d",
        "\u202e\u2066",
        "\u00ad",
        "\u2060",
        "\ufe0f",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        " \u200d\n\u200d ",
    ],
)
@pytest.mark.typical(1)
def test_cue_without_a_glyph_has_no_caption(text: str, style: CaptionStyle | None) -> None:
    """Row 105 of the faults: it ended the captions and the clip with `internal`."""
    painter = CaptionPainter((), Size(320, 180), "en", style)
    assert painter.drawable(text) == ""
    assert painter.paint([text]) is None
    assert _paint(text, "sun \u200d\u00ad").any()


@pytest.mark.parametrize("style", [None, CaptionStyle(name="outline"), CaptionStyle(name="word")])
@pytest.mark.parametrize("text", ["W" * 2000, "ab " * 666, "a\u05d0" * 1000, "\u0627\u0628" * 1000])
@pytest.mark.typical(1)
def test_layout_of_a_long_cue_measures_each_character_a_few_times(
    text: str, style: CaptionStyle | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 105 of the faults: words of 2,000 characters took seconds, as each part of them was measured to its end."""
    track = TextTrack("en", "eng", (Cue(1000, 4000, text),))
    chosen = choose_fonts([track], ()).fonts
    fonts = [Font(each.path.read_bytes(), each.index, frozenset(each.characters)) for each in chosen]
    measured: list[int] = []
    getlength = ImageFont.FreeTypeFont.getlength

    def counted(font: ImageFont.FreeTypeFont, text: str, **options: Any) -> float:
        measured.append(len(text))
        return getlength(font, text, **options)

    monkeypatch.setattr(ImageFont.FreeTypeFont, "getlength", counted)
    canvas = Size(1920, 1080)
    captions = Captions(
        track, fonts, Fraction(0), Fraction(1), canvas=canvas, sample_aspect_ratio=Fraction(1), style=style
    )
    assert captions.paint(captions.shown(Fraction(1))) is not None
    assert sum(measured) < 60 * len(text)


@pytest.mark.parametrize("style", [None, CaptionStyle(name="outline")])
def test_thousands_of_cues_together_show_six(style: CaptionStyle | None) -> None:
    track = TextTrack("en", "eng", tuple(Cue(n, 100_000 - n, f"cue {n}") for n in range(9000)))
    fonts = [
        Font(each.path.read_bytes(), each.index, frozenset(each.characters)) for each in choose_fonts([track], ()).fonts
    ]
    captions = Captions(
        track, fonts, Fraction(0), Fraction(1), canvas=Size(640, 360), sample_aspect_ratio=Fraction(1), style=style
    )
    assert len(captions.changes(Fraction(0), Fraction(1000))) <= 12
    assert [each.text for each in captions.shown(Fraction(50))] == [f"cue {n}" for n in range(6)]
    (warning,) = captions.warnings()
    assert warning == "subtitles_dropped: 8994 cues in en were not drawn as a whole: they have no room"


def test_cue_of_controls_is_a_warning() -> None:
    track = TextTrack(
        "en", "eng", (Cue(0, 1000, "\u200d\u00ad"), Cue(1000, 2000, "words"), Cue(2000, 3000, "\u202e \u2066"))
    )
    assert choose_fonts([track], ()).warnings() == [
        "glyphs_missing: 2 cues have only control characters, and no caption"
    ]


def test_machine_without_fonts_and_broken_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"\0\1\0\0" + bytes(100))
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no font")
    monkeypatch.setattr(fonts_module, "_SYSTEM_FOLDERS", (tmp_path, tmp_path / "missing"))
    with pytest.raises(FontsMissing, match="abc"):
        choose_fonts([_track((0, 1, "abc"))], (tmp_path,))
    assert choose_fonts([_track()], ()).fonts == ()
    assert choose_fonts([None], ()).fonts == ()


def test_number_and_size_of_fonts_are_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _only(monkeypatch, tmp_path, "DejaVuSans.ttf")
    for number in range(MAX_FONTS + 2):
        (tmp_path / f"{number}.ttf").write_bytes(b"")
    known = {f"{number}.ttf": frozenset("abcdefghijklmn"[number]) for number in range(MAX_FONTS + 2)}
    monkeypatch.setattr(fonts_module, "_characters", lambda path, changed: known.get(path.name, frozenset()))
    with pytest.raises(FontsMissing, match="characters ij of"):
        choose_fonts([_track((0, 1, "abcdefghij"))], ())
    assert len(choose_fonts([_track((0, 1, "abcdefgh"))], ()).fonts) == MAX_FONTS
    monkeypatch.undo()
    monkeypatch.setattr(fonts_module, "_SYSTEM_FOLDERS", (tmp_path,))
    monkeypatch.setattr(fonts_module, "MAX_FONT_BYTES", 1000)
    fonts_module._characters.cache_clear()
    with pytest.raises(FontsMissing):
        choose_fonts([_track((0, 1, "abc"))], ())
    fonts_module._characters.cache_clear()


def test_ideographs_have_the_form_of_their_language() -> None:
    indexes = {}
    for language in ("ja", "zh", "zh-Hant", "ko", "en"):
        track = _track((0, 1, "直角"), language=language)
        _fonts(track)  # skips without fonts
        font = choose_fonts([track], ()).fonts[-1]
        if "CJK" not in font.path.name:
            pytest.skip("fonts: no collection with the forms of each language (Debian: apt install fonts-noto-cjk)")
        indexes[language] = font.index
    assert len({indexes[each] for each in ("ja", "zh", "zh-Hant", "ko")}) == 4
    assert indexes["en"] == 0


def test_script_that_needs_fribidi_is_an_error_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_painter, "_SHAPES", False)
    assert _ink(_paint("Привет 👋\ufe0f".replace("👋", ""))).size
    with pytest.raises(FontsMissing, match="FriBidi") as caught:
        _paint("שלום")
    assert "libfribidi0" in caught.value.hint


def test_poster_has_the_text(ramp: Path, tmp_path: Path) -> None:
    from clipengine.clips.edit import PlannedPart
    from clipengine.media.cut import cut_clip
    from clipengine.media.input.containers.cached_reader import DescriptorSource
    from tests.films.cutting import facts_of

    track = _track((0, 3000, "poster"))
    with ramp.open("rb") as source, (tmp_path / "clip.mp4").open("w+b") as target:
        _, poster = cut_clip(
            [DescriptorSource(source.fileno())],
            [PlannedPart(facts_of(ramp), Fraction(0), Fraction(1), burnt=track)],
            _DARK,
            output=target.fileno(),
            threads=1,
            poster=True,
            drawing=Drawing(None, _fonts(track)),
            on_progress=lambda step, part: None,
        )
    assert poster is not None
    with av.open(BytesIO(poster)) as container:
        frame = next(container.decode(video=0))
    rows: Sequence[Any] = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.planes[0].height, -1)  # type: ignore[call-overload]
    assert np.max(rows) > 225
