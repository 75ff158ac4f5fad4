"""Patterns of names, and the places of a camera's files by names and marks."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from clipengine.basis.moments import END
from clipengine.recordings.file_name_pattern import (
    MAX_PATTERN_CHARACTERS,
    FolderSource,
    InvalidPattern,
    NamePattern,
)
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.timeline.folder_files import FolderEnd, FolderFile, Mark, PlacedFiles
from clipengine.recordings.timeline.folder_placing import place_files, place_more
from clipengine.recordings.timeline.run_placing import Extent, RunScan

F = Fraction
SECOND = 1_000_000
FRIGATE = "%Y-%m-%d/%H/{camera}/%M.%S.mp4"
NOON = round(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (FRIGATE, "2026-11-28/12/front/00.07.mp4", (NOON + 7 * SECOND, None, "front")),
        ("cam/%Y-%m-%d_%H-%M-%S-%f.mp4", "cam/2026-11-28_12-00-00-250000.mp4", (NOON + 250_000, None, None)),
        ("%Y-%m-%d %H-%M-%S.mkv", "2026-11-28 12-00-01.mkv", (NOON + SECOND, None, None)),
        ("part{n}.mkv", "part0042.mkv", (None, 42, None)),
        ("*_%Y%m%d_%H%M%S.mp4", "DVR_a_20261128_120002.mp4", (NOON + 2 * SECOND, None, None)),
        ("%s.ts", str(NOON // SECOND + 3) + ".ts", (NOON + 3 * SECOND, None, None)),
        ("%Y/%m/%Y-%m-%d/%H.mp4", "2026/11/2026-11-28/12.mp4", (NOON, None, None)),
        ("100%%/%Y-%m-%d-%H.mp4", "100%/2026-11-28-12.mp4", (NOON, None, None)),
    ],
)
def test_name_says_time_number_and_camera(
    pattern: str, name: str, expected: tuple[int | None, int | None, str | None]
) -> None:
    found = NamePattern(pattern).match(name)
    assert found is not None
    assert (found.time, found.number, found.camera) == expected


@pytest.mark.parametrize(
    "name",
    [
        "2026-11-28/12/front/00.7.mp4",
        "2026-13-28/12/front/00.07.mp4",
        "2026-11-28/12/a/b/00.07.mp4",
        "2026-11-28/12//00.07.mp4",
        "x/2026-11-28/12/front/00.07.mp4",
        "9999-12-31/23/front/59.59.mp4",
        "2200-01-01/00/front/00.00.mp4",
        "1969-12-31/23/front/59.59.mp4",
        "0001-01-01/00/front/00.00.mp4",
        "0000-01-01/00/front/00.00.mp4",
        "2026-11-28/12/front/00.07.mp4.part",
        "２026-11-28/12/front/00.07.mp4",
    ],
)
def test_other_names_do_not_match(name: str) -> None:
    assert NamePattern(FRIGATE).match(name) is None


def test_repeated_directive_must_agree() -> None:
    assert NamePattern("%Y/%m/%Y-%m-%d/%H.mp4").match("2025/11/2026-11-28/12.mp4") is None


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a" * (MAX_PATTERN_CHARACTERS + 1),
        "/%H.mp4",
        "../%H.mp4",
        "a//%H.mp4",
        "%q.mp4",
        "{name}/%H.mp4",
        "*.mp4",
        "%Y-%H.mp4",
        "%H.%S.mp4",
        "*{camera}/%H.mp4",
        "*%H.mp4",
        "{n}%H.mp4",
        "%f%H%M%S.mp4",
        "a\\%H.mp4",
        "%H\n.mp4",
    ],
)
def test_unusable_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        NamePattern(pattern)


def test_time_zone_and_camera_are_checked() -> None:
    with pytest.raises(InvalidPattern):
        NamePattern(FRIGATE, timezone="../etc/passwd")
    for camera in ("a/b", ".."):
        with pytest.raises(InvalidPattern):
            NamePattern(FRIGATE, camera=camera)
    with pytest.raises(InvalidPattern):
        NamePattern("%H.mp4", camera="front")


def test_pattern_does_not_backtrack() -> None:
    pattern = NamePattern("/".join(["*a-%H"] * 20))
    began = time.process_time()
    for _ in range(20):
        assert pattern.match("/".join(["a" * 40] * 19 + ["b"])) is None
    assert time.process_time() - began < 1


def test_day_and_camera_narrow_what_is_listed() -> None:
    pattern = NamePattern(FRIGATE, camera="front", day=date(2026, 11, 28))
    assert pattern.prefix == "2026-11-28/"
    assert pattern.match("2026-11-28/12/front/00.07.mp4") is not None
    assert pattern.match("2026-11-28/12/yard/00.07.mp4") is None
    assert pattern.match("2026-11-29/12/front/00.07.mp4") is None
    assert NamePattern("{camera}/%H.mp4", camera="a.b").prefix == "a.b/"
    assert NamePattern("cam/part{n}.mkv").prefix == "cam/part"
    source = FolderSource("frigate/", FRIGATE, camera="front", day="2026-11-28")
    assert FolderSource.from_object(source.to_object()) == source
    assert source.title == "front 2026-11-28"


def test_local_times_have_the_offset_of_their_day() -> None:
    pattern = NamePattern("%Y-%m-%d_%H-%M-%S.mp4", timezone="Europe/Berlin")
    summer, winter = pattern.match("2026-07-01_14-00-00.mp4"), pattern.match("2026-11-28_13-00-00.mp4")
    assert summer is not None
    assert winter is not None
    assert (summer.time, winter.time) == (NOON - 150 * 86_400 * SECOND, NOON)
    twice = pattern.match("2026-10-25_02-30-00.mp4")
    assert twice is not None
    assert twice.time is not None
    assert twice.other == twice.time + 3600 * SECOND


def files(
    lengths: Sequence[float], *, begins: float = 0.7, drift: float = 0, missing: Sequence[int] = (), jump: float = 0
) -> list[FolderFile]:
    """Return files of these lengths, whose names are rounded down. The clock drifts, and jumps after the tenth file."""
    found, at = [], begins
    for number, length in enumerate(lengths):
        name = int(at * (1 + drift) + (jump if number > 10 else 0))
        extent = Extent(F(0), F(str(length)), F(0), F(str(length)))
        run = Run(number, None, None, [Piece(ObjectRange(f"{number}", "e", 0, 1), number, 0)])
        if number not in missing:
            found.append(FolderFile(run, NOON + name * SECOND, RunScan(extent, extent)))
        at += length
    return found


def placed(found: Sequence[FolderFile]) -> PieceIndex:
    return PieceIndex([Track("muxed", [each.run for each in found])])


def test_files_follow_each_other_although_names_are_rounded() -> None:
    lengths = [random.Random(1).choice((9.6, 11.2)) for _ in range(200)]
    found = files(lengths)
    duration, clock, _ = place_files(found, origin=F(0), resolution=SECOND, dated=True)
    assert duration == sum(F(str(each)) for each in lengths)
    assert placed(found).gaps == []
    assert clock is not None
    assert clock.accuracy_seconds is not None
    assert clock.accuracy_seconds <= 0.25
    assert abs(clock.time_at(0) - NOON // 1000 - 700) <= 250


def test_day_of_files_on_a_clock_that_drifts_has_no_gap() -> None:
    found = files([10.0] * 8640, drift=50e-6)
    began = time.process_time()
    _, clock, _ = place_files(found, origin=F(0), resolution=SECOND, dated=True)
    assert time.process_time() - began < 10
    assert placed(found).gaps == []
    assert clock is not None
    assert clock.time_at(86_000) - NOON // 1000 - 700 == pytest.approx(86_004_300, abs=600)


def test_missing_files_are_a_gap_of_their_length() -> None:
    found = files([9.6, 11.2] * 10, missing=(4, 5))
    place_files(found, origin=F(0), resolution=SECOND, dated=True)
    (gap,) = placed(found).gaps
    assert (gap.start, gap.reason) == (41_600_000, "missing")
    assert (gap.end - gap.start) / SECOND == pytest.approx(20.8, abs=0.35)
    assert [run.after_gap for _, run in placed(found).runs()].count(True) == 1


def test_clock_that_was_set_back_makes_no_gap() -> None:
    found = files([10.0] * 20, jump=-3600)
    duration, clock, _ = place_files(found, origin=F(0), resolution=SECOND, dated=True)
    assert (duration, placed(found).gaps) == (200, [])
    assert clock is not None
    assert clock.time_at(150) < clock.time_at(50)


def test_numbers_without_times_always_follow() -> None:
    found = [each._replace(name=None) for each in files([10.0, 3.0, 10.0])]
    duration, clock, _ = place_files(found, origin=F(0), resolution=1, dated=False)
    assert (duration, clock) == (23, None)


def test_marks_place_files_exactly_and_after_a_restart_by_their_clock() -> None:
    found = files([10.0] * 4)
    marks = [("a", 0, 0, 0), ("a", 1, 10.04, 10.04), ("b", 0, 0, 42.5), ("b", 2, 30, 80)]
    marked = [
        each._replace(mark=Mark(stream * 32, number, int(dts * 1e9), NOON * 1000 + int(ntp * 1e9)))
        for each, (stream, number, dts, ntp) in zip(found, marks, strict=True)
    ]
    _, clock, _ = place_files(marked, origin=F(0), resolution=SECOND, dated=True)
    assert [each.run.pieces[0].start / SECOND for each in marked] == [0, 10.04, 42.5, 80]
    assert [run.gap for _, run in placed(marked).runs()] == [None, None, "missing", "missing"]
    assert clock is not None
    assert clock.source == "mtxi"
    assert clock.time_at(45) == NOON // 1000 + 45_000


@pytest.mark.parametrize(
    "values", [["a", 1, 2, 3], ["a" * 32, 1, 2], ["a" * 32, 1, 2, 1 << 64], ["a" * 32, True, 0, 0]]
)
def test_invalid_mark_of_a_child_is_refused(values: list[object]) -> None:
    with pytest.raises(ValueError, match="mark"):
        Mark.of(values)


def grown(found: Sequence[FolderFile], batches: Sequence[int]) -> PlacedFiles:
    """Place files in batches, as they are written."""
    placed, at = place_files(found[: batches[0]], origin=F(0), resolution=SECOND, dated=True), batches[0]
    for count in batches[1:]:
        end = FolderEnd.from_object(json.loads(json.dumps(placed.last.to_object())))
        placed = place_more(end, placed.clock, found[at : at + count], resolution=SECOND, dated=True)
        at += count
    assert at == len(found)
    return placed


def places(found: Sequence[FolderFile]) -> list[int]:
    return [each.run.pieces[0].start for each in found]


@pytest.mark.parametrize("batches", [[1] * 200, [7, 33, 60, 100], [199, 1]])
def test_files_that_are_added_are_placed_as_those_of_a_finished_folder(batches: list[int]) -> None:
    lengths = [random.Random(2).choice((9.6, 11.2)) for _ in range(200)]
    whole, written = files(lengths, drift=50e-6), files(lengths, drift=50e-6)
    at_once = place_files(whole, origin=F(0), resolution=SECOND, dated=True)
    placed_later = grown(written, batches)
    assert places(written) == places(whole)
    assert placed_later.end == at_once.end
    assert placed(written).gaps == []
    assert at_once.clock is not None
    assert placed_later.clock is not None
    assert len(placed_later.clock.points) <= len(at_once.clock.points) + 1
    for second in (0, 100, 1000, float(at_once.end)):
        assert placed_later.clock.time_at(second) == pytest.approx(at_once.clock.time_at(second), abs=150)
    assert len(placed_later.last.files) <= 40


def test_gap_before_added_files_has_their_clock() -> None:
    found = files([9.6, 11.2] * 40, missing=(30, 31, 32))
    clock = grown(found, [20, *[1] * 57]).clock
    (gap,) = placed(found).gaps
    assert (gap.end - gap.start) / SECOND == pytest.approx(30.4, abs=0.6)
    assert clock is not None
    for second in (100, 400, 800):
        assert clock.time_at(second) - NOON // 1000 - 700 == pytest.approx(second * 1000, abs=600)


def test_marks_place_added_files_exactly() -> None:
    found = [
        each._replace(mark=Mark("a" * 32, number, number * 10_040_000_000, (NOON + number * 10_040_000) * 1000))
        for number, each in enumerate(files([10.0] * 50))
    ]
    clock = grown(found, [3, 30, 1, 16]).clock
    assert places(found) == [number * 10_040_000 for number in range(50)]
    assert clock is not None
    assert (clock.source, clock.accuracy_seconds) == ("mtxi", 0.001)


@pytest.mark.parametrize(
    ("pattern", "timezone", "is_ordered"),
    [
        (FRIGATE, "UTC", True),
        (FRIGATE, "Europe/Berlin", False),
        ("{camera}/%s.ts", "Europe/Berlin", True),
        ("{camera}/%d-%m-%Y %H.mp4", "UTC", False),
        ("{camera}/*-%H.mp4", "UTC", False),
        ("{camera}/%H-{n}.mp4", "UTC", False),
    ],
)
def test_names_of_a_camera_are_ordered_if_no_part_of_them_sorts_otherwise(
    pattern: str, timezone: str, is_ordered: bool
) -> None:
    assert NamePattern(pattern, timezone=timezone, camera="front").is_ordered is is_ordered
    assert not NamePattern(pattern, timezone=timezone).is_ordered


def test_names_in_local_time_are_ordered_unless_the_day_repeats_an_hour() -> None:
    def is_ordered(day: date) -> bool:
        return NamePattern(FRIGATE, timezone="Europe/Berlin", camera="front", day=day).is_ordered

    assert is_ordered(date(2026, 11, 28))
    assert not is_ordered(date(2026, 10, 25))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_any_day_of_the_calendar_ends(day: str, zone: str) -> None:
    """Row 106 of the faults: the last one raised OverflowError in every scan of the watch."""
    source = FolderSource("cam/", FRIGATE, zone, camera="front", day=day)
    assert source.day_ends is not None
    assert NamePattern(FRIGATE, timezone=zone, day=date.fromisoformat(day)).is_ordered in (True, False)


def test_file_of_an_impossible_day_belongs_to_no_recording() -> None:
    pattern = NamePattern("{camera}/%Y-%m-%d/%H.%M.%S.ts")
    assert pattern.group_of("y9/9999-12-31/23.59.59.ts") is None
    assert pattern.match("y9/9999-12-31/23.59.59.ts") is None
    assert pattern.group_of("front/2026-11-29/10.00.00.ts") == ("front", date(2026, 11, 29))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/9999-12-31/23.59.59.ts", "its name has no time of a day of 1970 to 2199"),
        ("a/1970-01-01/00.00.00.ts", "its name has no time of a day of 1970 to 2199"),  # 1969 east of Greenwich
        ("a/2026-11-29/24.00.00.ts", "its name has no time of a day of 1970 to 2199"),
        ("a/2026-11-29/23.60.00.ts", "its name has no time of a day of 1970 to 2199"),
        ("a/2026-11-29/23.59.59.ts", None),
        ("a/2026-11-29/other.ts", None),
    ],
)
def test_reason_for_a_misfit_is_named(name: str, reason: str | None) -> None:
    assert NamePattern("{camera}/%Y-%m-%d/%H.%M.%S.ts").misfit(name) == reason


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize(
    ("name", "is_moment"),
    [
        ("1970-01-01T00.00.00.ts", False),
        ("1970-01-02T00.00.00.ts", True),
        ("2199-12-30T23.59.59.ts", True),
        ("2199-12-31T00.00.00.ts", False),
    ],
)
def test_times_of_names_are_moments_in_every_time_zone(name: str, is_moment: bool, zone: str) -> None:
    found = NamePattern("%Y-%m-%dT%H.%M.%S.ts", timezone=zone).match(name)
    assert (found is not None) == is_moment
    assert found is None or 0 <= (found.time or 0) < END * 1000


@pytest.mark.parametrize(("name", "time"), [("7258118399.ts", 7_258_118_399_000_000), ("7258118400.ts", None)])
def test_seconds_in_names_are_moments(name: str, time: int | None) -> None:
    found = NamePattern("%s.ts").match(name)
    assert (found and found.time) == time
