"""Texts and chapters of clips of several parts: each time is rounded once, on the timeline of the clip."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from clipengine.clips.clip_plan import ClipPlan, PartPlan
from clipengine.clips.edit import PlannedPart, chapters_of_parts
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextRange, TextTrack, joined_tracks
from clipengine.recordings.facts import ChapterFacts
from tests.clips.test_clip_plan import REPORT
from tests.support.api import FACTS

F = Fraction
WORDS = tuple(Cue(second * 1000, second * 1000 + 1000, f"word {second}") for second in range(60))
TRACK = TextTrack("en", "eng", WORDS)


def samples(parts: list[tuple[Fraction, Fraction]], speed: Fraction) -> list[tuple[int, int]]:
    """Return the times of all samples of a text track of MP4, part by part, as they are written."""
    joined = joined_tracks([TRACK], [TextRange([TRACK], *part) for part in parts], speed=speed)
    return [(start, end) for (track,) in joined for start, end, _ in track.samples("mov_text") or ()]


def test_end_of_a_part_is_the_start_of_the_next_one() -> None:
    """Of 0.6 ms and 0.6 ms, 1.2 ms are the sum, although each alone rounds to 1 ms."""
    parts = [(F("10.0004"), F("11.001")), (F("20.0004"), F("21.001"))]
    found = samples(parts, F(1))
    assert found == [(0, 1000), (1000, 1001), (1001, 2000), (2000, 2001)]


@pytest.mark.parametrize("speed", [F(1), F("0.7"), F(4)])
def test_samples_of_parts_never_overlap(speed: Fraction) -> None:
    source = random.Random(7)
    for _ in range(200):
        parts = [
            (start, start + F(source.randint(1, 25_000), 10_000))
            for start in (F(source.randint(0, 500_000), 10_007) for _ in range(4))
        ]
        found = samples(parts, speed)
        assert all(first[1] <= second[0] for first, second in pairwise(found)), parts
        assert all(start < end for start, end in found)
        assert found[-1][1] <= round(1000 * sum((end - start for start, end in parts), F(0)) / speed)


def test_chapters_of_parts_follow_each_other_to_the_end_of_the_clip() -> None:
    chapters = tuple(ChapterFacts(start=F(n), end=F(n + 1), title=f"{n}") for n in range(60))
    facts = FACTS.model_copy(update={"chapter_list": chapters, "duration": F(60)})
    made = [(F("10.0004"), F("11.001")), (F("20.0004"), F("21.001"))]
    parts = [PlannedPart(facts, *each) for each in made]
    found = chapters_of_parts(parts, made, speed=F(1))
    assert [(each.start_ms, each.title) for each in found] == [(0, "10"), (1000, "11"), (1001, "20"), (2000, "21")]
    assert [each.end_ms for each in found] == [1000, 1001, 2000, 2001]


def test_plan_adds_the_exact_lengths_of_its_parts() -> None:
    third = REPORT | {"actual_start": "1/3", "actual_end": "1"}
    plans = [PartPlan.of(third) for _ in range(100)]
    plan = ClipPlan([PlannedPart(FACTS, F(1, 3), F(1))] * 100, Profile(), plans, {}, None, [], [], frozenset())
    assert plan.values(source=0)["duration_seconds"] == 66.666667
