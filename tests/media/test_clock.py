"""Conversion of timestamps to seconds and back."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from clipengine.media.input.timing.timeline import Clock

pytestmark = pytest.mark.proof

TICKS = (Fraction(1, 90_000), Fraction(1, 1000), Fraction(1001, 30_000), Fraction(1, 44_100), Fraction(3))
SHIFTS = (Fraction(0), Fraction(-7, 3), Fraction(1, 90_000), Fraction(10**9, 7))


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
@pytest.mark.parametrize("tick", TICKS, ids=str)
def test_clock_is_exact(tick: Fraction, shift: Fraction) -> None:
    clock, numbers = Clock(tick, shift), random.Random(1)
    for _ in range(200):
        stamp = numbers.randint(-(2**62), 2**62)
        assert clock.time(stamp) == stamp * tick + shift
        assert clock.stamp(clock.time(stamp)) == stamp
        time = Fraction(numbers.randint(-(10**9), 10**9), numbers.randint(1, 10**6))
        assert clock.stamp(time) == round((time - shift) / tick)


def test_clock_rounds_ties_to_even() -> None:
    clock = Clock(Fraction(1, 10))
    assert [clock.stamp(Fraction(half, 20)) for half in (-3, -1, 1, 3, 5)] == [-2, 0, 0, 2, 2]
