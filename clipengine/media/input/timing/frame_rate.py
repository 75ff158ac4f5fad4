"""Frame rate of a recording, from the distances of its frames. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

_VARIABLE_PART = Fraction(1, 5)  # minimum part of unusual distances of a variable frame rate


class FrameRate(NamedTuple):
    """Usual distance of frames in seconds, and whether many distances differ from it."""

    frame_seconds: Fraction
    variable: bool


def frame_rate(distances: Counter[Fraction], nominal: Fraction, tick: Fraction, *, interlaced: bool) -> FrameRate:
    """Return the frame rate. `distances` counts the frames by their distance to the next one, in seconds.

    `nominal` is the distance that the container states, `tick` its unit of time.
    """
    usual = median(distances) if distances else nominal
    are_fields = interlaced and usual < nominal * Fraction(3, 4)  # packets are single fields
    if are_fields or abs(usual - nominal) <= tick:  # stored times may be rounded
        usual = nominal
    allowed = max(tick, usual / 10)
    unusual = sum(count for distance, count in distances.items() if abs(distance - usual) > allowed)
    return FrameRate(usual, not are_fields and unusual > distances.total() * _VARIABLE_PART)


def median(counts: Counter[Fraction]) -> Fraction:
    """Return the median of the counted values; of an even number, the mean of the two in the middle."""
    values = sorted(counts)
    passed = list(accumulate(counts[value] for value in values))
    total = passed[-1]
    lower, upper = (values[bisect_right(passed, place)] for place in ((total - 1) // 2, total // 2))
    return (lower + upper) / 2
