"""Filter graphs of frames. Every graph of pictures begins with `add_source` and ends with `add_sink`.

Both state the colours of the frames: a source without them makes filters convert BT.709 to BT.601 without a new tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.filter import Graph

from clipengine.media.video.frame_format import UNSPECIFIED, UNSPECIFIED_RANGE, Colors, colors_of

TIME_BASE = Fraction(1, 90_000)


class Layers(NamedTuple):
    """A step with two branches of filters: the picture `above` is drawn over that `below`, at a place on it."""

    below: tuple[str, ...]
    above: tuple[str, ...]
    x: int
    y: int


Step = str | Layers  # a filter is `name=options`


FrameShape = tuple[int, int, str, Colors]


def shape_of(frame: av.VideoFrame) -> FrameShape:
    """Return the properties that all frames of a graph must have in common."""
    return frame.width, frame.height, frame.format.name, colors_of(frame)


def add_source(graph: Graph, shape: FrameShape, *, time_base: Fraction = TIME_BASE) -> Any:
    """Add the source of frames of this shape."""
    width, height, pixel_format, colors = shape
    return graph.add(
        "buffer",
        video_size=f"{width}x{height}",
        pix_fmt=pixel_format,
        time_base=str(time_base),
        pixel_aspect="1/1",
        colorspace=str(colors.matrix),
        range=str(colors.range),
    )


def add_sink(graph: Graph, last: Any, colors: Colors) -> None:
    """Link the last filter to the sink, whose frames have these colours, and configure the graph."""
    tags = _filter(graph, last, f"setparams=color_primaries={colors.primaries}:color_trc={colors.transfer}")
    stated = {"colorspaces": str(colors.matrix)} if colors.matrix != UNSPECIFIED else {}
    if colors.range != UNSPECIFIED_RANGE:
        stated["colorranges"] = str(colors.range)
    tags.link_to(graph.add("buffersink", **stated))
    graph.configure()


def linear_graph(frame: av.VideoFrame, steps: Sequence[Step], *, colors: Colors | None = None) -> Graph:
    """Return a graph that applies the steps to frames of the shape of `frame`, in order.

    The frames keep their colours, or have these `colors` after the steps.
    """
    graph = Graph()
    shape = shape_of(frame)
    last = add_source(graph, shape)
    for step in steps:
        last = _layers(graph, last, step, frame) if isinstance(step, Layers) else _filter(graph, last, step)
    add_sink(graph, last, colors or shape[-1])
    return graph


def _filter(graph: Graph, last: Any, text: str, output: int = 0) -> Any:
    name, _, options = text.partition("=")
    step = graph.add(name, options or None)
    last.link_to(step, output)
    return step


def _layers(graph: Graph, last: Any, layers: Layers, frame: av.VideoFrame) -> Any:
    split, overlay = _filter(graph, last, "split"), _overlay(graph, frame, layers.x, layers.y)
    opaque = f"format={frame.format.name}"  # otherwise scale and overlay agree on an alpha channel
    for number, filters in enumerate(((*layers.below, opaque), layers.above)):
        branch, output = split, number
        for text in filters:
            branch, output = _filter(graph, branch, text, output), 0
        branch.link_to(overlay, output, number)
    return overlay


def _overlay(graph: Graph, frame: av.VideoFrame, x: int, y: int) -> Any:
    """Add the filter that draws a second picture over frames of 4:2:0, and converts neither."""
    format = "yuv420p10" if "10" in frame.format.name else "yuv420"
    return graph.add("overlay", f"x={x}:y={y}:format={format}")


class Still(NamedTuple):
    """A still picture in the format of `still_format`, and its place on the frames."""

    frame: av.VideoFrame
    x: int
    y: int


def still_format(pixel_format: str) -> str:
    """Return the pixel format of stills for frames of 4:2:0: with an alpha channel, and as deep."""
    return "yuva420p10le" if "10" in pixel_format else "yuva420p"


class OverlayGraph:
    """Graph that draws stills, which have the colours of `frame`, over frames of its shape. Nothing is converted."""

    def __init__(self, frame: av.VideoFrame, stills: Sequence[Still]) -> None:
        self._graph = Graph()
        width, height, pixel_format, colors = shape_of(frame)
        self._source = last = add_source(self._graph, (width, height, pixel_format, colors))
        sources = []
        for still, x, y in stills:
            overlay = _overlay(self._graph, frame, x, y)
            source = add_source(self._graph, (still.width, still.height, still.format.name, colors))
            last.link_to(overlay, 0, 0)
            source.link_to(overlay, 0, 1)
            sources.append(source)
            last = overlay
        add_sink(self._graph, last, colors)
        for source, (still, _, _) in zip(sources, stills, strict=True):
            still.pts, still.time_base = 0, TIME_BASE
            colors.tag(still)
            source.push(still)
            source.push(None)  # the last frame of an input stays

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._source.push(frame)
        drawn = self._graph.pull()
        assert isinstance(drawn, av.VideoFrame)
        return drawn


def pull_one(graph: Graph, frame: av.VideoFrame) -> av.VideoFrame:
    """Push a frame through a graph that returns one frame for each."""
    graph.push(frame)
    filtered = graph.pull()
    assert isinstance(filtered, av.VideoFrame)
    return filtered
