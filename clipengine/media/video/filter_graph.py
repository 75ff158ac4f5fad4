"""Filter graphs that return one frame for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.filter import Graph

TIME_BASE = Fraction(1, 90_000)


class Layers(NamedTuple):
    """A step with two branches of filters: the picture `above` is drawn over that `below`."""

    below: tuple[str, ...]
    above: tuple[str, ...]
    overlay: str  # options of the filter


Step = str | Layers  # a filter is `name=options`


def linear_graph(frame: av.VideoFrame, steps: Sequence[Step]) -> Graph:
    """Return a graph that applies the steps to frames of this size and format, in order."""
    graph = Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)
    for step in steps:
        last = _layers(graph, last, step) if isinstance(step, Layers) else _filter(graph, last, step)
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _filter(graph: Graph, last: Any, text: str, output: int = 0) -> Any:
    name, _, options = text.partition("=")
    step = graph.add(name, options or None)
    last.link_to(step, output)
    return step


def _layers(graph: Graph, last: Any, layers: Layers) -> Any:
    split, overlay = _filter(graph, last, "split"), graph.add("overlay", layers.overlay)
    for number, filters in enumerate((layers.below, layers.above)):
        branch, output = split, number
        for text in filters:
            branch, output = _filter(graph, branch, text, output), 0
        branch.link_to(overlay, output, number)
    return overlay


class Still(NamedTuple):
    """A still picture in the format of `still_format`, and its place on the frames."""

    frame: av.VideoFrame
    x: int
    y: int


def still_format(pixel_format: str) -> str:
    """Return the pixel format of stills for frames of 4:2:0: with an alpha channel, and as deep."""
    return "yuva420p10le" if "10" in pixel_format else "yuva420p"


class OverlayGraph:
    """Graph that draws stills over frames of the size and format of `frame`. Nothing is converted."""

    def __init__(self, frame: av.VideoFrame, stills: Sequence[Still]) -> None:
        self._graph = Graph()
        self._source = last = self._buffer(frame)
        format = "yuv420p10" if "10" in frame.format.name else "yuv420"
        sources = []
        for still, x, y in stills:
            overlay, source = self._graph.add("overlay", f"x={x}:y={y}:format={format}"), self._buffer(still)
            last.link_to(overlay, 0, 0)
            source.link_to(overlay, 0, 1)
            sources.append(source)
            last = overlay
        last.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        for source, (still, _, _) in zip(sources, stills, strict=True):
            still.pts, still.time_base = 0, TIME_BASE
            source.push(still)
            source.push(None)  # the last frame of an input stays

    def _buffer(self, frame: av.VideoFrame) -> Any:
        return self._graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)

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
