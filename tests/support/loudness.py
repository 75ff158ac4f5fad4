"""Loudness of a clip, measured by FFmpeg's `ebur128`."""

from __future__ import annotations

import math
from pathlib import Path

import av
from av.filter import Graph


def measured_loudness(path: Path, number: int) -> tuple[float, float]:
    """Return integrated loudness (LUFS) and true peak (dBTP) of a track."""
    graph, found = Graph(), {}
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        graph_input = graph.add_abuffer(template=stream)
        meter = graph.add("ebur128", "metadata=1:peak=true:framelog=quiet")
        graph_input.link_to(meter)
        meter.link_to(graph.add("abuffersink"))
        graph.configure()
        for frame in (*container.decode(stream), None):
            graph.push(frame)
            while True:
                try:
                    found |= graph.pull().metadata
                except (av.BlockingIOError, av.EOFError):
                    break
    return float(found["lavfi.r128.I"]), 20 * math.log10(float(found["lavfi.r128.true_peak"]))
