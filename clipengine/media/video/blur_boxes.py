"""Filters that blur boxes of the picture beyond recognition."""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.clips.options.framing import covering_pixels
from clipengine.clips.options.output import Region
from clipengine.media.video.filter_graph import Layers

# A box keeps only the mean colours of so many cells along its longer side, from which nothing can be restored.
_CELLS = 6


def blur_layers(boxes: Sequence[Region], width: int, height: int) -> tuple[Layers, ...]:
    """Return a step for each box of an upright picture of this size."""
    return tuple(_layers(box, width, height) for box in boxes)


def _layers(box: Region, width: int, height: int) -> Layers:
    x, y, wide, high = covering_pixels(box, width, height)
    longer = max(wide, high)
    cells = (max(2, 2 * round(side * _CELLS / longer / 2)) for side in (wide, high))
    above = (
        f"crop={wide}:{high}:{x}:{y}",
        "scale={}:{}:flags=area".format(*cells),
        f"scale={wide}:{high}:flags=bilinear",
    )
    return Layers((), above, x, y)
