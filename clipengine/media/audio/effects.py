"""Effects on one audio track of a clip: muted ranges, gain and fades, exact to the sample."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

from clipengine.clips.output import Output
from clipengine.media.audio.samples import silent_frame, slice_of


class AudioEffects:
    """Applies the output options to contiguous frames that begin at 0. Their number of samples stays the same.

    `length` is that of the clip in seconds, `gain` in decibels.
    """

    def __init__(
        self, output: Output, *, format: str, layout: str, rate: int, length: Fraction, gain: float = 0.0
    ) -> None:
        self._muted = [(round(Fraction(start) * rate), round(Fraction(end) * rate)) for start, end in output.muted]
        self._format, self._layout, self._rate = format, layout, rate
        self._graph: Graph | None = None
        filters = []
        if gain:
            filters.append(("volume", f"volume={gain:.4f}dB:precision=float"))
        if fade := round(output.fade_within(length) * rate):
            total = round(length * rate)
            filters.append(("afade", f"t=in:ss=0:ns={fade}"))
            filters.append(("afade", f"t=out:ss={total - fade}:ns={fade}"))
        if filters:
            self._graph = _graph(filters, format, layout, rate)

    def apply(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Yield the samples of the frame with the effects, maybe in several frames."""
        for piece in self._mute(frame):
            if self._graph is None:
                yield piece
                continue
            self._graph.push(piece)
            filtered = self._graph.pull()
            assert isinstance(filtered, av.AudioFrame)
            yield filtered

    def _mute(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Yield the frame, with its samples in muted ranges replaced by silence."""
        first = frame.pts or 0
        end = first + frame.samples
        at = first
        for low, high in self._muted:
            low, high = max(low, at), min(high, end)
            if low >= high:
                continue
            if low > at:
                yield slice_of(frame, at - first, low - at)
            quiet = silent_frame(self._format, self._layout, self._rate, high - low)
            quiet.pts, quiet.time_base = low, frame.time_base
            yield quiet
            at = high
        if at == first:
            yield frame
        elif at < end:
            yield slice_of(frame, at - first, end - at)


def _graph(filters: list[tuple[str, str]], format: str, layout: str, rate: int) -> Graph:
    graph = Graph()
    last = graph.add_abuffer(sample_rate=rate, format=format, layout=layout, time_base=Fraction(1, rate))
    # The filters must not change the format that the encoder takes.
    for name, options in (*filters, ("aformat", f"sample_fmts={format}:channel_layouts={layout}")):
        step = graph.add(name, options)
        last.link_to(step)
        last = step
    last.link_to(graph.add("abuffersink"))
    graph.configure()
    return graph
