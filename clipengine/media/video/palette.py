"""Palette of a GIF: 256 colors for all of its frames.

So a part of the picture that does not change has the same colors in each frame, and is stored once.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import repeat

import av
from av.filter import Graph

from clipengine.media.video.color_counts import ColorCounts
from clipengine.media.video.filter_graph import TIME_BASE, add_sink, add_source, linear_graph
from clipengine.media.video.frame_format import FULL, RGB_MATRIX, Colors

RGB_FORMAT = "bgra"
_COLORS, _PALETTE_SIDE = 256, 16
_MOST_COMMON = 224  # colors that a palette has unchanged
_TRANSPARENT = 0x0000FF00  # stands for pixels that are the same as in the previous frame
_DRAWN, _DRAWN_WIDTH = 1 << 18, 1024  # pixels of a picture of all counted colors
_RGB = Colors(RGB_MATRIX, FULL)
# Error diffusion changes where the picture does not. An ordered dither moves flat colors by up to 12 of 255, takes more
# bytes, and is not nearer to the picture: many of the 256 colors are near to each other.
_USE = "dither=none:diff_mode=rectangle"


class PaletteCounter:
    """Counts the colors of frames in RGB_FORMAT, and keeps none of the frames."""

    def __init__(self) -> None:
        self._counts = ColorCounts()

    def add(self, frame: av.VideoFrame) -> None:
        self._counts.add(frame)

    def palette(self) -> av.VideoFrame:
        """Return the palette after all frames were added, as a frame of its colors.

        It has the colors of flat areas as they are. FFmpeg divides all others into groups; by itself it would mix flat
        colors with the colors of the edges between them.
        """
        common = self._counts.common(_MOST_COMMON)
        others = self._counts.others(common)
        colors = dict.fromkeys((*common, *_grouped(others, _COLORS - len(common))))
        colors.pop(_TRANSPARENT, None)
        padded = [*colors, *[next(iter(colors))] * (_COLORS - 1 - len(colors)), _TRANSPARENT]
        return _frame_of(array("I", padded), _PALETTE_SIDE)


def _grouped(counts: Counter[int], most: int) -> list[int]:
    """Return at most so many colors for all of the counted ones. One of them is transparent."""
    if not counts:
        return []
    pixels, total = array("I"), counts.total()
    for color, count in counts.items():
        pixels.extend(repeat(color, 1 + count * _DRAWN // total))
    pixels.extend(repeat(pixels[-1], -len(pixels) % _DRAWN_WIDTH))
    drawn = _frame_of(pixels, _DRAWN_WIDTH)
    graph = linear_graph(drawn, (f"palettegen=max_colors={most}",))
    graph.push(drawn)
    graph.push(None)
    palette = graph.pull()
    assert isinstance(palette, av.VideoFrame)
    found = memoryview(palette.planes[0]).cast("I")
    row = palette.planes[0].line_size // 4
    return [color for start in range(0, row * _PALETTE_SIDE, row) for color in found[start : start + _PALETTE_SIDE]]


def _frame_of(pixels: array[int], width: int) -> av.VideoFrame:
    """Return a frame of these pixels, row by row."""
    frame = av.VideoFrame(width, len(pixels) // width, RGB_FORMAT)
    plane = frame.planes[0]
    drawn, row = memoryview(plane).cast("I"), plane.line_size // 4
    for y in range(frame.height):
        drawn[y * row : y * row + width] = pixels[y * width : (y + 1) * width]
    frame.pts, frame.time_base = 0, TIME_BASE
    _RGB.tag(frame)
    return frame


class PaletteConverter:
    """Converts frames in RGB_FORMAT to the colors of a palette."""

    def __init__(self, palette: av.VideoFrame, width: int, height: int) -> None:
        self._graph = graph = Graph()
        use = graph.add("paletteuse", _USE)
        for number, size in enumerate(((width, height), (_PALETTE_SIDE, _PALETTE_SIDE))):
            add_source(graph, (*size, RGB_FORMAT, _RGB)).link_to(use, 0, number)
        add_sink(graph, use, _RGB)
        graph.push(palette, at=1)
        graph.push(None, at=1)

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(frame, at=0)
        converted = self._graph.pull()
        assert isinstance(converted, av.VideoFrame)
        return converted
