"""Frame rate: the usual distance of frames, and whether it varies."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from statistics import median

import pytest

from clipengine.media.input.timing.frame_rate import frame_rate

_MILLISECOND = Fraction(1, 1000)


def _of(*milliseconds: int) -> Counter[Fraction]:
    return Counter(each * _MILLISECOND for each in milliseconds)


def test_usual_distance_is_the_median() -> None:
    numbers = random.Random(1)
    for _ in range(200):
        distances = [Fraction(numbers.randrange(1, 9), 7) for _ in range(numbers.randrange(1, 40))]
        found = frame_rate(Counter(distances), Fraction(100), Fraction(1, 90_000), interlaced=False)
        assert found.frame_seconds == median(distances)


def test_rounded_times_have_the_nominal_rate() -> None:
    found = frame_rate(_of(33, 33, 34, 33, 33, 34), Fraction(1, 30), _MILLISECOND, interlaced=False)
    assert found == (Fraction(1, 30), False)


def test_recording_without_distances_has_the_nominal_rate() -> None:
    assert frame_rate(Counter(), Fraction(1, 25), _MILLISECOND, interlaced=False) == (Fraction(1, 25), False)


@pytest.mark.parametrize(("unusual", "variable"), [(2, False), (3, True)])
def test_rate_varies_if_more_than_a_fifth_of_the_distances_do(unusual: int, variable: bool) -> None:
    distances = _of(*[40] * (10 - unusual), *[80] * unusual)
    assert frame_rate(distances, Fraction(1, 25), _MILLISECOND, interlaced=False).variable is variable


def test_single_fields_have_the_rate_of_frames() -> None:
    fields = _of(*[20] * 10)
    assert frame_rate(fields, Fraction(1, 25), _MILLISECOND, interlaced=True) == (Fraction(1, 25), False)
    assert frame_rate(fields, Fraction(1, 25), _MILLISECOND, interlaced=False).frame_seconds == Fraction(1, 50)
