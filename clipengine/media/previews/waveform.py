"""Waveform of a recording: the peak level of each part of it, over all audio tracks."""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler

from clipengine.clips.cut_range import CutRange
from clipengine.errors import NoMediaInRange
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex

_RATE = 8000  # enough for a waveform, with a sixth of the samples of 48 kHz
_FULL = 32768


def read_waveform(request: ReadRequest) -> bytes:
    """Return the JSON of the peaks of `points` parts of the range."""
    start, end = request.range
    points, seek_index = request.values["points"], request.seek_index
    found = peaks(request.source, request.facts, start=start, end=end, points=points, seek_index=seek_index)
    return request.json_of_range(points=len(found), peaks=found)


def peaks(
    source: ByteSource,
    facts: SourceFacts,
    *,
    start: Fraction,
    end: Fraction,
    points: int,
    seek_index: SeekIndex | None = None,
) -> list[float]:
    """Return the peak level, 0 to 1, of each of `points` equal parts of `[start, end)`. Raises RecordingError."""
    if not facts.audio:
        raise NoMediaInRange("the recording has no audio")
    parts = _Parts(start, end, points)
    cut = CutRange(start, end)
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(
            reader, facts, cut, video=False, audio=[track.index for track in facts.audio], seek_index=seek_index
        ) as seeker,
    ):
        resamplers: dict[int, _Resampler] = {}
        for event in ClipDecoder(seeker, cut, threads=1).events():
            if isinstance(event, AudioFrameEvent):
                resampler = resamplers.setdefault(event.stream_index, _Resampler(parts))
                resampler.add(event.time, event.frame)
        for resampler in resamplers.values():
            resampler.finish()
    return [round(each / _FULL, 3) for each in parts.peaks]


class _Resampler:
    """Converts the frames of an audio track to the waveform's rate, and adds them to its parts."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._shape: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def add(self, time: Fraction, frame: av.AudioFrame) -> None:
        """Add a frame that is presented at `time` (recording time)."""
        shape = frame.format.name, frame.layout.name, frame.sample_rate
        if shape != self._shape:
            self.finish()
            self._shape, self._resampler = shape, AudioResampler("s16", "mono", _RATE)
        # FFmpeg takes its filter's delay off the times, without which a peak would move into the next part.
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time * frame.sample_rate)
        self._resample(frame)

    def finish(self) -> None:
        """Add the samples inside the filter."""
        self._resample(None)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        if self._resampler is None:
            return
        for piece in self._resampler.resample(frame):
            self._parts.add((piece.pts or 0) * as_fraction(piece.time_base), _samples(piece))


def _samples(frame: av.AudioFrame) -> array.array[int]:
    found = array.array("h")
    found.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
    return found


class _Parts:
    """The peak level of each part of a range. Each sample belongs to one part, also at the seam of two ranges."""

    def __init__(self, start: Fraction, end: Fraction, points: int) -> None:
        self.peaks = [0] * points
        self._start = start * _RATE
        self._part = (end - start) * _RATE / points

    def add(self, time: Fraction, samples: Sequence[int]) -> None:
        """Add samples that begin at `time` (recording time); samples outside the range are ignored."""
        position = round(time * _RATE)
        first = max(0, math.ceil(self._start) - position)
        while first < len(samples):
            number = (position + first - self._start) // self._part
            if number >= len(self.peaks):
                return
            stop = math.ceil(self._start + (number + 1) * self._part) - position
            piece = samples[first:stop]
            self.peaks[number] = max(self.peaks[number], max(piece), -min(piece))
            first = stop
