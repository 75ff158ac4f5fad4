"""Filter graphs of one input, one output and no branches."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
from av.filter import Graph


def linear_graph(frame: av.VideoFrame, filters: Sequence[str]) -> Graph:
    """Return a graph that applies the filters (`name=options`) to frames of this size and format, in order."""
    graph = Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 90_000))
    for text in filters:
        name, _, options = text.partition("=")
        step = graph.add(name, options or None)
        last.link_to(step)
        last = step
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def pull_one(graph: Graph, frame: av.VideoFrame) -> av.VideoFrame:
    """Push a frame through a graph that returns one frame for each."""
    graph.push(frame)
    filtered = graph.pull()
    assert isinstance(filtered, av.VideoFrame)
    return filtered
