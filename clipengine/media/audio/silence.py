"""Silences of audio tracks, found by FFmpeg's `silencedetect`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av

from clipengine.clips.snap_moments import Span
from clipengine.media.audio.encoder_format import encoder_format
from clipengine.media.audio.filter_graph import linear_graph, pull_all
from clipengine.recordings.facts import TrackNames

# Background noise of calls stays below, soft speech above.
_NOISE_DECIBELS = -35
LEAST_SECONDS = Fraction(3, 10)
_BLOCK_SAMPLES = 512  # the filter reports one start and one end for each frame


class SilenceDetector:
    """Finds silences in tracks that are written to it, as AudioTracks does: each from time 0, without gaps."""

    def __init__(self) -> None:
        self._tracks: list[_TrackSilences] = []

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        format, layout = encoder_format("aac", channels)
        self._tracks.append(_TrackSilences(format, layout, rate))
        return format, layout

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        self._tracks[track].add(frame)

    def finish(self) -> list[Span]:
        """Return the times in which all tracks are silent, at least LEAST_SECONDS long."""
        common = self._tracks[0].finish() if self._tracks else []
        for track in self._tracks[1:]:
            common = _overlaps(common, track.finish())
        return [(start, end) for start, end in common if end - start >= LEAST_SECONDS]


class _TrackSilences:
    def __init__(self, format: str, layout: str, rate: int) -> None:
        filters = (
            ("asetnsamples", f"n={_BLOCK_SAMPLES}:p=0"),
            ("silencedetect", f"noise={_NOISE_DECIBELS}dB:duration={float(LEAST_SECONDS)}"),
        )
        self._graph = linear_graph(filters, format=format, layout=layout, rate=rate)
        self._rate = rate
        self._samples = 0
        self._began: Fraction | None = None
        self._found: list[Span] = []

    def add(self, frame: av.AudioFrame) -> None:
        frame.pts, frame.time_base = self._samples, Fraction(1, self._rate)
        self._samples += frame.samples
        self._graph.push(frame)
        self._pull()

    def finish(self) -> list[Span]:
        self._graph.push(None)
        self._pull()
        if self._began is not None:
            self._found.append((self._began, Fraction(self._samples, self._rate)))
            self._began = None
        return self._found

    def _pull(self) -> None:
        for frame in pull_all(self._graph):
            end, start = (frame.metadata.get(f"lavfi.silence_{name}") for name in ("end", "start"))
            if end is not None and self._began is not None:
                self._found.append((self._began, Fraction(end)))
                self._began = None
            if start is not None:
                self._began = max(Fraction(0), Fraction(start))


def _overlaps(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    found = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return sorted((start, end) for start, end in found if start < end)
