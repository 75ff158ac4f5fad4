"""Values of options: times of the past."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest

from clipengine.cli.options import past_value


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-05T11:00:00+02:00", "2026-07-05T09:00:00.000Z"),
        ("2026-07-05", "2026-07-04T22:00:00.000Z"),
        ("2026-12-05", "2026-12-04T23:00:00.000Z"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_day_is_its_midnight_in_the_zone_of_the_machine(text: str, moment: str) -> None:
    assert past_value(text) == moment


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("7 days ago", timedelta(days=7)),
        ("1 day ago", timedelta(days=1)),
        ("90 minutes ago", timedelta(minutes=90)),
        ("36hours ago", timedelta(hours=36)),
        (" 2 weeks  ago ", timedelta(weeks=2)),
        ("0 days ago", timedelta()),
    ],
)
def test_time_before_now(text: str, ago: timedelta) -> None:
    before = datetime.now(UTC) - ago - timedelta(milliseconds=1)
    assert before <= datetime.fromisoformat(past_value(text)) <= datetime.now(UTC) - ago


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "-1 days ago", "1.5 days ago", "7 months ago", "2026-13-01", "2026-02-30", "2026-07-05T11:00:00"],
)
def test_other_text_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as '7 days ago'"):
        past_value(text)


@pytest.mark.parametrize("text", ["999999 days ago", "999999 weeks ago", "9999-12-31T23:59:59-23:59", "0001-01-01"])
def test_time_outside_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        past_value(text)
