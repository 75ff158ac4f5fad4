"""Filter graphs of audio with one output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.filter import Graph

Filter = tuple[str, str]  # name and options


def linear_graph(filters: Sequence[Filter], *, format: str, layout: str, rate: int) -> Graph:
    """Return a graph that applies the filters to frames of this format, layout and sample rate, in order."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format=format, layout=layout, time_base=Fraction(1, rate))
    steps = [graph.add(name, options) for name, options in filters]
    graph.link_nodes(source, *steps, graph.add("abuffersink")).configure()
    return graph


def keeping_format(format: str, layout: str) -> Filter:
    """Return the filter that converts the output of other filters to the format that the encoder takes."""
    return "aformat", f"sample_fmts={format}:channel_layouts={layout}"


def pull_all(graph: Graph) -> Iterator[av.AudioFrame]:
    """Yield the frames that a graph has ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame
