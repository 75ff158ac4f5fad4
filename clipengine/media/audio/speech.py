"""Samples of an audio track for transcribers: 16-bit, mono, 16 kHz."""

from __future__ import annotations

import av
from av.audio.resampler import AudioResampler

from clipengine.clips.cut_range import CutRange
from clipengine.clips.transcription import SAMPLE_RATE
from clipengine.errors import NoMediaInRange
from clipengine.media.audio.encoder_format import encoder_format
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.recordings.facts import TrackNames


def read_speech(request: ReadRequest) -> bytes:
    """Return the samples of one track in the range, little-endian. Gaps are silence. Raises RecordingError."""
    (start, end), number = request.range, request.values["track"]
    if number >= len(request.facts.audio):
        raise NoMediaInRange(f"the recording has no audio track {number}")
    track = request.facts.audio[number]
    cut, speech = CutRange(start, end), _Speech()
    tracks = AudioTracks(speech, (track,), mix=False, origin=start, end=end)
    with (
        MediaReader(request.source) as reader,
        media_errors(reader),
        open_seeker(
            reader, request.facts, cut, video=False, audio=[track.index], seek_index=request.seek_index
        ) as seeker,
    ):
        for event in ClipDecoder(seeker, cut, threads=1).events():
            if isinstance(event, AudioFrameEvent):
                tracks.write_audio(event)
    tracks.finish(())
    return speech.finish()


class _Speech:
    """Collects the frames of one track, as AudioTracks writes them: from time 0, without gaps."""

    def __init__(self) -> None:
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)
        self._samples = bytearray()
        self._written = 0

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        return encoder_format("aac", channels)

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        frame.pts, self._written = self._written, self._written + frame.samples
        self._resample(frame)

    def finish(self) -> bytes:
        """Return all samples."""
        if self._written:
            self._resample(None)
        return bytes(self._samples)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        for each in self._resampler.resample(frame):
            self._samples += memoryview(each.planes[0])[: 2 * each.samples]
