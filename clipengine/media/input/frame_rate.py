"""Frame rate of a recording, from the distances of its frames. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median
from typing import NamedTuple

_VARIABLE_PART = Fraction(1, 5)  # minimum part of unusual distances of a variable frame rate


class FrameRate(NamedTuple):
    """Usual distance of frames in seconds, and whether many distances differ from it."""

    frame_seconds: Fraction
    variable: bool


def frame_rate(distances: Sequence[Fraction], nominal: Fraction, tick: Fraction, *, interlaced: bool) -> FrameRate:
    """Return the frame rate. `nominal` is the distance that the container states, `tick` its unit of time."""
    usual = median(distances) if distances else nominal
    are_fields = interlaced and usual < nominal * Fraction(3, 4)  # packets are single fields
    if are_fields or abs(usual - nominal) <= tick:  # stored times may be rounded
        usual = nominal
    unusual = sum(abs(distance - usual) > max(tick, usual / 10) for distance in distances)
    return FrameRate(usual, not are_fields and unusual > len(distances) * _VARIABLE_PART)
