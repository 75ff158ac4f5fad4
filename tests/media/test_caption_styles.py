"""Styles of captions, read back from the pixels of clips: boxes, marked words, lines, sizes and places."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.framing import Size
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.captions import drawn_cues
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import code_of
from clipengine.errors import FontsMissing
from clipengine.media.clip_builder import Drawing
from clipengine.media.video.caption_painter import Font
from clipengine.media.video.captions import Captions
from clipengine.work.children.fonts import choose_fonts
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut_file, cut_parts
from tests.support.ramp import write_ramp

pytestmark = pytest.mark.proof

_PROFILE = Profile(audio="none", preset="ultrafast", crf=8)
_GRAY = 90
_AMBER = 100  # chroma (U) below this is that of a marked word; gray has 128

Pixels = npt.NDArray[np.uint8]


def _burning(style: CaptionStyle, *cues: Cue, language: str = "en") -> dict[str, Any]:
    track = TextTrack(language, "und", drawn_cues(cues, style))
    return {"burnt": track, "drawing": Drawing(None, _fonts(track)), "caption_style": style}


def _fonts(track: TextTrack) -> tuple[Font, ...]:
    try:
        chosen = choose_fonts([track], ()).fonts
    except FontsMissing as error:
        pytest.skip(f"fonts: {error.hint.partition(', or')[0]}")
    return tuple(Font(font.path.read_bytes(), font.index, frozenset(font.characters)) for font in chosen)


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray recording of 320x180 at 25 frames a second, for 3 seconds."""
    path = tmp_path_factory.mktemp("gray") / "gray.mp4"
    write_ramp(path, 320, 180, seconds=3, change=lambda levels, plane: 0 * levels + (128 if plane else _GRAY))
    return path


