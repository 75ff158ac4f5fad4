"""Every film, cut in every way, is read back and must be exact: the promise of "What a clip holds"."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.settings.settings import Settings
from tests.films.catalogue import FILMS, Shelf
from tests.films.cuts import Cut, cuts_of, other_cuts
from tests.films.cutting import Clip, cut, facts_of
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.selection import cases

pytestmark = pytest.mark.proof

# A long search, by hand: CLIPENGINE_TEST_RANGES=200 pytest -k every_film_is_cut, with other ranges on each run.
_OTHER_RANGES = int(os.environ.get("CLIPENGINE_TEST_RANGES", "1"))
_SEED = os.urandom(8).hex() if "CLIPENGINE_TEST_RANGES" in os.environ else ""


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


def _wrong_facts(film: Film) -> list[str]:
    """Return what the probe says of the film that is not so."""
    facts, found = facts_of(film.path), []
    # Where the rate varies, MP4 does not say how long the last frame stands: distances are in the order of decoding.
    varied = any(abs(b - a - (film.frame_seconds or 0)) > film.grid for (a, _), (b, _) in pairwise(film.frames))
    slack = Fraction(2, 1000) + (film.frame_seconds / 2 if varied and film.frame_seconds else 0)
    if abs(facts.duration - film.duration) > slack:
        found.append(f"probe: the duration is {float(facts.duration)}, not {float(film.duration)}")
    sounds = [(each.sample_rate, each.channels) for each in facts.audio]
    if sounds != [(each.rate, each.channels) for each in film.sounds]:
        found.append(f"probe: the audio is {sounds}")
    if (facts.video is not None) != bool(film.frames):
        found.append(f"probe: the video is {facts.video}")
    shown, nominal = facts.video and facts.video.frame_seconds, film.frame_seconds
    if shown and nominal and abs(shown / nominal - 1) >= Fraction(1, 10):
        found.append(f"probe: a frame lasts {float(shown)} s, not {float(nominal)}")
    return found


@pytest.mark.parametrize("name", cases(FILMS))
def test_every_film_is_cut_exactly(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film = shelf.get(name)
    faults = _wrong_facts(film)
    for wanted in (*cuts_of(film), *other_cuts(film, _OTHER_RANGES, _SEED)):
        faults += _faults(film, wanted, tmp_path / "clip.mp4")
    assert not faults, "\n".join(faults)


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
