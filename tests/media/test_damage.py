"""What is missing of a recording is said, wherever in the clip it would have been; of a whole one nothing is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.films.cutting import cut_file, facts_of
from tests.support.damage import film
from tests.support.hostile import with_hole
from tests.support.selection import cases

_SPANS = ((Fraction(1, 5), Fraction(1)), (Fraction(1), Fraction(9, 5)), (Fraction(1, 5), Fraction(9, 5)))


@pytest.mark.parametrize("kind", cases(["mp4", "mpegts", "matroska"], ("mpegts",)))
@pytest.mark.parametrize("sound", [0, 1], ids=["silent", "heard"])
def test_range_that_begins_or_ends_in_damage_has_a_gap_warning(kind: str, sound: int, tmp_path: Path) -> None:
    whole, holed = tmp_path / "whole", tmp_path / "holed"
    whole.write_bytes(film(kind, noise=True, size=256, seconds=2, sound=sound))
    holed.write_bytes(with_hole(whole.read_bytes()))
    for start, end in _SPANS:
        for path, lacks in ((whole, False), (holed, True)):
            made = cut_file(path, start, end, tmp_path / "clip.mp4").made
            said = [warning for warning in made.warnings if "between frames" in warning]
            assert bool(said) is lacks, (path.name, float(start), made.frames, made.warnings)


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
