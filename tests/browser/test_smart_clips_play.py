"""Clips of smart render and in segments, in a real browser: random seeks paint the right frames, also across seams."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.media.output import segmented_video
from tests.films.catalogue import Shelf
from tests.films.cutting import SMART, SMART_PROFILES, Clip, cut, cut_file
from tests.films.film import Film
from tests.films.judge import expectations
from tests.support import mutated
from tests.support.mutations import END, MUTATIONS, START
from tests.support.player import Stage

pytestmark = pytest.mark.exhaustive

# Film, start, end. Each begins before a keyframe, so that it has encoded and copied frames.
CUTS = {
    "mp4_25": (1.407, 5.3),
    "mp4_2997": (1.507, 5.9),
    "mp4_bframes": (1.107, 5.02),
    "mp4_gop_10s": (8.507, 13.0),
    "mp4_open_gop": (0.0, 3.3),
    "mp4_vfr_jitter": (1.407, 5.5),
    "rotated_90": (1.007, 3.55),
    "ts_bframes": (1.107, 5.02),
    "webm_live_vp8_keyframes": (1.007, 5.2),
    "webm_vp9": (1.107, 5.02),
}
PROFILES = {
    "webm_live_vp8_keyframes": SMART_PROFILES["libvpx"],
    "webm_vp9": SMART_PROFILES["libvpx-vp9"],
}
_SEEKS = 24


@pytest.mark.parametrize("name", CUTS)
def test_random_seeks_paint_the_right_frames(name: str, stage: Stage, shelf: Shelf) -> None:
    film = shelf.get(name)
    start, end = (Fraction(str(each)) for each in CUTS[name])
    profile = PROFILES.get(name, SMART)
    clip = cut(film, start, end, stage.folder / f"clip.{profile.container}", profile)
    assert clip.made.render == "smart", clip.made.warnings
    # The frames around the first seam and at the end, then any.
    head = sum(
        begun < Fraction(str(clip.made.encoded_seconds)) for begun, _ in expectations(film, start, end)[0].frames
    )
    _seek(stage, film, clip, (start, end), [max(0, head - 1), head, head + 1, 0, -1])


@pytest.mark.parametrize("name", ["mp4_25", "mp4_vfr_jitter"])
def test_random_seeks_in_segments_paint_the_right_frames(
    name: str, stage: Stage, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmented_video, "_MOST_FRAMES", 7)
    monkeypatch.setattr(segmented_video, "_FEWEST_FRAMES", 2)
    film = shelf.get(name)
    start, end = Fraction("1.007"), Fraction("5.02")
    clip = cut_file(film.path, start, end, stage.folder / "clip.mp4", threads=16)
    _seek(stage, film, clip, (start, end), [0, 6, 7, 8, 13, 14, -1])


def _scaled(number: int, data: bytes) -> bytes:
    """Let the keyframe of a middle GOP of VP8 ask for scaling, which is not copied."""
    return data[:7] + bytes([data[7] | 0x40]) + data[8:] if number == 3 * mutated.GOP else data


@pytest.mark.parametrize(
    ("codec", "params", "change", "profile"),
    [
        ("libx264", mutated.X264, mutated.reconnected("libx264", mutated.X264, at=[3]), SMART),
        ("libx264", mutated.X264_REORDERED, mutated.reconnected("libx264", mutated.X264_REORDERED, at=[3]), SMART),
        ("libvpx", "", _scaled, SMART_PROFILES["libvpx"]),
    ],
    ids=["h264", "reordered", "vp8"],
)
def test_frames_around_a_gop_that_was_encoded_are_painted(
    stage: Stage, tmp_path: Path, codec: str, params: str, change: mutated.Change, profile: Profile
) -> None:
    path = mutated.write(mutated.encoded(codec, params), tmp_path / "film.mkv", change)
    clip = cut_file(path, START, END, stage.folder / f"clip.{profile.container}", profile)
    assert any("s to 3.48 s, it was encoded" in each for each in clip.made.warnings), clip.made.warnings
    with av.open(str(clip.path)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    stage.player.load(clip.path.name)
    last = len(frames) - 1
    for place in (0, 11, 12, 13, 36, 37, 60, 61, 62, 63, 74, 85, 86, 87, 88, 111, 112, last - 1, last):
        pixels = stage.player.paint((place + 0.5) / mutated.FPS).pixels
        differences = [float(np.abs(frame - pixels).mean()) for frame in frames]
        others = min(differences[:place] + differences[place + 1 :])
        assert differences[place] < others / 2, (place, differences[place], others)
    assert stage.player.play(2.2, seconds=1.6) >= 3.8


# The first frames, those around keyframes, and the last ones.
_PLACES = (0, 11, 12, 13, 36, 37, 38, 61, 62, 63, 71, 86, 87, 88, 112, 148, 149)
_MAX_NOISE = 5.0  # of encoded frames; the next frame differs by more


@pytest.mark.parametrize("name", [name for name, each in MUTATIONS.items() if each.codec != "libx265"])
def test_clip_of_a_changed_recording_shows_what_the_browser_shows_of_the_recording(stage: Stage, name: str) -> None:
    """Also where frames are missing or damaged, up to the one at which the browser gives up."""
    clip = MUTATIONS[name].cut(stage.folder)
    if clip.made.render == "encode":
        return
    first = round(clip.made.encoded_seconds * mutated.FPS)
    film, shown = _painted(stage, "film.mkv", START), _painted(stage, clip.path.name, Fraction(0))
    assert shown.keys() == film.keys()
    differences = {place: float(np.abs(film[place] - shown[place]).mean()) for place in film}
    assert max(differences) > first
    assert {place for place, each in differences.items() if each > (_MAX_NOISE if place < first else 0)} == set()


def _painted(stage: Stage, name: str, start: Fraction) -> dict[int, Any]:
    """Return the pixels of the places from `start` of a file on, up to one that the browser cannot decode."""
    stage.player.load(name)
    painted = {}
    for place in _PLACES:
        try:
            pixels = stage.player.paint(float(start) + (place + 0.5) / mutated.FPS).pixels
        except Exception as error:
            if "PIPELINE_ERROR_DECODE" not in str(error):
                raise
            break
        painted[place] = pixels.astype(int)
    return painted


def _seek(stage: Stage, film: Film, clip: Clip, span: tuple[Fraction, Fraction], places: list[int]) -> None:
    """Seek to frames of the clip, then to any, and play its beginning and its end."""
    player, random = stage.player, Random(clip.path.name + film.path.name)
    frames = expectations(film, *span)[0].frames
    loaded = player.load(clip.path.name)
    assert (loaded.width, loaded.height) == (film.width, film.height)
    for place in [*places, *(random.randrange(len(frames)) for _ in range(_SEEKS))]:
        place %= len(frames)
        begun, number = frames[place]
        ends = frames[place + 1][0] if place + 1 < len(frames) else clip.made.actual_end - clip.made.actual_start
        time = float(begun + (ends - begun) * Fraction(random.randrange(30, 70), 100))
        painted = player.paint(time, float(begun))
        assert painted.seen.number == number, f"at {time}: {painted.seen.number}, must be {number}"
        assert painted.seen.upright
    assert player.play(0.0, seconds=1.0) >= 1.0
    assert abs(player.play_to_end() - loaded.duration) < 0.1
