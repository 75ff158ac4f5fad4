"""Delays between attempts."""

from __future__ import annotations

import pytest

from clipengine.basis.backoff import Backoff

BACKOFF = Backoff(2, 300)


@pytest.mark.parametrize(("failures", "longest"), [(1, 2), (2, 4), (3, 8), (9, 300), (10_000, 300)])
def test_delay_doubles_up_to_the_longest(failures: int, longest: float) -> None:
    delays = [BACKOFF.after(failures) for _ in range(100)]
    assert longest / 2 <= min(delays) < max(delays) <= longest


@pytest.mark.parametrize(("waited", "longest"), [(0, 2), (2, 2), (100, 100), (1e6, 300)])
def test_delay_is_as_long_as_all_before_it(waited: float, longest: float) -> None:
    delays = [BACKOFF.after_waiting(waited) for _ in range(100)]
    assert longest / 2 <= min(delays) < max(delays) <= longest
