"""Framing of a clip's picture: the part of the recording's picture that it shows, its size and its bars. Pure.

Sizes and positions are whole even numbers of pixels, because the clip's chroma has half the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from clipengine.clips.options.effects import focus_at
from clipengine.clips.options.output import ExactSize, Focus, Output, Region
from clipengine.clips.options.profiles import Profile
from clipengine.recordings.facts import VideoFacts

_LEAST_PIXELS = 16  # in both directions; encoders need some
_FUZZ = 1e-6  # of pixels; fractions are not exact


class Box(NamedTuple):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int


class Size(NamedTuple):
    width: int
    height: int


class Framing(NamedTuple):
    """The clip shows `region` of the upright picture, scaled to the size `inner`, in the middle of `canvas`."""

    region: Box
    inner: Size
    canvas: Size
    sample_aspect_ratio: Fraction

    def keeps(self, width: int, height: int) -> bool:
        """Return True if an upright picture of this size, with this sample aspect ratio, is not changed."""
        return self.region == (0, 0, width, height) and self.inner == self.canvas == (width, height)


def framing(
    output: Output, width: int, height: int, ratio: Fraction, *, max_height: int | None, square: bool = False
) -> Framing:
    """Return the framing of an upright picture of an even size with the sample aspect ratio `ratio`.

    With `square`, the clip has square pixels even if no `aspect` is set. A moving focus is taken at its first place.
    """
    focus = output.focus_path[0] if output.focus_path else output.focus
    region = shown_region(output, width, height, ratio, focus if isinstance(focus, Focus) else None)
    aspect = output.aspect_ratio
    shown_width, shown_height = region.width * ratio, Fraction(region.height)
    if aspect is None and not square:
        size = _limited(Fraction(region.width), shown_height, max_height)
        return Framing(region, size, size, ratio)
    fills = aspect is None or output.fit in (None, "crop")
    if output.size is not None:
        canvas = _sized(output.size, shown_width, shown_height, fills)
    elif aspect is None or fills:
        canvas = _limited(shown_width, shown_height, max_height)
    else:
        short = min(shown_width, shown_height)
        canvas = _limited(max(short, short * aspect), max(short, short / aspect), max_height)
    if fills:
        return Framing(region, canvas, canvas, Fraction(1))
    scale = min(canvas.width / shown_width, canvas.height / shown_height)
    inner = Size(
        min(canvas.width, max(2, _even(shown_width * scale))),
        min(canvas.height, max(2, _even(shown_height * scale))),
    )
    return Framing(region, inner, canvas, Fraction(1))


def shown_region(output: Output, width: int, height: int, ratio: Fraction, focus: Focus | None) -> Box:
    """Return the part that is shown of an upright picture of this size, with the focus at this point."""
    region = _part(output.crop, width, height)
    if output.aspect_ratio is None or output.fit not in (None, "crop"):
        return region
    return _narrowed(region, output.aspect_ratio / ratio, _point(focus, region, width, height))


def region_path(video: VideoFacts, output: Output) -> Iterator[tuple[float, Box]]:
    """Yield times, each with the region that is shown then, for a focus that moves.

    Between two times it moves at a constant speed. The times at which it reaches an edge of the picture are included.
    """
    size, found = upright_framing(video, output)
    path, ratio = output.focus_path, upright_ratio(video.sample_aspect_ratio, video.rotation)
    within, shown = _part(output.crop, *size), found.region
    edges = {
        "x": (within.x + shown.width / 2, within.x + within.width - shown.width / 2, size.width),
        "y": (within.y + shown.height / 2, within.y + within.height - shown.height / 2, size.height),
    }
    times = {each.time for each in path}
    for each, later in pairwise([*path]):
        for axis, (low, high, whole) in edges.items():
            begin, end = (getattr(focus, axis) * whole for focus in (each, later))
            for edge in (low, high):
                if min(begin, end) < edge < max(begin, end):
                    times.add(each.time + (later.time - each.time) * (edge - begin) / (end - begin))
    for time in sorted(times):
        yield time, shown_region(output, *size, ratio, focus_at(path, time))


def clip_size(video: VideoFacts, profile: Profile) -> Size:
    """Return the size of a clip's upright picture, if the recording's picture always has the size of the facts."""
    if reframes(profile, upright_ratio(video.sample_aspect_ratio, video.rotation)):
        return _framing_of(video, profile).canvas
    return Size(*output_size(video.width, video.height, rotation=video.rotation, max_height=profile.max_height))


def upright_framing(video: VideoFacts, output: Output) -> tuple[Size, Framing]:
    """Return the size of the recording's upright picture and the framing of a clip of it with these options."""
    size = Size(*_upright_size(video))
    ratio = upright_ratio(video.sample_aspect_ratio, video.rotation)
    return size, framing(output, *size, ratio, max_height=output.max_height)


def reframes(profile: Profile, ratio: Fraction) -> bool:
    """Return True if frames with this sample aspect ratio are reframed. Animations have square pixels."""
    return profile.output.reframes or (profile.is_animation and ratio != 1)


