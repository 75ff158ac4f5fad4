"""Ranges, labels and object keys of a clip request, as tables."""

from __future__ import annotations

import math

import pytest

from clipengine.clips.labels import check_label
from clipengine.clips.request import check_range
from clipengine.errors import InvalidLabel, InvalidTimeRange
from clipengine.recordings.names import slug


def pointers(start: float | None, end: float | None, duration: float = 10.0) -> list[str]:
    """Return where the errors of a range point; nothing if it is valid."""
    try:
        check_range(start, end, duration=duration, shortest=0.0, longest=60.0)
    except InvalidTimeRange as error:
        return [each["pointer"] for each in error.errors]
    return []


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        (0.0, 10.0, []),
        (9.0, 11.0, []),  # clamped: clients round durations up
        (9.0, 11.1, ["/end_seconds"]),
        (-0.1, 5.0, ["/start_seconds"]),
        (10.0, 10.5, ["/start_seconds"]),
        (5.0, 5.0, ["/start_seconds", "/end_seconds"]),
        (6.0, 5.0, ["/start_seconds", "/end_seconds"]),
        (math.nan, 5.0, ["/start_seconds"]),
        (0.0, math.inf, ["/end_seconds"]),
        (0.0, 1e308, ["/end_seconds"]),
        (0.0, 0.001, []),
        (0.0, 0.0005, ["/start_seconds", "/end_seconds"]),
        (None, 5.0, []),
    ],
)
def test_range_errors_point_at_the_times_that_are_wrong(
    start: float | None, end: float | None, wrong: list[str]
) -> None:
    assert pointers(start, end) == wrong


def test_limits_of_the_settings_apply_to_the_length() -> None:
    with pytest.raises(InvalidTimeRange, match="at least 2 s"):
        check_range(0.0, 1.0, duration=100.0, shortest=2.0, longest=60.0)
    with pytest.raises(InvalidTimeRange, match="at most 60 s"):
        check_range(0.0, 61.0, duration=100.0, shortest=0.0, longest=60.0)


def test_whole_recording_is_a_range_however_short_it_is() -> None:
    assert pointers(0.0, 0.0004, duration=0.0004) == []


@pytest.mark.parametrize("label", ["", "   ", "x" * 201, "a\nb", "a\x00b", "a\u2028b", "a\ud800b"])
def test_label_that_no_list_could_show_is_rejected(label: str) -> None:
    with pytest.raises(InvalidLabel):
        check_label(label)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Key moment", "key-moment"),
        ("../../etc/passwd", "etc-passwd"),
        ("a\uff0fb\uff0ec", "a-b-c"),  # full-width look-alikes of / and .
        ("Обзор №1", "обзор-no1"),
        ("日本語", "日本語"),
        ("...", "clip"),
        ("x" * 100, "x" * 60),
    ],
)
def test_slug_keeps_letters_of_any_script_and_no_separator(label: str, expected: str) -> None:
    assert slug(label) == expected


def test_slug_is_limited_in_bytes() -> None:
    assert len(slug("\U00020000" * 60).encode()) <= 180
