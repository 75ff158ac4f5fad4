"""Parts of a smart clip that are encoded, by what their plans have found."""

from __future__ import annotations

from fractions import Fraction

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.plan.segments import OTHER_PARAMETERS, REPEATED_KEYFRAME, CannotCopy, FoundPart, refused_parts
from clipengine.recordings.facts import SourceFacts

FACTS = SourceFacts(container="mov", origin=Fraction(0), duration=Fraction(60))
LONG = FoundPart("a", None)
ONE = FoundPart("a", None, "7")


def _parts(count: int) -> list[PlannedPart]:
    return [PlannedPart(FACTS, Fraction(1), Fraction(2))] * count


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        ([LONG, LONG], {}),
        ([ONE, ONE, LONG, ONE], {1: REPEATED_KEYFRAME}),
        ([ONE, ONE, ONE], {1: REPEATED_KEYFRAME}),
        ([ONE, FoundPart("a", None, "8")], {}),
        ([LONG, FoundPart("b", None)], {1: OTHER_PARAMETERS}),
        ([LONG, FoundPart(None, "it is interlaced")], {1: "it is interlaced"}),
    ],
)
def test_parts_are_encoded_for_their_own_reasons(found: list[FoundPart], refused: dict[int, str]) -> None:
    assert refused_parts(_parts(len(found)), found) == refused


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([FoundPart(None, "it is interlaced")], "it is interlaced"),
        ([FoundPart(None, "it is interlaced"), LONG], "part 1: it is interlaced"),
        ([LONG, FoundPart("a", None, misfit="it is interlaced")], "part 2: it is interlaced"),
        ([LONG, FoundPart("b", None), FoundPart(None, "no")], "less than half of it could be copied; part 3: no"),
    ],
)
def test_reason_of_a_clip_names_the_part_at_fault(found: list[FoundPart], reason: str) -> None:
    with pytest.raises(CannotCopy) as refusal:
        refused_parts(_parts(len(found)), found)
    assert str(refusal.value) == reason
