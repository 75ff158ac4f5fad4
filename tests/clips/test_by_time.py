"""Recordings of a series that cover a range of the time of day."""

from __future__ import annotations

from fractions import Fraction

from clipengine.clips.by_time import cover
from clipengine.clips.clip import Recording
from tests.support.api import FACTS

MIDNIGHT = 1_795_910_400_000


def recording(name: str, begins: float, seconds: float) -> Recording:
    """Return a recording that begins some seconds after midnight."""
    facts = FACTS.model_copy(update={"duration": Fraction(str(seconds))})
    start = MIDNIGHT + round(begins * 1000)
    return Recording(name, "complete", f"{name}.mp4", "e", 1, 0, facts=facts, given_start=start)


def times(start: float, end: float) -> tuple[int, int]:
    return MIDNIGHT + round(start * 1000), MIDNIGHT + round(end * 1000)


def test_range_over_midnight_has_a_part_of_each_day() -> None:
    found = cover([recording("a", -3600, 3604), recording("b", 4.1, 3600)], times(-10, 20))
    assert found.parts == (("a", times(-10, 4)), ("b", times(4.1, 20)))
    assert found.warnings == ()


def test_stretch_without_a_recording_is_left_out_with_a_warning() -> None:
    found = cover([recording("a", -100, 95), recording("b", 3, 10)], times(-10, 20))
    assert found.parts == (("a", times(-10, -5)), ("b", times(3, 13)))
    assert found.missing == (times(-5, 3), times(13, 20))
    assert found.warnings[0] == (
        "recordings_apart: no recording from 2026-11-28T23:59:55.000Z to 2026-11-29T00:00:03.000Z, which is left out"
    )


def test_range_before_the_first_recording_is_missing() -> None:
    found = cover([recording("a", 5, 100)], times(0, 20))
    assert (found.parts, found.missing) == ((("a", times(5, 20)),), (times(0, 5),))


def test_what_two_recordings_have_is_taken_once() -> None:
    found = cover([recording("a", 0, 60), recording("b", 10, 20), recording("c", 30, 100)], times(5, 90))
    assert found.parts == (("a", times(5, 60)), ("c", times(60, 90)))


def test_range_of_nothing_has_no_parts() -> None:
    assert cover([], times(0, 1)).parts == ()
    assert cover([recording("a", 50, 10)], times(0, 1)).parts == ()


def test_clip_of_one_recording_is_one_range() -> None:
    ranges = cover([recording("a", 0, 60)], times(5, 90)).ranges(times(5, 90))
    assert (ranges["start_time"], ranges["end_time"]) == times(5, 60)
    assert "parts" not in ranges
