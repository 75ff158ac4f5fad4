"""The size of a clip's picture if the size changes inside a recording, as in recordings of WebRTC. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

_LEAST_SECONDS = 1  # for which a size must be shown to decide: a single damaged or hostile frame must not
_NAMED_SIZES = 5


class PictureSize(NamedTuple):
    """The stored size from which the clip's is derived, and the others in the range, which are fitted into it."""

    width: int
    height: int
    others: tuple[tuple[int, int], ...] = ()

    @property
    def others_text(self) -> str:
        """The other sizes, as far as a warning names them."""
        more = len(self.others) - _NAMED_SIZES
        named = ", ".join(f"{width}x{height}" for width, height in self.others[:_NAMED_SIZES])
        return f"{named} and {more} more sizes" if more > 0 else named


def chosen_size(shown: Mapping[tuple[int, int], Fraction]) -> PictureSize:
    """Return the largest size that is shown for at least a second in total, or else the one shown longest."""
    long = [size for size, seconds in shown.items() if seconds >= _LEAST_SECONDS]
    size = max(long, key=_pixels) if long else max(shown, key=lambda each: (shown[each], _pixels(each)))
    return PictureSize(*size, tuple(each for each in shown if each != size))


def _pixels(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] * size[1], size[0]
