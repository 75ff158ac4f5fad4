"""Filters that show a part of the picture in another aspect ratio, with or without bars."""

from __future__ import annotations

from fractions import Fraction

from clipengine.clips.options.framing import Box, Framing, Size
from clipengine.clips.options.output import Fit
from clipengine.media.video.filter_graph import Layers, Step

_FLAGS = "flags=bicubic+accurate_rnd"
# The background is blurred in a small copy, which takes little time and looks the same at every size.
_SHORT_SIDE, _SIGMA = 48, 2
_ROUNDED_PIXELS = 2  # that may be missing without bars


def reframing_filters(framing: Framing, width: int, height: int, fit: Fit | None) -> tuple[Step, ...]:
    """Return the filters for an upright picture of this size; none if the framing keeps it."""
    if framing.keeps(width, height):
        return ()
    steps: list[Step] = []
    _, _, part_width, part_height = framing.region
    if framing.region != (0, 0, width, height):
        steps.append(cropping(framing.region))
    inner, canvas = framing.inner, framing.canvas
    if fit == "blur" and inner != canvas:
        return (*steps, _over_blurred(inner, canvas))
    if inner != (part_width, part_height):
        steps.append(_scale(inner))
    return (*steps, *bars(inner, canvas))


def cropping(region: Box) -> str:
    """Return the filter that keeps only a region."""
    return f"crop={region.width}:{region.height}:{region.x}:{region.y}"


def bars(inner: Size, canvas: Size) -> tuple[Step, ...]:
    """Return the filter that adds black bars around a picture; none if it fills the canvas."""
    x, y = _offset(inner, canvas)
    return () if inner == canvas else (f"pad={canvas.width}:{canvas.height}:{x}:{y}:color=black",)


def fitted_size(aspect: Fraction, canvas: Size) -> Size:
    """Return the size of a picture of this aspect ratio in pixels that is fitted into the canvas."""
    sides = (canvas.width, round(canvas.height * aspect)), (canvas.height, round(canvas.width / aspect))
    return Size(
        *(whole if whole - fitted <= _ROUNDED_PIXELS else max(2, fitted - fitted % 2) for whole, fitted in sides)
    )


def _over_blurred(inner: Size, canvas: Size) -> Layers:
    """Draw the picture over a blurred copy that fills the canvas."""
    small = _scaled(canvas, min(1, _SHORT_SIDE / min(canvas)), Size(2, 2))
    cover = max(small.width / inner.width, small.height / inner.height)
    filling = _scaled(inner, cover, small)
    below = (
        _scale(filling, "flags=area"),
        f"crop={small.width}:{small.height}",
        f"gblur=sigma={_SIGMA}",
        _scale(canvas),
    )
    return Layers(below, (_scale(inner),), *_offset(inner, canvas))


def _scaled(size: Size, scale: float, least: Size) -> Size:
    return Size(*(max(2 * round(side * scale / 2), low) for side, low in zip(size, least, strict=True)))


def _scale(size: Size, flags: str = _FLAGS) -> str:
    return f"scale={size.width}:{size.height}:{flags}"


def _offset(inner: Size, canvas: Size) -> tuple[int, int]:
    """Return the even position that centres the picture."""
    return (canvas.width - inner.width) // 4 * 2, (canvas.height - inner.height) // 4 * 2
