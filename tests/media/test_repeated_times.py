"""Frames and sound whose timestamps go back are left out with a warning, in pieces and in a file."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.clip import ClipResult
from clipengine.clips.options.profiles import Render
from clipengine.media.input.timing.repeated_times import RepeatedTimes
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import ClipReading, read_clip
from tests.support.playlists import edited, restarting, ts_playlist
from tests.support.stored import store_kind, stored

__all__ = ["store_kind"]  # a fixture

F = Fraction
RENDERS = ["encode", pytest.param("smart", marks=pytest.mark.exhaustive)]

pytestmark = pytest.mark.usefixtures("store_kind")


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return ts_playlist(tmp_path_factory.mktemp("ts") / "index.m3u8")


def cut(path: Path, start: str, end: str, render: Render) -> tuple[ClipResult, ClipReading]:
    """Cut the range, and check that no frame follows another one at once."""
    output = path.with_name("clip.mp4")
    clip = LocalClip([(F(start), F(end))], render=render)
    made = cut_once(*stored(path), output, clip, on_progress=lambda done: None)
    reading = read_clip(output)
    assert min(after - before for (before, _), (after, _) in pairwise(reading.frames)) > F(1, 100)
    return made, reading


def check_exact(film: Film, start: str, end: str, render: Render) -> ClipResult:
    made, reading = cut(film.path, start, end, render)
    copied = render == "smart"
    begins, ends = made.actual_start_seconds, made.actual_end_seconds
    faults = judge(film, reading, F(start), F(end), begins, ends, copied=copied)
    assert not faults, "\n".join(faults)
    return made


def codes(made: ClipResult) -> list[str]:
    """Return the codes of the warnings, but for those of GOPs that smart render does not copy."""
    return [code for code in (text.partition(":")[0] for text in made.warnings) if code != "encoded_instead"]


def segments(text: str) -> list[str]:
    """Return the head of a playlist, and its segments; the last one has the end of the playlist."""
    return re.split(r"(?=#EXTINF)", text)


def twice(text: str) -> str:
    parts = segments(text)
    return "".join([*parts[:4], parts[3], *parts[4:]])


def swapped(text: str) -> str:
    parts = segments(text)
    return "".join([*parts[:3], parts[4], parts[3], *parts[5:]])


@pytest.mark.parametrize("render", RENDERS)
def test_segment_that_is_listed_twice_is_shown_once(ts: Film, render: Render) -> None:
    made = check_exact(edited(ts, "twice.m3u8", twice), "3.1", "9.9", render)
    assert codes(made) == ["timestamps_repeated", "timestamps_repeated"]
    assert made.warnings[0].endswith(" s of the recording: 50 frames left out")
    assert re.search(r"audio track 0: timestamps go back, (1.9|2.0)\d\d s left out", made.warnings[1])
    assert made.copied_seconds > 4 or render == "encode"


@pytest.mark.parametrize("render", RENDERS)
def test_swapped_segments_leave_a_gap(ts: Film, render: Render) -> None:
    made, reading = cut(edited(ts, "swapped.m3u8", swapped).path, "3.1", "11.1", render)
    shown = [seen.number for _, seen in reading.frames]
    assert shown == [*range(shown[0] or 0, 100), *range(150, 278)]
    assert sorted(codes(made)) == ["audio_gap_filled", "timestamps_repeated", "timestamps_repeated", "video_gap"]
    silence = next(text for text in made.warnings if text.startswith("audio_gap_filled"))
    assert re.search(r" (1.9|2.0)\d\d s of gaps", silence)


@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("overlap", [F(12, 25), pytest.param(F(24, 25), marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_encoder_that_begins_again_with_an_earlier_time_repeats_nothing(
    overlap: Fraction, render: Render, tmp_path: Path
) -> None:
    film = restarting(tmp_path / "index.m3u8", (6, 6), overlap=overlap)
    made = check_exact(film, "3.1", "9.1", render)
    assert codes(made) == ["timestamps_repeated", "timestamps_repeated"]
    assert any(f": {25 * overlap} frames left out" in text for text in made.warnings)
    assert made.copied_seconds > 2 or render == "encode"


@pytest.mark.exhaustive
def test_file_whose_timestamps_go_back_is_the_same(tmp_path: Path) -> None:
    film = restarting(tmp_path / "index.m3u8", (6, 6), overlap=F(12, 25))
    names = re.findall(r"^\S+\.ts$", film.path.read_text(), re.MULTILINE)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / name).read_bytes() for name in names))
    made = check_exact(replace(film, path=joined), "3.1", "9.1", "encode")
    assert codes(made)[-2:] == ["timestamps_repeated", "timestamps_repeated"]  # after that of joined counters


def test_frames_in_another_order_than_their_times_are_kept() -> None:
    times = RepeatedTimes(F(1, 25))
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 9]
    assert not any(times.add(F(number, 25), F(place - 2, 25)) for place, number in enumerate(order))
    displayed = RepeatedTimes(F(1, 25))
    assert not any(displayed.add(F(number, 25), F(number, 25)) for number in (0, 2, 1, 3, 3, 5, 4))
