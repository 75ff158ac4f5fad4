"""Retry schedule: delays, jitter, last attempt and Retry-After."""

from __future__ import annotations

import pytest

from clipengine.webhooks.schedule import next_delay_seconds

DAY = 86_400.0
STEPS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate(STEPS, start=1)))
def test_delay_of_each_attempt_has_20_percent_jitter(attempt: int, seconds: int) -> None:
    assert next_delay_seconds(attempt, retry_after=None, random=middle) == seconds
    assert next_delay_seconds(attempt, retry_after=None, random=lambda: 0.0) == pytest.approx(seconds * 0.8)
    assert next_delay_seconds(attempt, retry_after=None, random=lambda: 1.0) == pytest.approx(seconds * 1.2)


def test_no_retry_follows_the_tenth_failure() -> None:
    assert next_delay_seconds(10, retry_after=None) is None
    assert next_delay_seconds(10, retry_after=60) is None


@pytest.mark.parametrize(
    ("attempt", "retry_after", "seconds"),
    [(1, 3600, 3600), (1, 0, 5), (4, 10, 7200), (1, 10 * 365 * DAY, DAY), (9, 10 * 365 * DAY, DAY)],
)
def test_retry_after_lengthens_the_delay_up_to_a_day(attempt: int, retry_after: float, seconds: float) -> None:
    assert next_delay_seconds(attempt, retry_after=retry_after, random=middle) == seconds


def test_default_jitter_is_random() -> None:
    delays = {next_delay_seconds(5, retry_after=None) for _ in range(20)}
    assert len(delays) > 1
    assert all(delay and 14_400 <= delay <= 21_600 for delay in delays)