def _frames(path: Path) -> list[tuple[Fraction, Pixels, Pixels]]:
    """Return time, luma, and the first chroma plane in the size of the luma, of each frame."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma, chroma = (
                np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].copy()  # type: ignore[call-overload]
                for plane in frame.planes[:2]
            )
            found.append((Fraction(frame.pts or 0) * Fraction(frame.time_base or 1), luma, chroma))
    return found


def _marked(chroma: Pixels) -> int | None:
    """Return the middle of the columns that are coloured, in pixels of the luma, or None."""
    columns = np.nonzero((chroma < _AMBER).any(axis=0))[0]
    return None if columns.size == 0 else int(columns.min() + columns.max())


def _text_rows(luma: Pixels) -> list[tuple[int, int]]:
    """Return the first row and the end of each line of white letters."""
    rows = (luma > 200).any(axis=1).astype(int)
    edges = np.nonzero(np.diff(np.concatenate([[0], rows, [0]])))[0]
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


_WORDS = (
    TimedWord(520, 800, "FIRST"),
    TimedWord(841, 1199, "SECOND"),
    TimedWord(1200, 1400, "THIRD"),
    TimedWord(2001, 2040, "LAST"),
)
_SPOKEN = Cue(400, 2480, "FIRST SECOND THIRD LAST", "Ana", _WORDS)
# The words stay marked over short pauses. The last one is shorter than a frame.
_MARKS = {"FIRST": (520, 841), "SECOND": (841, 1200), "THIRD": (1200, 1400), "LAST": (2001, 2081)}


@pytest.mark.parametrize("options", [{}, {"speed": 2.0}, {"fps": 60.0}, {"aspect": "1:1"}])
@pytest.mark.typical(2)
def test_spoken_word_is_marked_on_exactly_its_frames(options: Any, gray: Path, tmp_path: Path) -> None:
    profile, style = _PROFILE.rendered(None, Output(**options)), CaptionStyle(name="word")
    clip = cut_file(gray, Fraction(1, 5), Fraction(14, 5), tmp_path / "clip.mp4", profile, **_burning(style, _SPOKEN))
    assert [*clip.made.warnings] == []
    speed, places = Fraction(str(options.get("speed", 1))), dict[str, set[int]]()
    for time, luma, chroma in _frames(clip.path):
        moment = (clip.made.actual_start + time * speed) * 1000
        word = next((each for each, (start, end) in _MARKS.items() if start <= round(moment, 3) < end), None)
        place = _marked(chroma)
        assert (place is not None) is (word is not None), float(moment)
        assert bool(_text_rows(luma)) is (400 <= round(moment, 3) < 2480), float(moment)
        if word is not None and place is not None:
            places.setdefault(word, set()).add(place)
    middles = [next(iter(places[word])) for word in ("FIRST", "SECOND", "THIRD")]
    assert middles == sorted(middles)
    assert all(len(found) == 1 for found in places.values()), places  # nothing else moves when a word is marked


@pytest.mark.exhaustive
def test_held_frame_is_repeated_for_each_word(shelf: Shelf, tmp_path: Path) -> None:
    words = (TimedWord(5300, 5800, "a"), TimedWord(6500, 7000, "slide"))
    burning = _burning(CaptionStyle(name="word"), Cue(5300, 7120, "a still slide", None, words))
    path = shelf.get("mp4_vfr_still").path
    plain = cut_file(path, Fraction(1), Fraction(8), tmp_path / "plain.mp4", _PROFILE)
    burnt = cut_file(path, Fraction(1), Fraction(8), tmp_path / "burnt.mp4", _PROFILE, **burning)
    added = {time for time, _, _ in _frames(burnt.path)} - {time for time, _, _ in _frames(plain.path)}
    assert sorted(round(1000 * (time + 1)) for time in added) == [5300, 5800, 6500, 7000, 7120]


def test_box_is_dark_behind_its_letters_and_letters_have_their_colour(gray: Path, tmp_path: Path) -> None:
    style = CaptionStyle(name="box", colour="#ffee00", size=0.1, height=0.3)
    clip = cut_file(
        gray, Fraction(0), Fraction(2), tmp_path / "clip.mp4", _PROFILE, **_burning(style, Cue(400, 1200, "MMM WWW"))
    )
    for time, luma, chroma in _frames(clip.path):
        shown = Fraction(400, 1000) <= time < Fraction(1200, 1000)
        dark = luma < _GRAY - 25
        assert dark.any() == shown
        if not shown:
            continue
        rows, columns = np.nonzero(dark)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        assert abs(bottom - 0.7 * 180) <= 2
        assert abs((left + right) / 2 - 160) <= 2
        assert 18 <= bottom - top <= 40
        # At the left of the letters the box is one level; a dark pixel of it is 30 % of the gray.
        inside = luma[top + 6 : bottom - 6, left + 1 : left + 4]
        assert inside.mean() == pytest.approx(16 + 0.3 * (_GRAY - 16), abs=6)
        letters = luma > 180
        assert letters.any()
        assert chroma[letters[::2, ::2]].min() < 60  # yellow
        assert not letters[:top].any()
        assert not letters[bottom:].any()


@pytest.mark.parametrize("name", ["outline", "box", "word"])
@pytest.mark.typical(1)
def test_long_texts_have_two_lines_at_most_and_lose_no_word(name: Any, gray: Path, tmp_path: Path) -> None:
    text = "It is a long text, which has no room in two lines. So it is shown in several pages, one after the other."
    burning = _burning(CaptionStyle(name=name, size=0.1), Cue(0, 3000, text))
    clip = cut_file(gray, Fraction(0), Fraction(3), tmp_path / "clip.mp4", _PROFILE, **burning)
    assert [*clip.made.warnings] == []
    counts = [len(_text_rows(luma[90:])) for _, luma, _ in _frames(clip.path)]
    # The dots of letters may be lines of their own.
    assert min(counts) >= 1
    highest = max(rows[-1][1] - rows[0][0] for _, luma, _ in _frames(clip.path) if (rows := _text_rows(luma)))
    assert highest <= 2 * 1.5 * 18
    pictures = {luma.tobytes() for _, luma, _ in _frames(clip.path)[::5]}
    assert len(pictures) >= 3


@pytest.mark.parametrize(
    ("aspect", "height", "bottom"),
    [
        (None, None, 0.9),
        ("9:16", None, 0.8),
        ("1:1", None, 0.9),
        ("9:16", 0.5, 0.5),
        (None, 0.8, 0.2),
        (None, 0.0, 1.0),
    ],
)
def test_text_has_its_height(aspect: Any, height: Any, bottom: float, gray: Path, tmp_path: Path) -> None:
    profile = _PROFILE.rendered(None, Output(aspect=aspect) if aspect else None)
    burning = _burning(CaptionStyle(height=height, size=0.1), Cue(0, 3000, "MMMM"))
    clip = cut_file(gray, Fraction(0), Fraction(1, 5), tmp_path / "clip.mp4", profile, **burning)
    luma = _frames(clip.path)[0][1]
    end = _text_rows(luma)[-1][1] / luma.shape[0]
    assert bottom - 0.06 <= end <= bottom + 0.01


def _painted(
    style: CaptionStyle | None, *cues: Cue, canvas: Size = Size(640, 360), at: float = 0.0, language: str = "en"
) -> tuple[npt.NDArray[np.uint8], Any] | None:
    """Return the pixels in RGBA, and the box, of what is shown at a time."""
    track = TextTrack(language, "und", drawn_cues(cues, style))
    captions = Captions(
        track, _fonts(track), Fraction(0), Fraction(1), canvas=canvas, sample_aspect_ratio=Fraction(1), style=style
    )
    image = captions.image(captions.shown(Fraction(str(at))))
    return None if image is None else (image.frame.to_ndarray(), image.box)


@pytest.mark.parametrize("name", ["outline", "box", "word"])
@pytest.mark.parametrize(
    "canvas", [Size(16, 16), Size(16, 160), Size(160, 16), Size(1080, 1920), Size(606, 1078), Size(3840, 2160)]
)
@pytest.mark.typical(2)
def test_every_size_of_picture_has_room_for_captions(canvas: Size, name: Any) -> None:
    for size in (None, 0.02, 0.15):
        found = _painted(CaptionStyle(name=name, size=size), Cue(0, 1000, "Words, and more words"), canvas=canvas)
        assert found is not None
        pixels, box = found
        assert box.x >= 0
        assert box.x + box.width <= canvas.width
        assert box.y >= 0
        assert box.y + box.height <= canvas.height
        assert pixels[:, :, 3].max() > 150


@pytest.mark.parametrize(
    ("language", "words", "rtl"),
    [
        ("en", ["Grüße", "façade", "ok"], False),
        ("ru", ["Привет", "новый", "мир"], False),
        ("ar", ["مرحبا", "بالعالم", "اليوم"], True),
        ("he", ["שלום", "עולם", "חדש"], True),
        ("he", ["סעיף", "12", "34"], True),  # each number is read from left to right
        ("hi", ["नमस्ते", "दुनिया", "आज"], False),
        ("ja", ["今日", "天気", "明日"], False),
    ],
)
@pytest.mark.typical(3)
def test_words_of_every_script_are_marked_in_their_order(language: str, words: list[str], rtl: bool) -> None:
    text = ("" if language == "ja" else " ").join(words)
    timed = tuple(TimedWord(1000 * n, 1000 * n + 1000, word) for n, word in enumerate(words))
    places, alphas = [], set()
    for number in range(3):
        found = _painted(CaptionStyle(name="word"), Cue(0, 3000, text, None, timed), at=number, language=language)
        assert found is not None
        pixels = found[0].astype(int)
        columns = np.nonzero((pixels[:, :, 0] - pixels[:, :, 2] > 60).any(axis=0))[0]  # not white, nor black
        places.append((columns.min(), columns.max()))
        alphas.add(pixels[:, :, 3].tobytes())
    ordered = places[::-1] if rtl else places
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ordered)), places
    assert len(alphas) == 1  # the letters do not move


def test_third_cue_at_the_same_time_has_no_room(gray: Path, tmp_path: Path) -> None:
    cues = [Cue(0, 1000, text) for text in ("one", "two", "three")]
    clip = cut_file(gray, Fraction(0), Fraction(2), tmp_path / "clip.mp4", _PROFILE, **_burning(CaptionStyle(), *cues))
    assert [code_of(each) for each in clip.made.warnings] == ["subtitles_dropped"]


def test_styled_captions_are_encoded_instead_of_copied(gray: Path, tmp_path: Path) -> None:
    burning = _burning(CaptionStyle(name="word"), _SPOKEN)
    clip = cut_file(gray, Fraction(0), Fraction(2), tmp_path / "clip.mp4", Profile(render="smart"), **burning)
    assert clip.made.render == "encode"
    assert ["subtitles are drawn into the picture" in each for each in clip.made.warnings] == [True]


@pytest.mark.exhaustive
def test_marked_words_follow_the_parts(gray: Path, tmp_path: Path) -> None:
    parts = [(gray, Fraction(2), Fraction(12, 5)), (gray, Fraction(1, 2), Fraction(6, 5))]
    clip: Clip = cut_parts(parts, tmp_path / "clip.mp4", _PROFILE, **_burning(CaptionStyle(name="word"), _SPOKEN))
    marked = [_marked(chroma) is not None for _, _, chroma in _frames(clip.path)]
    # LAST begins after the frame at 2.00 and is marked on the next two; the frame at 0.52 has FIRST.
    assert marked == [False] + [True] * 2 + [False] * 7 + [False] + [True] * 17
