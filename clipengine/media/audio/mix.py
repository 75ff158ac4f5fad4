"""Mix of several audio tracks into one (`audio_tracks = "mix"`).

Tracks are added at full level; a limiter keeps the sum from clipping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.filter import Graph

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
        mix.link_to(limiter)
        last = self._graph.add("aformat", f"sample_fmts={_FORMAT}:channel_layouts={_LAYOUT}")
        limiter.link_to(last)
        last.link_to(self._graph.add("abuffersink"))
        self._graph.configure()

    def feed(self, track: int, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        self._graph.push(frame, at=track)
        yield from self._pull()

    def finish(self) -> Iterator[av.AudioFrame]:
        """End all tracks and yield the rest of the mix."""
        for track in range(self._tracks):
            self._graph.push(None, at=track)
        yield from self._pull()

    def _pull(self) -> Iterator[av.AudioFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if isinstance(frame, av.AudioFrame):
                yield frame
