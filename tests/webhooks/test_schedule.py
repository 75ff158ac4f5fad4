"""The retry schedule: its steps, its spread, its end, and a receiver's own wish."""

from __future__ import annotations

import pytest

from clipengine.webhooks.schedule import next_delay_seconds

DAY = 86_400.0
STEPS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate(STEPS, start=1)))
def test_each_attempt_has_its_delay_spread_by_a_fifth(attempt: int, seconds: int) -> None:
    assert next_delay_seconds(attempt, retry_after=None, random=middle) == seconds
    assert next_delay_seconds(attempt, retry_after=None, random=lambda: 0.0) == pytest.approx(seconds * 0.8)
    assert next_delay_seconds(attempt, retry_after=None, random=lambda: 1.0) == pytest.approx(seconds * 1.2)


def test_the_tenth_failure_is_the_last() -> None:
    assert next_delay_seconds(10, retry_after=None) is None
    assert next_delay_seconds(10, retry_after=60) is None


@pytest.mark.parametrize(
    ("attempt", "retry_after", "seconds"),
    [(1, 3600, 3600), (1, 0, 5), (4, 10, 7200), (1, 10 * 365 * DAY, DAY), (9, 10 * 365 * DAY, DAY)],
)
def test_retry_after_only_lengthens_the_delay_and_by_a_day_at_most(
    attempt: int, retry_after: float, seconds: float
) -> None:
    assert next_delay_seconds(attempt, retry_after=retry_after, random=middle) == seconds


def test_the_default_spread_is_random() -> None:
    delays = {next_delay_seconds(5, retry_after=None) for _ in range(20)}
    assert len(delays) > 1
    assert all(delay and 14_400 <= delay <= 21_600 for delay in delays)
