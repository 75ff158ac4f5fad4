"""Palette of a GIF: 256 colors for all of its frames.

So a part of the picture that does not change has the same colors in each frame, and is stored once.
"""

from __future__ import annotations

import av
from av.filter import Graph

from clipengine.media.video.filter_graph import TIME_BASE, add_sink, add_source, linear_graph
from clipengine.media.video.frame_format import FULL, RGB_MATRIX, Colors

RGB_FORMAT = "bgra"
_BITS_7 = "round(round(val*127/255)*255/127)"  # bounds the colors to count, and with them memory and time, to 2**21
_PALETTE_SIDE = 16
_RGB = Colors(RGB_MATRIX, FULL)
# Error diffusion changes where the picture does not. An ordered dither moves flat colors by up to 12 of 255, takes more
# bytes, and is not nearer to the picture: many of the 256 colors are near to each other.
_USE = "dither=none:diff_mode=rectangle"


class PaletteCounter:
    """Counts the colors of frames in RGB_FORMAT, all of the same size, and keeps none of the frames."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def add(self, frame: av.VideoFrame) -> None:
        if self._graph is None:
            rounded = f"lutrgb=r='{_BITS_7}':g='{_BITS_7}':b='{_BITS_7}'"
            self._graph = linear_graph(frame, (rounded, "palettegen=stats_mode=full"))
        self._graph.push(frame)

    def palette(self) -> av.VideoFrame:
        """Return the palette after all frames were added, as a frame of its colors."""
        assert self._graph is not None
        self._graph.push(None)
        palette = self._graph.pull()
        assert isinstance(palette, av.VideoFrame)
        return palette


class PaletteConverter:
    """Converts frames in RGB_FORMAT to the colors of a palette."""

    def __init__(self, palette: av.VideoFrame, width: int, height: int) -> None:
        self._graph = graph = Graph()
        use = graph.add("paletteuse", _USE)
        for number, size in enumerate(((width, height), (_PALETTE_SIDE, _PALETTE_SIDE))):
            add_source(graph, (*size, RGB_FORMAT, _RGB)).link_to(use, 0, number)
        add_sink(graph, use, _RGB)
        palette.pts, palette.time_base = 0, TIME_BASE
        graph.push(palette, at=1)
        graph.push(None, at=1)

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(frame, at=0)
        converted = self._graph.pull()
        assert isinstance(converted, av.VideoFrame)
        return converted
