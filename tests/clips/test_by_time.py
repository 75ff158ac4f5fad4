"""Recordings of a series that cover a range of the time of day."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from clipengine.clips.by_time import cover
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock, ClockPoint
from tests.support.api import FACTS

MIDNIGHT = 1_795_910_400_000


def recording(name: str, begins: float, seconds: float, *, day: str | None = None, **fields: Any) -> Recording:
    """Return a recording that begins some seconds after midnight. `fields` are others of it."""
    facts = FACTS.model_copy(update={"duration": Fraction(str(seconds))})
    start = MIDNIGHT + round(begins * 1000)
    if day is not None:
        fields["folder"] = FolderSource("cam/", "%Y-%m-%d/%H-%M-%S.mp4", day=day).to_object()
    values = {"state": "complete", "given_start": start, **fields}
    return Recording(
        recording_id=name, bucket_path=f"{name}.mp4", etag="e", file_size_bytes=1, created_at=0, facts=facts, **values
    )


def written(name: str, begins: float, seconds: float, *, day: str | None = None, **fields: Any) -> Recording:
    """Return a recording that is still written."""
    return recording(name, begins, seconds, day=day, state="recording", **fields)


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


def test_recording_that_is_still_written_has_an_open_end() -> None:
    for begins in (5, 70):
        found = cover([written("a", 0, 60)], times(begins, 90))
        assert (found.parts, found.missing, found.is_cut_short) == ((("a", times(begins, 90)),), (), False)


def test_recording_that_is_still_written_ends_where_the_next_one_begins() -> None:
    yesterday, today = written("a", -3600, 3595, day="2026-11-28"), written("b", 4.1, 60, day="2026-11-29")
    assert cover([yesterday, today], times(-10, 90)).parts == (("a", times(-10, 4.1)), ("b", times(4.1, 90)))
    assert cover([yesterday, today], times(10, 90)).parts == (("b", times(10, 90)),)
    assert cover([yesterday, today], times(4, 90)).parts == (("b", times(4.1, 90)),)
    early = written("b", -5.1, 60)  # the clocks of files are not exact
    assert cover([written("a", -3600, 3595), early], times(-10, 90)).parts == (
        ("a", times(-10, -5)),
        ("b", times(-5.1, 90)),
    )


def test_recording_of_a_day_is_written_until_midnight() -> None:
    found = cover([written("a", -3600, 3595, day="2026-11-28")], times(-10, 20))
    assert (found.parts, found.missing) == ((("a", times(-10, 0)),), (times(0, 20),))
    assert (found.is_cut_short, found.may_follow) == (True, True)
    ahead = cover([written("a", -3600, 3595, day="2026-11-28")], times(10, 20))
    assert (ahead.parts, ahead.is_cut_short, ahead.may_follow) == ((), True, True)
    assert not cover([recording("a", -3600, 3595, day="2026-11-28")], times(-10, 20)).may_follow


def test_midnight_is_that_of_the_recorder_whose_clock_was_corrected() -> None:
    wrong = Clock("name", 0.1, (ClockPoint(0, (MIDNIGHT - 3_570_000) * 1000),)).to_object()
    found = cover([written("a", -3600, 3500, day="2026-11-28", found_clock=wrong)], times(-50, 20))
    assert found.parts == (("a", times(-50, -30)),)
