"""Plans of a range, from its packets, beside the clip of the same range."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.profiles import Profile
from clipengine.media import part_survey
from clipengine.media.input.containers.cached_reader import DescriptorSource, MediaReader
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.previews import clip_plan as plans
from clipengine.media.previews import range_packets
from tests.films.catalogue import Shelf
from tests.films.cutting import DEFAULT, SMART, SMART_PROFILES, cut_file, probed
from tests.support.selection import cases

VP9 = SMART_PROFILES["libvpx-vp9"]
_RANGES: dict[str, tuple[str, str, str, Profile]] = {
    "gap of the audio": ("audio_gap_mp4", "0.2", "5.5", DEFAULT),
    "gap of a transport stream": ("ts_gap", "0.5", "8.5", DEFAULT),
    "lost packets of audio": ("audio_lost_packets", "0.5", "4.5", DEFAULT),
    "late audio": ("audio_late_mp4", "0.2", "4", DEFAULT),
    "end of the audio": ("audio_ends_early", "3", "6", DEFAULT),
    "pauses": ("webm_live_pauses", "1", "5", DEFAULT),
    "ends in a GOP": ("ts_bframes", "1.01", "5.1", SMART),
    "begins before its first frame": ("ts_bframes", "0", "4.8", SMART),
    "keyframes out of place": ("mkv_lying_cues", "1", "5.3", SMART),
    "open GOPs": ("mp4_open_gop", "1.01", "5.3", SMART),
    "VP9": ("webm_vp9", "1.01", "5.3", VP9),
}


def _plan(path: Path, start: str, end: str, profile: Profile) -> dict[str, Any]:
    found = probed(path)
    with path.open("rb") as file:
        return plans.clip_plan(
            DescriptorSource(file.fileno()),
            found.facts,
            profile,
            start=Fraction(start),
            end=Fraction(end),
            threads=1,
            seek_index=found.seek_index,
        )


@pytest.mark.parametrize("name", cases(_RANGES, ("gap of the audio", "ends in a GOP")))
def test_plan_of_a_range_is_its_clip(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film, start, end, profile = _RANGES[name]
    path = shelf.get(film).path
    plan = _plan(path, start, end, profile)
    made = cut_file(path, Fraction(start), Fraction(end), tmp_path / f"clip.{profile.container}", profile).made
    assert plan["frames_exact"]
    assert (plan["frames"], Fraction(plan["actual_start"])) == (made.frames, made.parts[0].actual_start)
    copied = [each["end_seconds"] - each["start_seconds"] for each in plan["segments"] if each["kind"] == "copy"]
    assert sum(copied) == pytest.approx(made.copied_seconds, abs=1e-5)
    gaps = [each for each in made.warnings if each.startswith(("audio_gap_filled", "video_gap"))]
    assert {*plan["warnings"]} <= {*gaps} <= {*plan["warnings"], *(each for each in gaps if "begins" in each)}


@pytest.mark.parametrize(("name", "value"), [("MAX_KEPT_BYTES", 1000), ("_MAX_SECONDS", 2)])
def test_frames_of_a_large_range_are_an_estimate(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(part_survey, name, value)
    plan = _plan(shelf.get("mp4_vfr_gaps").path, "0.7", "5.3", DEFAULT)
    assert not plan["frames_exact"]
    assert plan["warnings"] == []


def test_packets_of_a_range_are_read_up_to_their_limit(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_packets, "MAX_KEPT_BYTES", 1000)
    assert not _plan(shelf.get("mp4_vfr_gaps").path, "0.7", "5.3", DEFAULT)["frames_exact"]


def _has_field_packets(path: Path, start: int) -> bool:
    found = probed(path)
    assert found.facts.video is not None
    cut = CutRange(Fraction(start), Fraction(start + 1), found.facts.video.frame_seconds, found.facts.video.tick)
    with (
        path.open("rb") as file,
        MediaReader(DescriptorSource(file.fileno())) as reader,
        open_seeker(reader, found.facts, cut, video=True, audio=(), seek_index=found.seek_index) as seeker,
    ):
        seeker.seek()
        return seeker.has_field_packets


def test_close_frames_are_not_taken_for_second_fields(shelf: Shelf) -> None:
    assert not _has_field_packets(shelf.get("webm_live_pauses").path, 4)
    assert not _has_field_packets(shelf.get("mp4_vfr_jitter").path, 3)


def test_second_fields_are_found_by_their_distance(recordings: Path) -> None:
    assert _has_field_packets(recordings / "avchd_1080i_opengop_ac3.mts", 1)
