"""Mix of several audio tracks into one (`audio_tracks = "mix"`).

Tracks are added at full level; a limiter keeps the sum from clipping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.filter import Graph

from clipengine.media.audio.filter_graph import keeping_format, pull_all

_FORMAT, _LAYOUT = "fltp", "stereo"


class AudioMix:
    """Mixes contiguous frames (fltp, stereo) of tracks whose sample rates may differ."""

    format, layout = _FORMAT, _LAYOUT

    def __init__(self, rates: Sequence[int]) -> None:
        self.rate = max(rates)
        self._graph = Graph()
        self._tracks = len(rates)
        mix = self._graph.add("amix", f"inputs={len(rates)}:duration=longest:normalize=0")
        for number, rate in enumerate(rates):
            source = self._graph.add_abuffer(
                sample_rate=rate, format=_FORMAT, layout=_LAYOUT, time_base=Fraction(1, rate), name=f"track{number}"
            )
            resample = self._graph.add("aresample", str(self.rate))
            source.link_to(resample)
            resample.link_to(mix, 0, number)
        limiter = self._graph.add("alimiter", "level=0:limit=0.95:latency=1")
        last = self._graph.add(*keeping_format(_FORMAT, _LAYOUT))
        self._graph.link_nodes(mix, limiter, last, self._graph.add("abuffersink")).configure()

    def feed(self, track: int, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        self._graph.push(frame, at=track)
        yield from pull_all(self._graph)

    def finish(self) -> Iterator[av.AudioFrame]:
        """End all tracks and yield the rest of the mix."""
        for track in range(self._tracks):
            self._graph.push(None, at=track)
        yield from pull_all(self._graph)
