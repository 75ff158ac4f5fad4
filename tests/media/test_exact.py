"""Every film, cut in every way, is read back and must be exact: the promise of "What a clip holds"."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.settings import Settings
from tests.films.catalogue import FILMS, Shelf
from tests.films.cuts import Cut, cuts_of, ranges
from tests.films.cutting import Clip, cut, facts_of
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.selection import FEW_FILMS, cases

pytestmark = pytest.mark.proof

# A long search, by hand: CLIPENGINE_TEST_RANGES=200 pytest -k any_range, with other ranges on each run.
_RANGES_PER_FILM = int(os.environ.get("CLIPENGINE_TEST_RANGES", "4"))


def faults_of_clip(film: Film, wanted: Cut, clip: Clip) -> list[str]:
    """Return everything that is not exact in the clip of this range."""
    reading = read_clip(clip.path)
    faults = judge(film, reading, wanted.start, wanted.end, float(clip.made.actual_start), float(clip.made.actual_end))
    if clip.made.frames != len(reading.frames):
        faults.append(f"the result says {clip.made.frames} frames, the clip has {len(reading.frames)}")
    if (clip.made.width or 0, clip.made.height or 0) != (reading.width, reading.height):
        faults.append(f"the result says {clip.made.width}x{clip.made.height}")
    return [f"{wanted}: {fault}" for fault in faults]


def _faults(film: Film, wanted: Cut, output: Path) -> list[str]:
    return faults_of_clip(film, wanted, cut(film, wanted.start, wanted.end, output))


@pytest.mark.parametrize("name", cases(FILMS))
def test_named_cuts_are_exact(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film = shelf.get(name)
    faults = [fault for wanted in cuts_of(film) for fault in _faults(film, wanted, tmp_path / "clip.mp4")]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", cases(FILMS, FEW_FILMS))
@settings(
    max_examples=_RANGES_PER_FILM,
    deadline=None,
    derandomize="CLIPENGINE_TEST_RANGES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.typical(2)
def test_any_range_is_exact(shelf: Shelf, tmp_path: Path, name: str, data: st.DataObject) -> None:
    film = shelf.get(name)
    wanted = data.draw(ranges(film))
    assert _faults(film, wanted, tmp_path / "clip.mp4") == []


@pytest.mark.parametrize("name", cases(FILMS))
def test_probe_reports_the_facts_of_the_film(shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    facts = facts_of(film.path)
    # Where the rate varies, MP4 does not say how long the last frame stands: distances are in the order of decoding.
    varied = any(abs(b - a - (film.frame_seconds or 0)) > film.grid for (a, _), (b, _) in pairwise(film.frames))
    slack = Fraction(2, 1000) + (film.frame_seconds / 2 if varied and film.frame_seconds else 0)
    assert abs(facts.duration - film.duration) <= slack, (float(facts.duration), float(film.duration))
    assert [(a.sample_rate, a.channels) for a in facts.audio] == [(s.rate, s.channels) for s in film.sounds]
    assert (facts.video is not None) == bool(film.frames)
    if facts.video is not None and film.frame_seconds is not None:
        assert abs(facts.video.frame_seconds / film.frame_seconds - 1) < Fraction(1, 10)


def test_only_a_changed_end_is_reported_as_clamped(shelf: Shelf, tmp_path: Path) -> None:
    """Who asks for all of a recording has its duration rounded, up as often as down."""
    film = shelf.get("mp4_2997")
    duration = facts_of(film.path).duration
    rounded = Fraction(math.ceil(duration * 1000), 1000)
    for end, clamped in ((rounded, False), (duration + Fraction(1, 2), True)):
        made = cut(film, duration - 1, end, tmp_path / "clip.mp4").made
        assert made.actual_end == duration
        assert any("clamped" in warning for warning in made.warnings) is clamped


@pytest.mark.parametrize("name", ["mp4_bframes", "webm_live_vp8", "ts_jumps_back", "audio_only_mp3"])
@pytest.mark.typical(1)
def test_cut_in_a_child_process_is_identical(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film = shelf.get(name)
    start, end, output = Fraction(2017, 1000), Fraction(3203, 1000), tmp_path / "clip.mp4"
    result = cut_once(
        Settings(),
        str(film.path),
        output,
        LocalClip([(start, end)]),
        on_progress=lambda part: None,
    )
    reading = read_clip(output)
    assert judge(film, reading, start, end, result.actual_start_seconds, result.actual_end_seconds) == []
    assert (result.frames, result.size_bytes) == (len(reading.frames), output.stat().st_size)
