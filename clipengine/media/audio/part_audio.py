"""Audio tracks of the parts of a clip: the first part decides their format, layout and sample rate.

Each boundary between parts is the exact sum of the lengths before it, rounded once to a sample of each track.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler

from clipengine.media.audio.limiter import Limiter
from clipengine.media.audio.samples import FADE_SECONDS, scale, silence, slice_of
from clipengine.media.audio.tracks import AudioWriter
from clipengine.recordings.facts import TrackNames


class PartAudio:
    """Offers the methods of AudioWriter for each part, in the time of that part.

    Call `begin_part` when the length of a part is known, and `end_part` after its last frame. Sound that exceeds full
    scale after a conversion of its rate is `limited` to it.
    """

    def __init__(self, writer: AudioWriter, parts: int, *, limited: bool = False) -> None:
        self._audio = writer
        self._parts = parts
        self._limited = limited
        self._number = -1  # of the current part, counted from 0
        self.start = self._end = Fraction(0)  # of the current part, in seconds of the clip
        self._tracks: list[_PartTrack] = []
        self._added = 0  # audio tracks of the current part

    @property
    def is_first(self) -> bool:
        return self._number == 0

    @property
    def is_last(self) -> bool:
        return self._number == self._parts - 1

    def begin_part(self, length: Fraction) -> None:
        self._number += 1
        self.start, self._end = self._end, self._end + length
        self._added = 0
        for track in self._tracks:
            self._begin_track(track)

    def _begin_track(self, track: _PartTrack) -> None:
        track.begin_part(self.start, self._end, fades_in=not self.is_first, fades_out=not self.is_last)

    def end_part(self) -> None:
        """Fill the tracks up to the end of the part."""
        for number, track in enumerate(self._tracks):
            for frame in track.finish_part():
                self._audio.write_audio(number, frame)

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        self._added += 1
        if self.is_first:
            format, layout = self._audio.add_audio(rate=rate, channels=channels, names=names)
            self._tracks.append(_PartTrack(format, layout, rate, limited=self._limited))
            self._begin_track(self._tracks[-1])
        if not self._tracks:
            return "fltp", "stereo"  # the part's track is dropped
        track = self._tracks[min(self._added, len(self._tracks)) - 1]
        return track.format, track.layout

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        if track < len(self._tracks):
            for joined in self._tracks[track].join(frame):
                self._audio.write_audio(track, joined)


class _PartTrack:
    """Joins the frames of an audio track, part by part, in the format, layout and rate of the first part."""

    def __init__(self, format: str, layout: str, rate: int, *, limited: bool) -> None:
        self.format, self.layout, self.rate = format, layout, rate
        self._first = self._total = 0  # sample of the clip at which the part begins, and the part's samples
        self._written = 0  # samples of the part
        self._fade_samples = round(rate * FADE_SECONDS)
        self._fades = (False, False)
        self._resampler: AudioResampler | None = None
        self._limiter = Limiter(format, layout, rate) if limited else None

    def begin_part(self, start: Fraction, end: Fraction, *, fades_in: bool, fades_out: bool) -> None:
        self._first = round(start * self.rate)
        self._total = round(end * self.rate) - self._first
        self._written = 0
        self._fades = fades_in, fades_out
        self._resampler = None

    def join(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        if self._resampler is None and frame.sample_rate == self.rate:
            yield from self._place(frame)
            return
        if self._resampler is None:
            self._resampler = AudioResampler(self.format, self.layout, self.rate)
        yield from self._resample(frame)

    def finish_part(self) -> Iterator[av.AudioFrame]:
        """Yield the rest of the part, with silence up to its end."""
        yield from self._resample(None)
        for frame in silence(self.format, self.layout, self.rate, self._total - self._written):
            yield from self._place(frame)

    def _resample(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        for converted in [] if self._resampler is None else self._resampler.resample(frame):
            yield from self._place(converted if self._limiter is None else self._limiter.apply(converted))

    def _place(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        count = min(frame.samples, self._total - self._written)
        if count <= 0:
            return
        fade = self._fade_samples
        faded = (self._fades[0] and self._written < fade) or (
            self._fades[1] and self._written + count > self._total - fade
        )
        if faded or count < frame.samples:
            frame = slice_of(frame, 0, count)
        if faded:
            self._fade(frame, fade)
        frame.pts = self._first + self._written
        frame.time_base = Fraction(1, self.rate)
        self._written += count
        yield frame

    def _fade(self, frame: av.AudioFrame, fade: int) -> None:
        scale(frame, [self._gain(self._written + number, fade) for number in range(frame.samples)])

    def _gain(self, sample: int, fade: int) -> float:
        fades_in, fades_out = self._fades
        gain = min(1.0, (sample + 0.5) / fade) if fades_in else 1.0
        return min(gain, (self._total - sample - 0.5) / fade) if fades_out else gain
