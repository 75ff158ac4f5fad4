"""Clips of which ranges are removed, read back: frames and audio of all that is left, in sync after every seam."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.removed import Removed, Span
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.media.audio.removed_samples import RemovedSamples
from clipengine.media.audio.samples import silent_frame
from clipengine.media.input.decoding.events import BeginEvent, Event, VideoFrameEvent
from clipengine.media.video.removed_frames import without_removed
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut_file, cut_parts
from tests.films.film import Film
from tests.films.reader import ClipReading, read_clip
from tests.films.sound import LEVEL, locate
from tests.media.test_chapters import shown, with_chapters
from tests.support.loudness import measured_loudness

pytestmark = pytest.mark.proof

F = Fraction
START, END = F("0.3"), F("5.3")
FAST = Profile(preset="ultrafast")


def _whole(film: Film, *starts: tuple[str, int]) -> Removed:
    """Return ranges of whole frames, each from a time on."""
    assert film.frame_seconds is not None
    return Removed(tuple((F(start), F(start) + frames * film.frame_seconds) for start, frames in starts))


def _kept(removed: Removed, start: Fraction, end: Fraction) -> Iterator[Span]:
    edges = [start, *(edge for span in removed.spans for edge in span), end]
    yield from zip(edges[::2], edges[1::2], strict=True)


def _check_sound(film: Film, reading: ClipReading, clip: Clip, removed: Removed, *, end: Fraction = END) -> int:
    """Assert that the audio of each stretch that is left is at its place, and return how many were heard."""
    heard, start = 0, clip.made.actual_start
    for sound, track in zip(film.sounds, reading.tracks, strict=True):
        for low, high in _kept(removed, start, end):
            for at, until in sound.spans(low + F(1, 50), high - F(1, 50)):
                if until - at >= F(1, 20):
                    place = removed.place(at) - start
                    piece = track.between(place, place + min(until - at, F(1, 5)))
                    found = locate(piece, track.rate, float(at + sound.lead(at)), seed=sound.seed)
                    assert abs(found.offset) < 0.003, (float(at), found)
                    heard += 1
        assert abs(track.end - (clip.made.actual_end - start)) <= F(1, 40)
    return heard


@pytest.mark.parametrize("name", ["mp4_25", "mp4_2997", "ts_bframes", "mkv_live_h264"])
@pytest.mark.typical(2)
def test_frames_and_audio_of_all_that_is_left_are_exact(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film = shelf.get(name)
    end = min(END, film.duration - F("0.2"))
    removed = _whole(film, ("0.613", 7), ("1.5", 20), ("2.499", 1), ("3.04", 13))
    clip = cut_file(film.path, START, end, tmp_path / "clip.mp4", FAST, removed=removed)
    reading, origin = read_clip(clip.path), clip.made.actual_start
    assert clip.made.actual_end == end - removed.seconds
    assert film.frame_seconds is not None
    own = [(time, number) for time, number in film.frames if origin - film.grid / 2 <= time < end - film.grid / 2]
    assert len(reading.frames) == len(own) - 41
    steps = [later - time for (time, _), (later, _) in pairwise(reading.frames)]
    assert max(abs(step - film.frame_seconds) for step in steps) <= F(2, 1000)
    for time, seen in reading.frames:
        near = [number for each, number in own if abs(removed.place(each) - origin - time) < film.frame_seconds]
        assert seen.number in near
    assert _check_sound(film, reading, clip, removed, end=end) >= 4


def test_sync_is_kept_after_hundreds_of_seams(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_2997")
    assert film.frame_seconds is not None
    length = 5 * film.frame_seconds
    starts = [F(4, 10) + number * (length + F("0.0501")) for number in range(200)]
    removed = Removed(tuple((start, start + length) for start in starts if start + length < film.duration - F("0.6")))
    end = film.duration - F("0.1")
    clip = cut_file(film.path, START, end, tmp_path / "clip.mp4", FAST, removed=removed)
    reading = read_clip(clip.path)
    assert len(removed.spans) >= 15
    (track,) = reading.tracks
    last = removed.spans[-1][1] + F(1, 50)
    place = removed.place(last) - clip.made.actual_start
    sound = film.sounds[0]
    found = locate(track.between(place, place + F(1, 5)), track.rate, float(last + sound.lead(last)), seed=sound.seed)
    assert abs(found.offset) < 0.0005
    time, seen = reading.frames[-3]
    shown_at = next(each for each, number in film.frames if number == seen.number)
    assert abs(removed.place(shown_at) - clip.made.actual_start - time) <= film.frame_seconds


@pytest.mark.exhaustive
def test_frame_on_screen_is_held_from_the_seam_on(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_vfr_still")  # a still frame from 1.96 to 22
    removed = Removed(((F("1.5"), F("12")), (F("20"), F("22.2"))))
    clip = cut_file(film.path, START, F(23), tmp_path / "clip.mp4", FAST, removed=removed)
    reading, origin = read_clip(clip.path), clip.made.actual_start
    times = {round(float(time + origin), 3): seen.number for time, seen in reading.frames}
    assert times[1.5] == film.on_screen(F(12))  # the still frame
    assert times[9.5] == film.on_screen(F("22.2"))
    assert not [time for time in times if 1.5 < time < 9.5 - 0.02]
    assert abs(reading.video_end - (23 - origin - removed.seconds)) <= F(1, 1000)
    assert _check_sound(film, reading, clip, removed, end=F(23)) >= 3


def _moved(frames: list[Fraction], removed: Removed, end: Fraction = F(10)) -> list[float]:
    events: Iterator[Event] = iter(
        [BeginEvent(F(0), None), *(VideoFrameEvent(time, None) for time in frames)]  # type: ignore[arg-type]
    )
    cut = CutRange(F(0), end, F(1, 25), F(1, 1000))
    return [float(each.time) for each in without_removed(events, removed, cut) if isinstance(each, VideoFrameEvent)]


@pytest.mark.parametrize("shift", range(-3, 4))
@pytest.mark.parametrize("phase", range(0, 40, 5))
def test_rounded_frames_stay_a_frame_apart_at_any_place_of_a_seam(shift: int, phase: int) -> None:
    frames = [F(40 * number + (number * 7 % 3 - 1) * (number > 0), 1000) for number in range(250)]
    start = F(1000 + phase, 1000) + F(shift, 2000)
    removed = Removed(((start, start + F(10, 25)), (start + 3, start + 3 + F(1, 25))))
    moved = _moved(frames, removed)
    assert len(moved) == 250 - 11
    assert all(0.036 < later - time < 0.044 for time, later in pairwise(moved))


def test_every_frame_of_a_still_is_removed_or_held() -> None:
    removed = Removed(((F(2), F(4)),))
    assert _moved([F(0), F(1), F(3), F(6)], removed) == [0, 1, 2, 4]  # 3 is on screen at the seam
    assert _moved([F(0), F(1), F(6)], removed) == [0, 1, 4]  # 1 is, before and after it
    assert _moved([F(0), F(1), F(3)], removed) == [0, 1, 2]
    assert _moved([F(0), F("1.99"), F("3.99"), F("4.5")], removed) == [0, 1.99, 2.01, 2.5]
    assert _moved([F(0), F(3)], Removed(((F(2), F(10)),))) == [0]


@pytest.mark.exhaustive
def test_samples_at_seams_do_not_drift() -> None:
    rate = 44_100
    spans = [(F(number, 10) + F(1, 30), F(number, 10) + F(1, 30) + F(1001, 30_000)) for number in range(1, 900)]
    removed = Removed(tuple(spans))
    track = RemovedSamples(removed, F(0), rate)
    made = 0
    for _ in range(100 * rate // 1024):
        for frame in track.apply(silent_frame("fltp", "mono", rate, 1024)):
            assert frame.pts == made
            made += frame.samples
    assert abs(made + removed.seconds * rate - 100 * rate // 1024 * 1024) <= 1


def test_audio_has_no_step_at_a_seam(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    removed = _whole(film, ("1.5", 25))
    clip = cut_file(film.path, F(1), F(4), tmp_path / "clip.mp4", FAST, removed=removed)
    (track,) = read_clip(clip.path).tracks
    seam = F("1.5") - clip.made.actual_start
    quiet = track.between(seam - F(1, 4000), seam + F(1, 4000))
    loud = track.between(seam - F(1, 20), seam - F(1, 200))
    assert np.sqrt(np.mean(quiet**2)) < 0.2 * LEVEL < np.sqrt(np.mean(loud**2))


@pytest.mark.parametrize(
    ("profile", "seconds", "frames"),
    [
        (Profile(preset="ultrafast", output=Output(speed=2)), 1.5, 75),
        (Profile(preset="ultrafast", output=Output(speed=0.5)), 6, 75),
        (Profile(preset="ultrafast", output=Output(fade_seconds=1)), 3, 75),
        (Profile(preset="ultrafast", fps=10), 3, 30),
        (Profile(container="webm", video="vp9", audio="opus", preset="ultrafast"), 3, 75),
        (Profile(container="mkv", render="smart"), 3, 75),
        (Profile(container="m4a", video="none"), 3, 0),
        (Profile(container="gif", audio="none", fps=10), 3, 30),
    ],
    ids=["fast", "slow", "fades", "fps", "webm", "smart", "m4a", "gif"],
)
@pytest.mark.typical(2)
def test_options_apply_to_what_is_left(
    shelf: Shelf, tmp_path: Path, profile: Profile, seconds: float, frames: int
) -> None:
    film = shelf.get("mp4_25")
    removed = _whole(film, ("1.5", 25), ("3.1", 10), ("3.6", 15))
    clip = cut_file(film.path, F(1), F(6), tmp_path / f"clip.{profile.container}", profile, removed=removed)
    assert clip.made.frames == frames
    reading = read_clip(clip.path)
    ends = [track.end for track in reading.tracks] + ([reading.video_end] if frames else [])
    assert all(abs(end - F(seconds)) <= F(1, 20) for end in ends)
    assert clip.made.copied_seconds == 0
    reasons = [text for text in clip.made.warnings if text.startswith("encoded_instead")]
    assert len(reasons) == (profile.render == "smart")
    if profile.output.fade_seconds:
        (track,) = reading.tracks
        levels = [np.sqrt(np.mean(track.between(at, at + F(1, 5)) ** 2)) for at in (F(0), F("1.1"), F("2.75"))]
        assert levels[0] < 0.4 * levels[1] > levels[2]


def test_loudness_is_that_of_what_is_left(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    profile = Profile(preset="ultrafast", output=Output(loudness_lufs=-20))
    removed = _whole(film, ("1.5", 25))
    clip = cut_file(film.path, F(1), F(6), tmp_path / "clip.mp4", profile, removed=removed)
    assert abs(measured_loudness(clip.path, 0)[0] + 20) < 0.3


def test_texts_and_chapters_stay_with_what_is_said(shelf: Shelf, tmp_path: Path) -> None:
    chapters = [(0, 1500, "one"), (1500, 2400, "removed"), (2400, 9000, "two")]
    film = with_chapters(shelf.get("mp4_25").path, tmp_path / "recording.mkv", chapters)
    removed = Removed(((F("1.4"), F("2.4")), (F(4), F("4.4"))))
    track = removed.from_tracks([TextTrack("en", "eng", (Cue(1200, 2600, "a"), Cue(3000, 4200, "b")))])
    clip = cut_file(film, F(1), F(5), tmp_path / "clip.mp4", FAST, removed=removed, texts=track)
    seam, end = (round(float(F(time) - clip.made.actual_start), 3) for time in ("1.4", "3.6"))
    assert shown(clip.path) == [(0.0, seam, "one"), (seam, end, "two")]  # the file has the cues of its plan


def test_parts_lose_their_own_ranges(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_25")
    removed = _whole(film, ("1.5", 10))
    parts = [(film.path, F(1), F(2)), (film.path, F("1.2"), F("2.2"))]
    clip = cut_parts(parts, tmp_path / "clip.mp4", FAST, removed=removed)
    reading = read_clip(clip.path)
    numbers = [seen.number for _, seen in reading.frames]
    assert len(numbers) == 30
    assert numbers[:15] == [
        number for number in range(numbers[0], numbers[0] + 25) if not 12 < number - numbers[0] <= 22
    ]
    assert [part.seconds for part in clip.made.parts] == [F("0.6"), F("0.6")]
