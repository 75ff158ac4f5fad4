"""Waveform of a recording: the peak level of each part of it, over all audio tracks."""

from __future__ import annotations

import array
from collections.abc import Sequence
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler

from clipengine.clips.plan.frames import CutRange
from clipengine.errors import NoMediaInRange
from clipengine.media.input.container import media_errors
from clipengine.media.input.decode import ClipDecoder
from clipengine.media.input.events import AudioFrameEvent
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seekers import open_seeker
from clipengine.media.input.source import ByteSource, MediaReader
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
        resamplers: dict[int, tuple[object, AudioResampler]] = {}
        for event in ClipDecoder(seeker, cut, threads=1).events():
            if not isinstance(event, AudioFrameEvent):
                continue
            frame = event.frame
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            known = resamplers.get(event.stream_index)
            if known is None or known[0] != shape:
                known = resamplers[event.stream_index] = (shape, AudioResampler("s16", "mono", _RATE))
            frame.pts = None
            for piece in known[1].resample(frame):
                parts.add(event.time, _samples(piece))
    return [round(each / _FULL, 3) for each in parts.peaks]


def _samples(frame: av.AudioFrame) -> array.array[int]:
    found = array.array("h")
    found.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
    return found


class _Parts:
    """The peak level of each part of a range."""

    def __init__(self, start: Fraction, end: Fraction, points: int) -> None:
        self.peaks = [0] * points
        self._start = float(start)
        self._part = float(end - start) / points

    def add(self, time: Fraction, samples: Sequence[int]) -> None:
        """Add samples that begin at `time` (recording time); samples outside the range are ignored."""
        offset = float(time) - self._start
        first = 0
        while first < len(samples):
            number = int(offset // self._part)
            stop = max(first + 1, first + round(((number + 1) * self._part - offset) * _RATE))
            piece = samples[first:stop]
            if 0 <= number < len(self.peaks):
                self.peaks[number] = max(self.peaks[number], max(piece), -min(piece))
            offset += len(piece) / _RATE
            first = stop
