"""Clips of several parts, read back: every frame and the audio of each part, at the exact sum of the lengths before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clipengine.clips.profiles import Profile
from clipengine.errors import NoMediaInRange
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_parts
from tests.films.judge import judge_part
from tests.films.reader import read_clip
from tests.films.sound import LEVEL

_RANGES = (("21/10", "27/10"), ("1/2", "53/50"), ("3", "157/50"))


def _fractions(start: str, end: str) -> tuple[Fraction, Fraction]:
    return Fraction(start), Fraction(end)


@pytest.mark.parametrize(
    "names",
    [
        ("mp4_25", "mp4_25", "mp4_25"),
        ("mp4_2997", "mp4_25", "mkv_live_h264"),
        ("webm_live_vp8", "ts_bframes", "audio_44100_mono"),
    ],
)
@pytest.mark.parametrize("profile", [Profile(), Profile(container="mkv")])
def test_every_part_is_exact(shelf: Shelf, tmp_path: Path, names: tuple[str, ...], profile: Profile) -> None:
    films = [shelf.get(name) for name in names]
    parts = [(film.path, *_fractions(*span)) for film, span in zip(films, _RANGES, strict=True)]
    clip = cut_parts(parts, tmp_path / f"clip.{profile.container}", profile)
    reading = read_clip(clip.path)
    offset = Fraction(0)
    for film, (_, start, end), made in zip(films, parts, clip.made.parts, strict=True):
        assert judge_part(film, reading, start, end, offset) == []
        offset += made.actual_end - made.actual_start
    assert abs(reading.video_end - offset) <= Fraction(1, 1000)
    for track in reading.tracks:
        assert abs(track.end - offset) <= Fraction(1, 40)


def test_audio_has_no_step_at_a_join(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    parts = [(film.path, *_fractions("1", "3/2")), (film.path, *_fractions("3", "7/2"))]
    (track,) = read_clip(cut_parts(parts, tmp_path / "clip.mp4").path).tracks
    join = Fraction(1, 2)
    quiet = track.between(join - Fraction(1, 4000), join + Fraction(1, 4000))
    loud = track.between(join - Fraction(1, 20), join - Fraction(1, 200))
    assert float(np.abs(quiet).max()) < LEVEL / 2 < float(np.abs(loud).max())


def test_audio_track_that_a_part_lacks_is_silent(shelf: Shelf, tmp_path: Path) -> None:
    with_audio, without = shelf.get("mp4_25"), shelf.get("video_only_mp4")
    parts = [(film.path, Fraction(1), Fraction(2)) for film in (with_audio, without, with_audio)]
    clip = cut_parts(parts, tmp_path / "clip.mp4")
    reading = read_clip(clip.path)
    assert [warning for warning in clip.made.warnings if warning.startswith("audio_track_missing: part 2:")]
    assert float(np.abs(reading.tracks[0].between(Fraction(11, 10), Fraction(19, 10))).max()) < LEVEL / 50
    assert judge_part(with_audio, reading, Fraction(1), Fraction(2), Fraction(2)) == []


def test_later_part_of_another_shape_is_fitted_into_the_first(shelf: Shelf, tmp_path: Path) -> None:
    """The film of the phone is upright: black bars are left and right of it."""
    first, tall = shelf.get("mp4_25"), shelf.get("rotated_90")
    parts = [(film.path, Fraction(1), Fraction(3, 2)) for film in (first, tall)]
    reading = read_clip(cut_parts(parts, tmp_path / "clip.mp4").path)
    assert (reading.width, reading.height) == (first.width, first.height)
    assert reading.sizes == ((first.width, first.height),)


def test_smart_render_of_several_parts_encodes_with_a_warning(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    parts = [(film.path, Fraction(0), Fraction(1)), (film.path, Fraction(2), Fraction(3))]
    made = cut_parts(parts, tmp_path / "clip.mp4", Profile(render="smart")).made
    assert made.render == "encode"
    assert [warning for warning in made.warnings if warning.startswith("encoded_instead:")]


def test_first_part_without_video_in_its_range_is_rejected(shelf: Shelf, tmp_path: Path) -> None:
    late, film = shelf.get("live_video_late"), shelf.get("mp4_25")
    parts = [(late.path, Fraction(0), late.frames[0][0] / 2), (film.path, Fraction(0), Fraction(1))]
    with pytest.raises(NoMediaInRange, match="begin with that one"):
        cut_parts(parts, tmp_path / "clip.mp4")
