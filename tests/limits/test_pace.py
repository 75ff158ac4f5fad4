"""Least throughput: bursts of the past do not excuse a sender that has become slow."""

from __future__ import annotations

import pytest

from clipengine.limits.pace import LEAST_BYTES_PER_SECOND, Pace


def test_slow_sender_is_rejected_after_the_window() -> None:
    """Row 83 of the faults."""
    pace = Pace(60)
    for _ in range(5):
        pace.add(waited=10, received=1)
    assert pace.left() == 10
    with pytest.raises(TimeoutError):
        pace.add(waited=10, received=1)


def test_sender_with_the_least_throughput_is_accepted() -> None:
    pace = Pace(60)
    for _ in range(1000):
        pace.add(waited=1, received=LEAST_BYTES_PER_SECOND)
        assert 0 < pace.left() <= 60


def test_least_throughput_may_grow_while_a_body_arrives() -> None:
    least = LEAST_BYTES_PER_SECOND
    pace = Pace(60, lambda: least)
    for _ in range(100):
        pace.add(waited=1, received=LEAST_BYTES_PER_SECOND)
    least *= 2
    pace.add(waited=19, received=19 * LEAST_BYTES_PER_SECOND)
    with pytest.raises(TimeoutError, match="2048"):
        pace.add(waited=1, received=LEAST_BYTES_PER_SECOND)


def test_burst_counts_for_its_window_only() -> None:
    pace = Pace(60)
    pace.add(waited=59.5, received=1_000_000_000)
    assert pace.left() == 60  # the end of the window is no deadline for a sender that was fast in it
    pace.add(waited=1, received=1)
    with pytest.raises(TimeoutError):
        pace.add(waited=60, received=1)
