"""Clips of several parts, read back: every frame and the audio of each part, at the exact sum of the lengths before."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.errors import NoMediaInRange
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_parts
from tests.films.judge import judge_part
from tests.films.reader import TrackReading, read_clip
from tests.films.sound import LEVEL
from tests.support.loudness import measured_loudness

pytestmark = pytest.mark.proof

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
@pytest.mark.typical(2)
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


@pytest.mark.parametrize("fps", [None, 10])
def test_frame_is_held_over_a_part_without_video(fps: float | None, shelf: Shelf, tmp_path: Path) -> None:
    film, sound = shelf.get("mp4_25"), shelf.get("audio_only_with_cover")
    parts = [(film.path, Fraction(1), Fraction(2)), (sound.path, Fraction(1), Fraction(3))]
    clip = cut_parts(parts, tmp_path / "clip.mp4", Profile(preset="ultrafast", fps=fps))
    assert [each for each in clip.made.warnings if each.startswith("picture_missing: part 2:")]
    reading = read_clip(clip.path)
    assert len(reading.frames) == clip.made.frames == (30 if fps else 26)
    assert abs(reading.video_end - 3) <= Fraction(1, 1000)
    assert abs(reading.tracks[0].end - 3) <= Fraction(1, 40)


@pytest.mark.parametrize("fps", [None, 10])
def test_frame_is_held_until_the_video_of_a_part_begins(fps: float | None, shelf: Shelf, tmp_path: Path) -> None:
    film, late = shelf.get("mp4_25"), shelf.get("live_video_late")
    first = late.frames[0][0]
    parts = [(film.path, Fraction(1), Fraction(2)), (late.path, Fraction(0), first + Fraction(1, 2))]
    clip = cut_parts(parts, tmp_path / "clip.mp4", Profile(preset="ultrafast", fps=fps))
    assert [each for each in clip.made.warnings if each.startswith("picture_missing: part 2: it has no video for")]
    times = [time for time, _ in read_clip(clip.path).frames]
    assert min(abs(time - 1 - first) for time in times) <= Fraction(1, 20 if fps else 1000)
    between = [time for time in times if 1 - Fraction(1, 1000) <= time < 1 + first - Fraction(1, 1000)]
    assert len(between) == (1 if fps is None else math.ceil(first * 10))


def test_options_of_a_part_without_video_have_an_effect_on_the_held_frame(shelf: Shelf, tmp_path: Path) -> None:
    film, sound = shelf.get("mp4_25"), shelf.get("audio_only_with_cover")
    parts = [(film.path, Fraction(1), Fraction(2)), (sound.path, Fraction(1), Fraction(3))]
    output = Output.model_validate({"blur": [{"x": 0, "y": 0, "width": 0.5, "height": 0.5}]})
    clip = cut_parts(parts, tmp_path / "clip.mp4", Profile(preset="ultrafast").rendered(None, output))
    assert not [each for each in clip.made.warnings if each.startswith("output_ignored")]
    clip = cut_parts(parts[1:], tmp_path / "clip.mp4", Profile(preset="ultrafast").rendered(None, output))
    assert [each for each in clip.made.warnings if each.startswith("output_ignored: the recording has no video: blur")]


def test_rate_goes_on_over_the_seams_of_parts(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    spans = [("1", "133/100"), ("3", "346/100"), ("4", "405/100"), ("2", "52/25")]
    parts = [(film.path, *_fractions(*span)) for span in spans]
    clip = cut_parts(parts, tmp_path / "clip.mp4", Profile(fps=10))
    reading = read_clip(clip.path)
    assert [time for time, _ in reading.frames] == [Fraction(number, 10) for number in range(10)]
    assert abs(reading.video_end - Fraction(92, 100)) <= Fraction(1, 1000)
    found = [seen.number or 0 for _, seen in reading.frames]
    seconds = [1.0, 1.1, 1.2, 1.3, 3.07, 3.17, 3.27, 3.37, 4.01, 2.06]  # of the recording, at the points in time
    assert all(abs(a - 25 * b) <= 1 for a, b in zip(found, seconds, strict=True))


def test_held_frame_fades_out_at_the_end_of_the_clip(shelf: Shelf, tmp_path: Path) -> None:
    film, sound = shelf.get("mp4_25"), shelf.get("audio_only_with_cover")
    parts = [(film.path, Fraction(1), Fraction(2)), (sound.path, Fraction(1), Fraction(3))]
    profile = Profile(preset="ultrafast").rendered(None, Output.model_validate({"fade_seconds": 0.5}))
    clip = cut_parts(parts, tmp_path / "clip.mp4", profile)
    with av.open(clip.path) as container:
        frames = {float(frame.time or 0): frame.to_ndarray(format="gray") for frame in container.decode(video=0)}
    last = max(frames)
    assert last >= 2.9
    assert frames[last].mean() < frames[min(time for time in frames if time >= 1.0)].mean() / 2


def test_video_after_a_first_part_without_video_is_named(shelf: Shelf, tmp_path: Path) -> None:
    film, sound = shelf.get("mp4_25"), shelf.get("audio_only_with_cover")
    parts = [(sound.path, Fraction(1), Fraction(2)), (film.path, Fraction(1), Fraction(2))]
    made = cut_parts(parts, tmp_path / "clip.mp4", Profile(preset="ultrafast")).made
    assert [each for each in made.warnings if each.startswith("stream_dropped: part 2: video stream")]
    assert made.frames == 0


def test_loudness_is_measured_over_parts_without_audio(shelf: Shelf, tmp_path: Path) -> None:
    film, silent = shelf.get("mp4_25"), shelf.get("video_only_mp4")
    profile = Profile(preset="ultrafast").rendered(None, Output.model_validate({"loudness_lufs": -16.0}))
    for order in ((film, silent), (film, silent, film), (silent, film)):
        parts = [(each.path, Fraction(1), Fraction(2)) for each in order]
        clip = cut_parts(parts, tmp_path / "clip.mp4", profile)
        assert clip.made.frames == 25 * len(order)


def test_first_part_without_video_in_its_range_is_rejected(shelf: Shelf, tmp_path: Path) -> None:
    late, film = shelf.get("live_video_late"), shelf.get("mp4_25")
    parts = [(late.path, Fraction(0), late.frames[0][0] / 2), (film.path, Fraction(0), Fraction(1))]
    with pytest.raises(NoMediaInRange, match="begin with that one"):
        cut_parts(parts, tmp_path / "clip.mp4")


def test_fades_are_at_the_ends_of_the_clip_only(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    parts = [(film.path, Fraction(start), Fraction(start) + 1) for start in (1, 4)]
    profile = Profile().rendered(None, Output.model_validate({"fade_seconds": 0.4}))
    (track,) = read_clip(cut_parts(parts, tmp_path / "clip.mp4", profile).path).tracks
    plain = read_clip(cut_parts(parts, tmp_path / "plain.mp4").path).tracks[0]
    for place, expected in (("1/10", 0.25), ("2/5", 1.0), ("9/10", 1.0), ("21/20", 1.0), ("19/10", 0.25)):
        assert _level(track, Fraction(place)) / _level(plain, Fraction(place)) == pytest.approx(expected, abs=0.12)


def test_muted_range_crosses_a_join(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    parts = [(film.path, Fraction(start), Fraction(start) + 1) for start in (1, 4)]
    profile = Profile().rendered(None, Output.model_validate({"mute": [[0.8, 1.3]]}))
    (track,) = read_clip(cut_parts(parts, tmp_path / "clip.mp4", profile).path).tracks
    assert _level(track, Fraction(7, 10)) > LEVEL / 3
    assert max(_level(track, Fraction(tenths, 10)) for tenths in (9, 10, 11, 12)) < LEVEL / 50
    assert _level(track, Fraction(14, 10)) > LEVEL / 3


def test_loudness_is_that_of_all_parts_together(shelf: Shelf, tmp_path: Path) -> None:
    films = [shelf.get(name) for name in ("mp4_25", "audio_44100_mono")]
    parts = [(film.path, Fraction(1), Fraction(3)) for film in films]
    profile = Profile().rendered(None, Output.model_validate({"loudness_lufs": -27.0}))
    clip = cut_parts(parts, tmp_path / "clip.mp4", profile)
    assert measured_loudness(clip.path, 0)[0] == pytest.approx(-27, abs=0.5)


def test_speed_applies_to_every_part(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    parts = [(film.path, Fraction(start), Fraction(start) + 1) for start in (1, 4)]
    profile = Profile().rendered(None, Output.model_validate({"speed": 2}))
    reading = read_clip(cut_parts(parts, tmp_path / "clip.mp4", profile).path)
    times = [time for time, _ in reading.frames]
    assert len(times) == 50
    assert max(abs(time - Fraction(number, 50)) for number, time in enumerate(times)) <= Fraction(1, 1000)
    assert abs(reading.video_end - 1) <= Fraction(1, 1000)


def _level(track: TrackReading, middle: Fraction) -> float:
    heard = track.between(middle - Fraction(1, 50), middle + Fraction(1, 50))
    return float(np.sqrt(np.mean(heard**2)))
