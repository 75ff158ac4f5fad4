"""What is missing of a recording is said, wherever in the clip it would have been; of a whole one nothing is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.basis.timecode import exact
from clipengine.clips.options.profiles import Profile
from clipengine.errors import RecordingTruncated
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, facts_of
from tests.films.likeness import faults_of
from tests.films.reference import watch
from tests.support.damage import film, index_first
from tests.support.ffmpeg import run_ffmpeg
from tests.support.hostile import with_hole
from tests.support.selection import cases

_SPANS = ((Fraction(1, 5), Fraction(1)), (Fraction(1), Fraction(9, 5)), (Fraction(1, 5), Fraction(9, 5)))


@pytest.mark.parametrize("kind", cases(["mp4", "mpegts", "matroska"], ("mpegts",)))
@pytest.mark.parametrize("sound", cases([0, 1], [1]))
@pytest.mark.exhaustive
def test_range_that_begins_or_ends_in_damage_has_a_gap_warning(kind: str, sound: int, tmp_path: Path) -> None:
    whole, holed = tmp_path / "whole", tmp_path / "holed"
    whole.write_bytes(film(kind, noise=True, size=256, seconds=2, sound=sound))
    holed.write_bytes(with_hole(whole.read_bytes()))
    for start, end in _SPANS:
        for path, lacks in ((whole, False), (holed, True)):
            made = cut_file(path, start, end, tmp_path / "clip.mp4").made
            said = [warning for warning in made.warnings if "between frames" in warning]
            assert bool(said) is lacks, (path.name, float(start), made.frames, made.warnings)


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("audio_gap_mp4", {(2.0, 4.0): 0.5, (2.4, 4.0): 0.4, (2.0, 2.7): 0.4, (2.4, 2.7): 0.3, (3.0, 4.0): None}),
        ("audio_gap_webm", {(2.4, 4.0): 0.4, (2.4, 2.7): 0.3, (3.0, 4.0): None}),
        ("audio_late_mp4", {(0.0, 3.0): None, (0.12, 3.0): None}),
    ],
)
@pytest.mark.typical(1)
def test_silence_of_a_gap_in_the_audio_has_a_warning(
    name: str, spans: dict[tuple[float, float], float | None], shelf: Shelf, tmp_path: Path
) -> None:
    """Also if the clip begins or lies in it. Silence before the recording's first audio is no gap."""
    for (start, end), gap in spans.items():
        made = cut_file(shelf.get(name).path, exact(start), exact(end), tmp_path / "clip.mp4").made
        said = [float(each.split()[4]) for each in made.warnings if each.startswith("audio_gap_filled: audio track 0")]
        assert said == ([] if gap is None else [pytest.approx(gap, abs=0.05)]), (start, end, made.warnings)


def test_truncated_matroska_has_a_warning(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mkv", tmp_path / "cut-off.mkv"
    data = film("matroska", noise=True, size=128, seconds=4)
    whole.write_bytes(data)
    assert facts_of(whole).warnings == ()
    path.write_bytes(data[: len(data) // 2])
    facts = facts_of(path)
    assert Fraction(3, 2) < facts.duration < Fraction(5, 2)
    assert any("may have been cut off" in warning for warning in facts.warnings)
    made = cut_file(path, Fraction(0), Fraction(1), tmp_path / "clip.mp4").made
    assert made.frames == 25
    assert made.warnings == facts.warnings


def test_whole_part_of_a_truncated_mp4_is_cut_with_a_warning(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "truncated.mp4"
    data = index_first(film(noise=True, size=128))
    whole.write_bytes(data)
    path.write_bytes(data[: len(data) // 2])
    facts, seen = facts_of(path), watch(whole)
    assert Fraction(3, 2) < facts.duration < Fraction(5, 2)
    assert facts.warnings == (
        f"recording_cut_off: the recording has {len(data) // 2} bytes, and its index names media up to byte "
        f"{len(data)}: it was cut off at {float(facts.duration):.3f} s",
    )
    for start, end in ((Fraction(0), Fraction(1)), (facts.duration - Fraction(3, 2), facts.duration)):
        clip = cut_file(path, start, end, tmp_path / "clip.mp4")
        assert not faults_of(seen, watch(clip.path), start, end)
        assert clip.made.warnings == facts.warnings


def test_truncated_mp4_without_whole_media_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "truncated.mp4"
    data = index_first(film(noise=True, size=128))
    path.write_bytes(data[: data.index(b"mdat") + 100])
    with pytest.raises(RecordingTruncated, match="its index names media up to byte"):
        facts_of(path)


def test_truncated_gif_has_a_warning(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.gif", tmp_path / "cut-off.gif"
    cut_file(_film(tmp_path), Fraction(0), Fraction(1), whole, Profile(container="gif", audio="none", video="gif"))
    assert facts_of(whole).warnings == ()
    path.write_bytes(whole.read_bytes()[:-1])
    assert facts_of(path).warnings == ("recording_cut_off: the GIF has no end mark: it may have been cut off",)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("avi", "mpeg4"),
        pytest.param("asf", "wmv2", marks=pytest.mark.exhaustive),
        pytest.param("flv", "flv1", marks=pytest.mark.exhaustive),
        pytest.param("mxf", "mpeg2video", marks=pytest.mark.exhaustive),
        ("wav", "pcm_s16le"),
        pytest.param("aiff", "pcm_s16be", marks=pytest.mark.exhaustive),
        pytest.param("flac", "flac", marks=pytest.mark.exhaustive),
    ],
)
def test_recording_that_ends_before_its_header_says_has_a_warning(tmp_path: Path, kind: str, codec: str) -> None:
    whole, path = tmp_path / f"whole.{kind}", tmp_path / f"cut-off.{kind}"
    given = "testsrc2=size=96x96:duration=4" if kind in ("avi", "asf", "flv", "mxf") else "anoisesrc=duration=4:seed=1"
    run_ffmpeg("-v", "error", "-f", "lavfi", "-i", given, "-c", codec, whole)
    assert not any(each.startswith("recording_cut_off") for each in facts_of(whole).warnings)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    assert any(each.startswith("recording_cut_off") for each in facts_of(path).warnings)


def _film(folder: Path) -> Path:
    (folder / "film.mp4").write_bytes(film(seconds=2))
    return folder / "film.mp4"
