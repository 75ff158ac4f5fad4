"""The pieces of filmstrips and waveforms that the page requests first. Pure.

A level divides a recording into pieces of 2^n seconds, the last of which ends with the recording. The page's
`player/timeline/previews.js` requests the same pieces, also of finer levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

TILE_WIDTH = 160
_TILES, _POINTS = 8, 1024  # of one piece
_SHORTEST_SECONDS = 0.25  # of a piece
_COARSE_SECONDS, _COARSE_PIECES = 64, 16  # coarse levels have longer pieces, and not more
_WAVE_SECONDS = 1024  # longest piece of a waveform
_MAX_WAVES = 64  # pieces of a whole waveform


class Piece(NamedTuple):
    """A piece of a level, in seconds, and its parts, which are tiles or points. The last piece has no end."""

    start: float
    end: float | None
    parts: int


def coarse_filmstrips(duration: float) -> Iterator[Piece]:
    """Yield the pieces of the coarse levels, the coarsest first, to a tile for each 1/64 of the recording or finer."""
    longest = seconds = _longest(duration)
    while seconds == longest or seconds >= max(_COARSE_SECONDS, longest / _COARSE_PIECES):
        yield from _pieces(seconds, duration, _TILES)
        seconds /= 2


def whole_waveform(duration: float) -> Iterator[Piece]:
    """Yield the pieces of the waveform of the whole recording."""
    longest = _longest(duration)
    yield from _pieces(min(longest, max(_WAVE_SECONDS, longest / _MAX_WAVES)), duration, _POINTS)


def tile_moments(start: Fraction, end: Fraction, count: int) -> list[Fraction]:
    """Return the times of the tiles of a filmstrip: the middle of each of `count` equal parts of the range."""
    return [start + (end - start) * (2 * number + 1) / (2 * count) for number in range(count)]


def _longest(duration: float) -> float:
    """Return the length of the piece that holds the whole recording."""
    seconds = _SHORTEST_SECONDS
    while seconds < duration:
        seconds *= 2
    return seconds


def _pieces(seconds: float, duration: float, count: int) -> Iterator[Piece]:
    for number in range(math.ceil(duration / seconds)):
        start = number * seconds
        end = min(duration, start + seconds)
        yield Piece(start, end if end < duration else None, math.ceil((end - start) / seconds * count))