def keeps_picture(video: VideoFacts, profile: Profile) -> bool:
    """Return False if the output options change the picture, apart from `max_height`."""
    if not profile.output.reframes:
        return True
    unlimited = profile.model_copy(update={"max_height": None})
    return _framing_of(video, unlimited).keeps(*_upright_size(video))


def _framing_of(video: VideoFacts, profile: Profile) -> Framing:
    ratio = upright_ratio(video.sample_aspect_ratio, video.rotation)
    square = profile.is_animation
    return framing(profile.output, *_upright_size(video), ratio, max_height=profile.max_height, square=square)


def _upright_size(video: VideoFacts) -> tuple[int, int]:
    return output_size(video.width, video.height, rotation=video.rotation, max_height=None)


def upright_ratio(sample_aspect_ratio: Fraction | None, rotation: int) -> Fraction:
    """Return the sample aspect ratio of the upright picture."""
    ratio = sample_aspect_ratio or Fraction(1)
    ratio = ratio if 0 < ratio < 1000 else Fraction(1)
    return 1 / ratio if rotation % 180 else ratio


def pixels_of(region: Region, width: int, height: int) -> Box:
    """Return the pixels of a region of a picture of this size."""
    x, shown_width = _span(region.x, region.width, width)
    y, shown_height = _span(region.y, region.height, height)
    return Box(x, y, shown_width, shown_height)


def covering_pixels(region: Region, width: int, height: int) -> Box:
    """Return pixels that contain a region of a picture of this size, with all pixels that it touches."""
    (x, wide), (y, high) = _cover(region.x, region.width, width), _cover(region.y, region.height, height)
    return Box(x, y, wide, high)


def _cover(start: float, length: float, whole: int) -> tuple[int, int]:
    first = 2 * math.floor(start * whole / 2 + _FUZZ)
    last = min(whole, 2 * math.ceil((start + length) * whole / 2 - _FUZZ))
    size = min(whole, max(last - first, _LEAST_PIXELS))
    return min(first, whole - size), size


def _part(crop: Region | None, width: int, height: int) -> Box:
    return Box(0, 0, width, height) if crop is None else pixels_of(crop, width, height)


def _span(start: float, length: float, whole: int) -> tuple[int, int]:
    """Return the first pixel and the number of pixels of a part of `whole` pixels."""
    size = min(whole, max(_even(Fraction((start + length) * whole)) - _even(Fraction(start * whole)), _LEAST_PIXELS))
    return min(_even(Fraction(start * whole)), whole - size), size


def _point(focus: Focus | None, region: Box, width: int, height: int) -> tuple[Fraction, Fraction]:
    if focus is None:
        return region.x + Fraction(region.width, 2), region.y + Fraction(region.height, 2)
    return Fraction(focus.x) * width, Fraction(focus.y) * height


def _narrowed(region: Box, aspect: Fraction, point: tuple[Fraction, Fraction]) -> Box:
    """Return the largest part of the region with this aspect ratio in pixels, as near to the point as possible."""
    width = min(region.width, max(_even(region.height * aspect), _LEAST_PIXELS))
    height = min(region.height, max(_even(region.width / aspect), _LEAST_PIXELS))
    x = min(max(_even(point[0] - Fraction(width, 2)), region.x), region.x + region.width - width)
    y = min(max(_even(point[1] - Fraction(height, 2)), region.y), region.y + region.height - height)
    return Box(x, y, width, height)


def _sized(size: ExactSize, shown_width: Fraction, shown_height: Fraction, fills: bool) -> Size:
    """Return the size, made smaller if a picture of this size would be enlarged in it but must not.

    A picture that `fills` it then has its own pixels: they have the shape, as far as even numbers can.
    """
    scales = size.width / shown_width, size.height / shown_height
    scale = max(scales) if fills else min(scales)
    if fills and scale > 1 and not size.enlarge:
        return _limited(shown_width, shown_height, None)
    shrink = Fraction(1) if size.enlarge else max(Fraction(1), scale)
    return Size(max(2, _even(size.width / shrink)), max(2, _even(size.height / shrink)))


def _limited(width: Fraction, height: Fraction, max_height: int | None) -> Size:
    """Return the even size, scaled down to at most `max_height`."""
    most = None if max_height is None else max_height - max_height % 2
    if most is not None and height > most:
        width, height = width * most / height, Fraction(most)
    return Size(max(2, _even(width)), max(2, _even(height)))


def _even(value: Fraction) -> int:
    """Return the nearest even number."""
    return 2 * round(value / 2)


def output_size(width: int, height: int, *, rotation: int, max_height: int | None) -> tuple[int, int]:
    """Return width and height of the rotated clip: even, at most `max_height` high, with the same aspect ratio.

    An odd `max_height` allows one line less, as the height is even.
    """
    if rotation % 180:
        width, height = height, width
    most = None if max_height is None else max_height - max_height % 2
    if most is not None and height > most:
        width, height = round(width * most / height), most
    return max(2, width + width % 2), max(2, height + height % 2)
