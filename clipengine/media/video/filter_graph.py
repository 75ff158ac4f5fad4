"""Filter graphs of one input and one output."""

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


def pull_one(graph: Graph, frame: av.VideoFrame) -> av.VideoFrame:
    """Push a frame through a graph that returns one frame for each."""
    graph.push(frame)
    filtered = graph.pull()
    assert isinstance(filtered, av.VideoFrame)
    return filtered
