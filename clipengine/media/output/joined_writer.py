"""Writer of a clip with several parts: each part is written as a clip, and is moved behind the parts before it.

The first part decides the format of the video and the audio tracks. Each boundary between parts lies at the exact sum
of the lengths before it: rounded once to the video's time base, and once to a sample of each audio track.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler

from clipengine.clips.warnings import warning
from clipengine.errors import NoMediaInRange
from clipengine.media.audio.samples import silent_frame, slice_of
from clipengine.media.output.writer import ClipWriter
from clipengine.media.video.convert import FrameFormat

# Audio fades out before a boundary and fades in after it, so that no step of the waveform is heard as a click.
_FADE_SECONDS = Fraction(1, 400)
_SILENCE_SAMPLES = 8192


class JoinedWriter:
    """Offers the methods of ClipWriter to the builder of each part, in clip time of that part.

    Call `begin_part` when the length of a part is known, and `end_part` after its last frame.
    """

    def __init__(self, writer: ClipWriter, parts: int) -> None:
        self._writer = writer
        self._parts = parts
        self._number = -1  # of the current part, counted from 0
        self._start = self._end = Fraction(0)  # of the current part, in seconds of the clip
        self.format: FrameFormat | None = None  # of the video
        self._tracks: list[_JoinedTrack] = []
        self._added = 0  # audio tracks of the current part
        self._has_video = False

    @property
    def seconds(self) -> Fraction:
        """Encoded seconds of the current part."""
        return self._writer.seconds - self._start

    def begin_part(self, length: Fraction) -> None:
        self._number += 1
        self._start, self._end = self._end, self._end + length
        self._added, self._has_video = 0, False
        for track in self._tracks:
            self._begin_track(track)

    def _begin_track(self, track: _JoinedTrack) -> None:
        track.begin_part(self._start, self._end, fades_in=self._number > 0, fades_out=self._number < self._parts - 1)

    def end_part(self) -> Iterator[str]:
        """Fill the audio tracks up to the end of the part, and yield the part's warnings."""
        for number, track in enumerate(self._tracks):
            for frame in track.finish_part():
                self._writer.write_audio(number, frame)
        if self.format is not None and not self._has_video:
            yield warning("picture_missing", "it has no video: the frame before it is held")
        if self._added > len(self._tracks):
            text = f"it has {self._added} audio tracks, the first part has {len(self._tracks)}: the others are dropped"
            yield warning("stream_dropped", text)
        elif self._added < len(self._tracks):
            text = f"it has {self._added} audio tracks, the first part has {len(self._tracks)}: the others are silent"
            yield warning("audio_track_missing", text)

    def set_creation_time(self, time: datetime) -> None:
        if self._number == 0:
            self._writer.set_creation_time(time)

    def add_video(self, format: FrameFormat, rate: Fraction, *, language: str | None = None) -> None:
        self._has_video = True
        if self._number == 0:
            self.format = format
            self._writer.add_video(format, rate, language=language)
        elif self.format is None:
            raise NoMediaInRange("the first part has no video in its range, a later part has: begin with that one")

    def add_audio(self, *, rate: int, channels: int, language: str | None) -> tuple[str, str]:
        self._added += 1
        if self._number == 0:
            format, layout = self._writer.add_audio(rate=rate, channels=channels, language=language)
            self._tracks.append(_JoinedTrack(format, layout, rate))
            self._begin_track(self._tracks[-1])
        track = (
            self._tracks[min(self._added, len(self._tracks)) - 1]
            if self._tracks
            else _JoinedTrack("fltp", "stereo", rate)
        )
        return track.format, track.layout

    def write_frame(self, frame: av.VideoFrame, time: Fraction, duration: Fraction) -> None:
        self._writer.write_frame(frame, self._start + time, duration)

    def write_audio(self, number: int, frame: av.AudioFrame) -> None:
        if number < len(self._tracks):
            for joined in self._tracks[number].join(frame):
                self._writer.write_audio(number, joined)


class _JoinedTrack:
    """Joins the frames of an audio track, part by part, in the format, layout and rate of the first part."""

    def __init__(self, format: str, layout: str, rate: int) -> None:
        self.format, self.layout, self.rate = format, layout, rate
        self._first = self._total = 0  # sample of the clip at which the part begins, and the part's samples
        self._written = 0  # samples of the part
        self._fades = (False, False)
        self._resampler: AudioResampler | None = None

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
        for converted in self._resampler.resample(frame):
            yield from self._place(converted)

    def finish_part(self) -> Iterator[av.AudioFrame]:
        """Yield the rest of the part, with silence up to its end."""
        if self._resampler is not None:
            for converted in self._resampler.resample(None):
                yield from self._place(converted)
        while (missing := self._total - self._written) > 0:
            yield from self._place(silent_frame(self.format, self.layout, self.rate, min(missing, _SILENCE_SAMPLES)))

    def _place(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        count = min(frame.samples, self._total - self._written)
        if count <= 0:
            return
        fade = round(self.rate * _FADE_SECONDS)
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
        gains = [self._gain(self._written + number, fade) for number in range(frame.samples)]
        channels = 1 if frame.format.is_planar else frame.layout.nb_channels
        for plane in frame.planes:
            samples = array("f", bytes(plane)[: 4 * frame.samples * channels])
            for number in range(len(samples)):
                samples[number] *= gains[number // channels]
            plane.update(samples.tobytes().ljust(plane.buffer_size, b"\0"))

    def _gain(self, sample: int, fade: int) -> float:
        fades_in, fades_out = self._fades
        gain = min(1.0, (sample + 0.5) / fade) if fades_in else 1.0
        return min(gain, (self._total - sample - 0.5) / fade) if fades_out else gain
