"""The size of a clip's picture if the size changes inside a recording, as in recordings of WebRTC. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the inspector starts without pydantic
    from clipengine.recordings.facts import VideoFacts

_LEAST_SECONDS = 1  # for which a size must be shown to decide: a single damaged or hostile frame must not
_NAMED_SIZES = 5

Size = tuple[int, int]


class Picture(NamedTuple):
    """A stored size and its sample aspect ratio, if the codec's headers state it."""

    width: int
    height: int
    ratio: Fraction | None = None

    @property
    def size(self) -> Size:
        return self.width, self.height


class PictureSize(NamedTuple):
    """The stored picture from which the clip's size is derived, and the others in the range, which are fitted into it.

    The `ratio` is its sample aspect ratio, if the codec's headers state it.
    """

    width: int
    height: int
    others: tuple[Picture, ...] = ()
    ratio: Fraction | None = None

    def applied_to(self, video: VideoFacts) -> VideoFacts:
        """Return the facts of a recording whose pictures are all like this one."""
        size = self.width, self.height
        ratio = self.ratio or unstated_ratio(size, (video.width, video.height), video.sample_aspect_ratio)
        return video.model_copy(update={"width": self.width, "height": self.height, "sample_aspect_ratio": ratio})

    def explains(self, seen: PictureSize) -> bool:
        """Return True if the headers, from which this picture was chosen, state why frames differ as they were seen."""
        return bool(self.others) or all(each.size == (seen.width, seen.height) for each in seen.others)

    @property
    def others_text(self) -> str:
        """The other pictures, as far as a warning names them."""
        more = len(self.others) - _NAMED_SIZES
        named = ", ".join(self._text(each) for each in self.others[:_NAMED_SIZES])
        return f"{named} and {more} more sizes" if more > 0 else named

    def _text(self, other: Picture) -> str:
        size = f"{other.width}x{other.height}"
        if other.ratio is None or other.size != (self.width, self.height):
            return size
        return f"{size} with the sample aspect ratio {other.ratio.numerator}:{other.ratio.denominator}"


def chosen_size(shown: Mapping[Picture, Fraction]) -> PictureSize:
    """Return the largest size that is shown for at least a second in total, or else the longest shown size.

    Of its sample aspect ratios, the longest shown ratio is chosen.
    """
    seconds: defaultdict[Size, Fraction] = defaultdict(Fraction)
    for picture, each in shown.items():
        seconds[picture.size] += each
    long = [size for size, each in seconds.items() if each >= _LEAST_SECONDS]
    size = max(long, key=_pixels) if long else max(seconds, key=lambda each: (seconds[each], _pixels(each)))
    chosen = max((each for each in shown if each.size == size), key=lambda each: shown[each])
    return PictureSize(*size, tuple(each for each in shown if each != chosen), chosen.ratio)


def unstated_ratio(size: Size, other: Size, ratio: Fraction) -> Fraction:
    """Return the sample aspect ratio of pictures of this size, given the `ratio` of another size.

    Anamorphic pictures keep their shape: broadcasts change the number of their pixels.
    """
    return ratio if ratio == 1 or size == other else ratio * Fraction(*other) / Fraction(*size)


def _pixels(size: Size) -> tuple[int, int]:
    return size[0] * size[1], size[0]
