"""Encoders and muxer of one fragment of an MP4 stream (ISO/IEC 14496-12, section 8.8), in memory.

Fragments of one stream join without a seam. Video has no B-frames, so that a fragment is decoded in the order of its
times. AAC packets overlap their neighbours: audio around the fragment is encoded too, and its packets are dropped.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.proxy import LEVEL
from clipengine.media.audio.encoder_format import encoder_rate
from clipengine.media.output.video_encoder import VIDEO_TIME_BASE, set_format
from clipengine.media.output.writable_file import WriterErrors
from clipengine.media.output.writer import set_audio_format
from clipengine.media.video.frame_format import FrameFormat
from clipengine.recordings.facts import TrackNames

AAC_SAMPLES = 1024  # of a packet
_MAX_CHANNELS = 2  # of a proxy; browsers mix more down to stereo
_MAX_BITRATE = 4_000_000  # of video, over two seconds
_KEYFRAME_SECONDS = 1  # frames to decode at most for a step back
_OPTIONS = {
    "movflags": "+empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
}


def aac_rate(rate: int) -> int:
    """Return the sample rate of the stream's audio for a recording with `rate` samples per second."""
    return encoder_rate("aac", rate)


class FragmentWriter:
    """Writes one fragment. Add the streams, write frames in recording time, then call `finish`."""

    def __init__(self, profile: Profile, threads: int) -> None:
        self._file = io.BytesIO()
        self._profile = profile
        self._threads = threads
        with WriterErrors():
            self._container: Any = av.open(self._file, "w", format="mp4", container_options=dict(_OPTIONS))
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._last_pts = -1
        self._durations: dict[int, int] = {}
        self._first_sample = 0  # of the audio that is written
        self._samples = range(0)  # of the audio that the fragment contains

    def add_video(self, format: FrameFormat, rate: Fraction) -> None:
        """Add the video stream. `rate` is its usual frame rate."""
        stream = self._container.add_stream("libx264", rate=rate.limit_denominator(100_000))
        context = stream.codec_context
        set_format(context, format)
        context.thread_count = self._threads
        context.flags |= Flags.frame_duration
        context.options = {
            "preset": self._profile.preset,
            "crf": f"{self._profile.crf:g}",
            "profile": "high",
            "level": str(LEVEL),
            "bf": "0",
            "g": str(max(1, round(rate * _KEYFRAME_SECONDS))),
            "maxrate": str(_MAX_BITRATE),
            "bufsize": str(2 * _MAX_BITRATE),
        }
        self._video = stream

    def set_audio_range(self, first: int, kept: range) -> None:
        """State the number of the first sample that is written, and the samples that the fragment contains.

        Samples are counted from the start of the recording. The fragment contains whole packets.
        """
        self._first_sample, self._samples = first, kept

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        """Add the audio stream and return the sample format and channel layout that its encoder needs."""
        chosen = aac_rate(rate)
        stream = self._audio = self._container.add_stream("aac", rate=chosen)
        channels = min(channels, _MAX_CHANNELS)
        return set_audio_format(stream.codec_context, self._profile, rate=chosen, channels=channels)

    def write_frame(self, frame: av.VideoFrame, start: Fraction, end: Fraction) -> None:
        """Encode a frame that is shown from `start` to `end`."""
        assert self._video is not None
        frame.pts = self._last_pts = max(round(start * VIDEO_TIME_BASE.denominator), self._last_pts + 1)
        frame.time_base = VIDEO_TIME_BASE
        frame.duration = self._durations[frame.pts] = max(1, round(end * VIDEO_TIME_BASE.denominator) - frame.pts)
        frame.pict_type = 0
        with WriterErrors():
            self._mux_video(self._video.encode(frame))

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        assert self._audio is not None
        frame.pts = (frame.pts or 0) + self._first_sample
        with WriterErrors():
            self._mux_audio(self._audio.encode(frame))

    def finish(self) -> tuple[bytes, bytes]:
        """Return the initialization segment of the stream, and the fragment."""
        with WriterErrors():
            if self._video is not None:
                self._mux_video(self._video.encode(None))
            if self._audio is not None:
                self._mux_audio(self._audio.encode(None))
            self._container.close()
        return _split(self._file.getvalue())

    def _mux_video(self, packets: Sequence[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration or 0)
            self._container.mux_one(packet)

    def _mux_audio(self, packets: Sequence[Packet[AudioStream]]) -> None:
        for packet in packets:
            if (packet.pts or 0) in self._samples:
                self._container.mux_one(packet)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Divide a file before its first fragment."""
    offset = 0
    while offset < len(data) and data[offset + 4 : offset + 8] != b"moof":
        offset += int.from_bytes(data[offset : offset + 4], "big")
    return data[:offset], data[offset:]
