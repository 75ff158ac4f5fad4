"""Demuxer of one recording: the streams that a clip needs, and seeks by time and by byte."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import audio_streams, keep_only, open_recording, seek, video_stream
from clipengine.media.input.containers.header_splice import HeaderSplice
from clipengine.media.input.seeking.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.seeking.preroll import PREROLL_SECONDS
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import SourceFacts

# FFmpeg's first names of formats whose demuxers can synchronise at any byte.
_BYTE_SEEKABLE = ("mpegts", "mpeg", "flv")


class Demuxer:
    """Opens the recording, again for each `open`. `audio` are the indices of the wanted audio streams."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, *, video: bool, audio: Collection[int]) -> None:
        self._reader = reader
        self._facts = facts
        self._want_video = video
        self._want_audio = audio
        self._stack = ExitStack()
        self._container: InputContainer | None = None
        self._decoder_state: DecoderState | None = None  # None if the decoder needs none
        self.video: VideoStream | None = None
        self.audio: list[AudioStream] = []

    def close(self) -> None:
        self._stack.close()

    @property
    def container(self) -> InputContainer:
        assert self._container is not None
        return self._container

    @property
    def streams(self) -> list[Stream]:
        return [*([self.video] if self.video else []), *self.audio]

    @property
    def palette_changes(self) -> bool:
        """True if frames are only right if everything is decoded from the recording's start."""
        return self._decoder_state is not None and self._decoder_state.palette_changes

    def open(self, splice: HeaderSplice | None = None) -> None:
        """Open the recording at its start, or at the splice, and configure its decoder."""
        self._open(splice)
        if self.video is None or not needs_first_packet(self.video):
            return
        if self._decoder_state is None:
            self.close()
            self._decoder_state = read_decoder_state(self._reader)
            self._open(splice)
        self._decoder_state.configure(self.video)

    def _open(self, splice: HeaderSplice | None) -> None:
        self.close()
        self._container = self._stack.enter_context(open_recording(self._reader, splice))
        self.video = video_stream(self._container) if self._want_video else None
        self.audio = [stream for stream in audio_streams(self._container) if stream.index in self._want_audio]
        keep_only(self._container, self.streams)

    def complete(self, packet: Packet[Any]) -> None:
        """Add the data that only the stream's first packet carries to the packet that is decoded first."""
        if self._decoder_state is not None:
            self._decoder_state.complete(packet)

    def seek_time(self, time: Fraction) -> bool:
        """Seek to a keyframe at or before the recording time. Return False if the position is the start."""
        if time <= 0:
            return False
        stream = self.streams[0]
        if self.video is None:
            time = max(Fraction(0), time - PREROLL_SECONDS)
        ticks = self._ticks(time, stream)
        known, found = -1, len(stream.index_entries)
        # Seeking may have loaded a fragment, which leaves other streams too early: repeat.
        while known != found:
            if not seek(self.container, ticks, stream=stream):
                self.open()
                return False
            known, found = found, len(stream.index_entries)
        return True

    def seek_any_frame(self, time: Fraction) -> bool:
        """Seek to the video packet at the recording time, keyframe or not. Return False if that is not possible."""
        if time <= 0 or self.video is None or self._facts.container != "mov":
            return False
        return seek(self.container, self._ticks(time, self.video), stream=self.video, any_frame=True)

    def seek_byte(self, offset: int) -> bool:
        """Seek to a byte. Return False, at the start, if the format does not allow that."""
        if self._facts.container not in _BYTE_SEEKABLE:
            return False
        if not seek(self.container, offset, unsupported_byte_offset=True):
            self.open()
            return False
        return True

    def _ticks(self, time: Fraction, stream: Stream) -> int:
        return int((time + self._facts.origin) / as_fraction(stream.time_base or 1) // 1)
