"""Clock of a recording: times of places, and places of times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clipengine.basis.moments import parse_moment
from clipengine.errors import ClockAmbiguous
from clipengine.recordings.pieces import Dated, ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.timeline.clock import MAX_CLOCK_POINTS, Clock, ClockPoint, clock_of_dates, straightened

NOON = parse_moment("2026-11-28T12:00:00Z")
SECOND = 1_000_000


def clock(*points: tuple[float, float]) -> Clock:
    """Return a clock whose points are seconds of the recording and seconds after noon."""
    return Clock(
        "playlist", 0.001, tuple(ClockPoint(round(p * SECOND), NOON * 1000 + round(t * SECOND)) for p, t in points)
    )


def test_clock_runs_on_before_and_after_its_points() -> None:
    found = clock((10, 0))
    assert [found.time_at(each) - NOON for each in (0, 10, 12.5)] == [-10_000, 0, 2500]
    assert [found.seconds_at(NOON + each) for each in (-11_000, 0, 90_000)] == [-1.0, 10.0, 100.0]


def test_drift_is_spread_between_two_points() -> None:
    found = clock((0, 0), (86_400, 86_404.3))
    assert found.time_at(43_200) - NOON == 43_202_150
    assert found.seconds_at(NOON + 43_202_150) == 43_200.0
    assert found.seconds_at(NOON + 86_405_300) == 86_401.0


@pytest.mark.parametrize("seconds", [5, 59.999, 60, 61, 3600])
def test_place_and_time_are_inverse_over_a_pause(seconds: float) -> None:
    found = clock((0, 0), (60, 60), (80, 80.004), (200, 200))
    assert found.seconds_at(found.time_at(seconds)) == pytest.approx(seconds, abs=0.0011)


def test_clock_that_was_set_back_is_ambiguous_where_it_repeats() -> None:
    found = clock((0, 0), (60, 60), (60, 30), (100, 70))
    assert found.seconds_at(NOON + 20_000) == 20.0
    with pytest.raises(ClockAmbiguous, match=r"at 40\.000 and 70\.000 seconds"):
        found.seconds_at(NOON + 40_000)
    assert found.seconds_at(NOON + 65_000) == 95.0
    assert [found.time_at(each) - NOON for each in (59, 60, 61)] == [59_000, 30_000, 31_000]


def test_small_correction_of_the_clock_repeats_nothing() -> None:
    assert clock((0, 0), (60, 60), (60, 59.5), (100, 99.5)).seconds_at(NOON + 59_700) == 59.7


def test_time_that_the_clock_skipped_is_where_it_was_set() -> None:
    found = clock((0, 0), (60, 60), (60, 90_000), (70, 90_010))
    assert found.seconds_at(NOON + 5_000_000) == 60.0
    assert found.seconds_at(NOON + 90_005_000) == 65.0


def test_given_start_moves_a_clock_and_keeps_its_pause() -> None:
    found = Clock.given(NOON + 3_600_000, clock((0, 0), (60, 60), (60, 100)))
    assert found.source == "given"
    assert [found.time_at(each) - NOON - 3_600_000 for each in (0, 60)] == [0, 100_000]
    assert Clock.given(NOON, None).time_at(1) == NOON + 1000


def test_clock_of_a_file_has_no_accuracy() -> None:
    found = Clock.of_file(datetime(2026, 11, 28, 12, tzinfo=UTC))
    assert (found.time_at(0), found.accuracy_seconds) == (NOON, None)


def test_stored_clock_is_the_same() -> None:
    found = clock((0, 0), (60.000001, 61))
    assert Clock.from_object(found.to_object()) == found


def test_points_on_a_line_are_left_out_and_their_number_is_limited() -> None:
    line = [ClockPoint(number * SECOND, number * SECOND + 5) for number in range(1000)]
    assert straightened(line) == (line[0], line[-1])
    bends = [ClockPoint(number * SECOND, number * SECOND + number % 2 * 100_000) for number in range(100_000)]
    assert len(straightened(bends)) <= MAX_CLOCK_POINTS


def test_dates_of_runs_give_the_clock_of_a_playlist() -> None:
    pieces = [Piece(ObjectRange("a", "e", 0, 1), number * 4 * SECOND, 4 * SECOND) for number in range(4)]
    first = Run(0, None, None, pieces[:2], first_dated=Dated(1, NOON * 1000), last_dated=Dated(1, NOON * 1000))
    later = Dated(0, NOON * 1000 + 60 * SECOND)
    found = clock_of_dates(
        PieceIndex([Track("muxed", [first, Run(1, None, None, pieces[2:], first_dated=later, last_dated=later)])])
    )
    assert found is not None
    assert [found.time_at(each) - NOON for each in (0, 4, 8, 16)] == [-4000, 0, 60_000, 68_000]
    assert clock_of_dates(PieceIndex([Track("muxed", [Run(0, None, None, pieces)])])) is None
