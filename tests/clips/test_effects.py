"""Repetition of held frames during a fade."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from clipengine.clips.options.effects import Effects, faded_steps

_FADES = Effects(length=Fraction(3), fade_in=Fraction(99, 100), fade_out=Fraction(99, 100))


@pytest.mark.parametrize("fps", [25, 24, 30, 120])
def test_frames_of_a_usual_rate_are_not_repeated(fps: int) -> None:
    step = Fraction(1, fps)
    for number in range(3 * fps):
        assert list(faded_steps(number * step, step, _FADES, step=step)) == [(number * step, step)]


@pytest.mark.parametrize("step", [Fraction(0), Fraction(1, 25), Fraction(1), Fraction(3)])
def test_held_frame_is_repeated_during_both_fades_only(step: Fraction) -> None:
    found = list(faded_steps(Fraction(0), Fraction(3), _FADES, step=step))
    assert sum(duration for _, duration in found) == 3
    assert [duration for _, duration in found if duration > Fraction(3, 50)] == [Fraction(101, 100)]
    assert (found[25][0], found[26][0], len(found)) == (Fraction(1), Fraction(201, 100), 51)
    assert all(time + duration == after for (time, duration), (after, _) in pairwise(found))
