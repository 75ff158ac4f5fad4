"""Row 96 of the faults: what is drawn in time is drawn over held frames too. Every pixel is read, in time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import FontsMissing
from clipengine.media.clip_builder import Drawing
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.previews.clip_plan import clip_plan
from clipengine.media.video.caption_painter import Font
from clipengine.work.children.fonts import choose_fonts
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut_file, cut_parts, facts_of
from tests.support.ramp import write_ramp

pytestmark = pytest.mark.proof

_READABLE, _HIDDEN = 100, 30  # range of luma in a row of the stripes
_BOX = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}
_Shown = tuple[Fraction, Fraction, Any]  # from, until, and the luma of the box


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """A recording of vertical stripes with a frame every 2 seconds, for 6 seconds."""

    def stripes(levels: Any, plane: int) -> Any:
        return levels if plane else 60 + 120 * (np.arange(levels.shape[1]) // 4 % 2)[None, :] + 0 * levels

    write_ramp(tmp_path / "slides.mp4", 160, 96, seconds=6, fps=Fraction(1, 2), change=stripes)
    return tmp_path / "slides.mp4"


def _profile(options: dict[str, Any], **values: Any) -> Profile:
    chosen = {"audio": "none", "preset": "ultrafast", "crf": 10} | values
    return Profile(**chosen).rendered(None, Output.model_validate(options))


def _shown(clip: Clip, length: Fraction) -> list[_Shown]:
    """Return the frames of a clip, each with the time for which it is shown."""
    found = []
    with av.open(str(clip.path)) as container:
        for frame in container.decode(video=0):
            gray = frame.to_ndarray(format="gray")
            found.append((Fraction(frame.pts or 0) * Fraction(frame.time_base or 1), gray))
    ends = [time for time, _ in found[1:]] + [length]
    return [(time, end, gray) for (time, gray), end in zip(found, ends, strict=True)]


def _contrast(gray: Any) -> Any:
    """Return the range of luma in each row of the box, apart from its edges."""
    box = gray[28:68, 44:116].astype(int)
    return box.max(axis=1) - box.min(axis=1)


def _assert_hidden(clip: Clip, length: Fraction, spans: list[tuple[float, float]], slack: float) -> None:
    """Check that no row of the box is readable in the spans, and all are outside them, with `slack` seconds."""
    hidden = Fraction(0)
    for start, end, gray in _shown(clip, length):
        contrast = _contrast(gray)
        inside = sum(max(0.0, min(float(end), high) - max(float(start), low)) for low, high in spans)
        if inside > 0.001:
            assert contrast.max() < _HIDDEN, (float(start), float(end))
            hidden += end - start
        else:
            assert contrast.min() > _READABLE, (float(start), float(end))
    assert float(hidden) == pytest.approx(sum(high - low for low, high in spans), abs=slack * 2 * len(spans))


@pytest.mark.parametrize(
    ("boxes", "options", "values", "slack"),
    [
        ([(0.7, 1.3)], {}, {}, 0.001),
        ([(0.7, 1.3), (1.3, 1.31), (2.5, 3.995)], {}, {}, 0.021),
        ([(0.5, 1.5)], {"speed": 2}, {}, 0.001),
        ([(0.7, 1.3)], {"fade_seconds": 0.3}, {}, 0.041),
        ([(0.7, 1.3)], {"fps": 2}, {}, 0.001),
        ([(0.703, 1.301)], {"fps": 25}, {}, 0.041),
        ([(0.7, 1.3)], {}, {"container": "webm", "video": "vp9"}, 0.001),
        ([(0.703, 1.301)], {}, {"container": "gif", "fps": 12}, 0.084),
    ],
)
@pytest.mark.typical(1)
def test_boxes_hide_what_is_held_for_their_whole_range(
    boxes: Any, options: dict[str, Any], values: Any, slack: float, slides: Path, tmp_path: Path
) -> None:
    blur = [_BOX | {"from_seconds": low, "to_seconds": high} for low, high in boxes]
    profile = _profile(options | {"blur": blur}, **values)
    clip = cut_file(slides, Fraction(0), Fraction(5), tmp_path / f"clip.{profile.container}", profile)
    length = Fraction(5) / Fraction(options.get("speed", 1))
    if "fade_seconds" in options:  # what fades is dark at its ends
        low, high = boxes[0]
        assert all(
            _contrast(gray).max() < _HIDDEN
            for start, end, gray in _shown(clip, length)
            if start < high - 0.001 and end > low + 0.001
        )
    else:
        merged = [(min(low for low, _ in boxes[:2]), max(high for _, high in boxes[:2])), *boxes[2:]]
        _assert_hidden(clip, length, merged, slack)
    if profile.container != "gif":
        with slides.open("rb") as file:
            plan = clip_plan(
                DescriptorSource(file.fileno()),
                facts_of(slides),
                profile,
                start=Fraction(0),
                end=Fraction(5),
                threads=1,
            )
        assert plan["frames"] == clip.made.frames


def test_boxes_hide_a_picture_that_is_held_into_a_part_without_video(
    slides: Path, shelf: Shelf, tmp_path: Path
) -> None:
    parts = [(slides, Fraction(0), Fraction(1)), (shelf.get("audio_only_m4a").path, Fraction(0), Fraction(2))]
    profile = _profile({"blur": [_BOX | {"from_seconds": 1.5, "to_seconds": 2.25}]}, audio="aac")
    _assert_hidden(cut_parts(parts, tmp_path / "clip.mp4", profile), Fraction(3), [(1.5, 2.25)], 0.001)


def test_boxes_do_not_stay_in_a_picture_that_is_held_into_the_next_part(
    slides: Path, shelf: Shelf, tmp_path: Path
) -> None:
    parts = [(slides, Fraction(0), Fraction(1)), (shelf.get("audio_only_m4a").path, Fraction(0), Fraction(2))]
    profile = _profile({"blur": [_BOX | {"from_seconds": 0.5, "to_seconds": 1.0}]}, audio="aac")
    _assert_hidden(cut_parts(parts, tmp_path / "clip.mp4", profile), Fraction(3), [(0.5, 1.0)], 0.001)


_MOVING = [
    {"at_seconds": 0.7, "x": 0.0, "y": 0.1, "width": 0.25, "height": 0.4},
    {"at_seconds": 1.5, "x": 0.75, "y": 0.1, "width": 0.25, "height": 0.4},
    {"at_seconds": 3.1, "x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5},
]


def _place(time: float) -> tuple[float, ...]:
    """Return the edges of the moving box at a time."""
    times = [each["at_seconds"] for each in _MOVING]
    x, y, width, height = (np.interp(time, times, [each[name] for each in _MOVING]) for name in _BOX)
    return float(x), float(y), float(x + width), float(y + height)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, {}),
        ({"speed": 2}, {}),
        ({"fps": 2}, {}),
        ({"fps": 25}, {}),
        ({}, {"container": "webm", "video": "vp9"}),
        ({}, {"container": "gif", "fps": 12}),
    ],
)
@pytest.mark.typical(1)
def test_moving_box_hides_every_pixel_at_all_times(
    options: dict[str, Any], values: dict[str, Any], slides: Path, tmp_path: Path
) -> None:
    profile = _profile(options | {"blur": [{"box": _MOVING, "to_seconds": 4.5}]}, **values)
    clip = cut_file(slides, Fraction(0), Fraction(5), tmp_path / f"clip.{profile.container}", profile)
    length = Fraction(5) / Fraction(options.get("speed", 1))
    readable = 0
    for start, end, gray in _shown(clip, length):
        levels = gray.astype(int)
        for time in np.linspace(float(start), float(end), 9):
            if time >= min(4.5, length) - 0.001:
                continue
            left, top, right, bottom = _place(time)
            rows, columns = slice(round(top * 96), round(bottom * 96)), slice(round(left * 160), round(right * 160))
            box = levels[rows, columns]
            near = np.lib.stride_tricks.sliding_window_view(box, 8, axis=1)  # a light and a dark stripe
            assert (near.max(axis=2) - near.min(axis=2)).max() < _READABLE / 2, (float(start), float(time))
        left, _, right, bottom = _place(float(start))
        below = levels[min(95, round(bottom * 96) + 4) :, :]
        readable += below.size > 0 and (below.max(axis=1) - below.min(axis=1)).min() > _READABLE
    assert readable  # it is not hidden below the box
    if profile.container != "gif":
        with slides.open("rb") as file:
            source = DescriptorSource(file.fileno())
            facts = facts_of(slides)
            plan = clip_plan(source, facts, profile, start=Fraction(0), end=Fraction(5), threads=1)
        assert plan["frames"] == clip.made.frames


def test_moving_crop_repeats_held_frames(slides: Path, tmp_path: Path) -> None:
    path = [{"at_seconds": 0.5, "x": 0.2, "y": 0.5}, {"at_seconds": 1.5, "x": 0.8, "y": 0.5}]
    clip = cut_file(slides, Fraction(0), Fraction(4), tmp_path / "clip.mp4", _profile({"aspect": "1:2", "focus": path}))
    assert [float(end - start) for start, end, _ in _shown(clip, Fraction(4))] == pytest.approx(
        [0.5, *[0.04] * 25, 0.5, 2.0], abs=0.002
    )


def _captions(*cues: Cue) -> Iterator[tuple[str, Any]]:
    track = TextTrack("en", "eng", cues)
    try:
        chosen = choose_fonts((track,), ()).fonts
    except FontsMissing as error:
        pytest.skip(f"fonts: {error.hint.partition(', or')[0]}")
    fonts = tuple(Font(font.path.read_bytes(), font.index, frozenset(font.characters)) for font in chosen)
    yield from {"burnt": track, "drawing": Drawing(None, fonts)}.items()


@pytest.mark.parametrize("options", [{}, {"fps": 2}, {"fps": 1}, {"speed": 0.5, "fps": 2}])
def test_captions_are_drawn_over_held_frames_exactly_in_their_time(options: dict[str, Any], tmp_path: Path) -> None:
    write_ramp(tmp_path / "slow.mp4", 320, 180, seconds=6, fps=Fraction(2))
    drawn = dict(_captions(Cue(620, 900, "SHORT"), Cue(1100, 2700, "LONG")))
    profile = _profile(options, crf=8)
    clip = cut_file(tmp_path / "slow.mp4", Fraction(0), Fraction(4), tmp_path / "clip.mp4", profile, **drawn)
    speed = Fraction(str(options.get("speed", 1)))
    for start, end, gray in _shown(clip, 4 / speed):
        column = np.abs(gray.astype(int) - gray[2]).max()
        middle = (start + end) / 2 * speed
        expected = Fraction(62, 100) < middle < Fraction(9, 10) or Fraction(11, 10) < middle < Fraction(27, 10)
        assert bool(column > 40) is expected, (float(start), float(end))


@pytest.mark.parametrize(
    ("ranges", "options"),
    [
        (["2.597-4"], {"fade_seconds": 0.1}),
        (["1-4"], {"fade_seconds": 0.1, "speed": 0.5}),
        (["0-1.3", "2.597-4", "5.9-7"], {}),
    ],
)
def test_last_picture_before_longer_audio_is_no_gap(
    ranges: list[str], options: dict[str, Any], shelf: Shelf, tmp_path: Path
) -> None:
    path = shelf.get("still_with_sound").path  # a steady recording until 2 s, with audio until 7 s
    parts = [(path, *map(Fraction, each.split("-"))) for each in ranges]
    clip = cut_parts(parts, tmp_path / "clip.mp4", _profile(options, audio="aac"))
    assert clip.made.warnings == ()
