"""Moments: the one parser of times from outside, and the one serialiser of stored ones."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from clipengine.basis.moments import (
    END,
    Notices,
    nearest,
    parse_day,
    parse_http_date,
    parse_microseconds,
    parse_moment,
    rfc3339,
    utc,
)


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2025-04-05T11:00:00.5z", 1_743_850_800_500),
        ("2025-04-05T13:00:00.500+02:00", 1_743_850_800_500),
        ("2199-12-31T23:59:59.999Z", END - 1),
        ("2200-01-01T12:00:00+12:00:01", END - 1000),
    ],
)
def test_moment_is_parsed(text: str, millis: int) -> None:
    assert parse_moment(text) == millis


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59.999Z",
        "2199-12-31T23:59:59.9995Z",
        "2025-04-05T11:00:00",
        "2025-04-05T11:00:60Z",
        "2025-04-05T11:00:00\0Z",
        "2025-04-05\ud80011:00:00Z",
        "2025-04-05T11:00:00+99:99",
        "NaN",
        "",
        "0" * 10_000,
    ],
)
def test_other_text_is_no_moment(text: str) -> None:
    for parse in (parse_moment, parse_http_date):
        with pytest.raises(ValueError, match=r"is not a time|between 1970 and 2199|has no time zone"):
            parse(text)


def test_time_without_an_offset_may_be_in_utc() -> None:
    assert parse_microseconds(" 1970-01-01T00:00:01.000001 ", is_utc=True) == 1_000_001


@pytest.mark.parametrize("text", ["Fri, 31 Dec 9999 23:59:59 -2359", "Sat, 01 Jan 2000 00:00:00 +9999999999", "soon"])
def test_date_of_a_header_beyond_the_calendar_is_refused(text: str) -> None:
    assert parse_http_date("Sat, 01 Jan 2000 00:00:00 GMT") == 946_684_800_000
    with pytest.raises(ValueError, match=r"is not a time|between 1970 and 2199"):
        parse_http_date(text)


@pytest.mark.parametrize("text", ["1970-01-01", "2199-12-31", "0001-01-01", "9999-12-31", "2025-02-29", "x"])
def test_day_is_within_the_bounds_in_every_time_zone(text: str) -> None:
    assert parse_day("2025-04-05").isoformat() == "2025-04-05"
    with pytest.raises(ValueError, match=r"between|isoformat|day"):
        parse_day(text)


@pytest.mark.parametrize("millis", [-(1 << 63), -1, 0, 999, END - 1, END, 253_402_387_139_000, (1 << 63) - 1])
def test_every_stored_integer_is_shown(millis: int) -> None:
    shown = rfc3339(millis)
    assert parse_moment(shown) == nearest(millis)
    assert utc(millis) == datetime.fromisoformat(shown) <= datetime(2200, 1, 1, tzinfo=UTC)


def test_notices_are_logged_once_for_each_of_a_bounded_number_of_subjects(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices("numbers")
    with caplog.at_level(logging.WARNING):
        for number in [*range(1100)] * 2:
            notices.note(number, "number %d", number)
    assert [each.getMessage() for each in caplog.records] == [
        *(f"number {number}" for number in range(1000)),
        "numbers: further ones are not logged",
    ]
