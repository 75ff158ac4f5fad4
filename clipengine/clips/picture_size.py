"""The size of a clip's picture if the size changes inside a recording, as in recordings of WebRTC. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

from clipengine.clips.facts import VideoFacts

_LEAST_SECONDS = 1  # for which a size must be shown to decide: a single damaged or hostile frame must not
_NAMED_SIZES = 5

Size = tuple[int, int]
_UNSTATED: Mapping[Size, Fraction] = MappingProxyType({})


class PictureSize(NamedTuple):
    """The stored size from which the clip's is derived, and the others in the range, which are fitted into it.

    The `ratios` are the sample aspect ratios of stored pictures, as far as the codec's headers state them.
    """

    width: int
    height: int
    others: tuple[Size, ...] = ()
    ratios: Mapping[Size, Fraction] = _UNSTATED

    def applied_to(self, video: VideoFacts) -> VideoFacts:
        """Return the facts of a recording whose pictures all have this size."""
        size = self.width, self.height
        ratio = ratio_of(size, (video.width, video.height), video.sample_aspect_ratio, self.ratios)
        return video.model_copy(update={"width": self.width, "height": self.height, "sample_aspect_ratio": ratio})

    @property
    def others_text(self) -> str:
        """The other sizes, as far as a warning names them."""
        more = len(self.others) - _NAMED_SIZES
        named = ", ".join(f"{width}x{height}" for width, height in self.others[:_NAMED_SIZES])
        return f"{named} and {more} more sizes" if more > 0 else named


def chosen_size(shown: Mapping[Size, Fraction], ratios: Mapping[Size, Fraction] = _UNSTATED) -> PictureSize:
    """Return the largest size that is shown for at least a second in total, or else the one shown longest."""
    long = [size for size, seconds in shown.items() if seconds >= _LEAST_SECONDS]
    size = max(long, key=_pixels) if long else max(shown, key=lambda each: (shown[each], _pixels(each)))
    return PictureSize(*size, tuple(each for each in shown if each != size), ratios)


def ratio_of(size: Size, other: Size, ratio: Fraction, ratios: Mapping[Size, Fraction]) -> Fraction:
    """Return the sample aspect ratio of pictures of this size, given that of pictures of another one.

    Without a stated ratio anamorphic pictures keep their shape: broadcasts change the number of their pixels.
    """
    if size == other or (ratio == 1 and size not in ratios):
        return ratio
    return ratios.get(size, ratio * Fraction(*other) / Fraction(*size))


def _pixels(size: Size) -> tuple[int, int]:
    return size[0] * size[1], size[0]
