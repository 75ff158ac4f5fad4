"""Verification: the finished file is opened again, decoded to its end and held against what was planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
from av.codec.context import ThreadType
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.errors import ClipEngineError, VerificationFailed
from clipengine.media.boxes import movie_seconds
from clipengine.media.clock import as_fraction
from clipengine.media.container import audio_streams, open_recording, read_packets, video_stream
from clipengine.media.source import DescriptorSource, MediaReader

# Matroska and MP3 store whole milliseconds or frames; sound ends on the codec's frame.
_TIME_TOLERANCE = Fraction(1, 500)
_SOUND_TOLERANCE = Fraction(1, 10)


@dataclass(frozen=True)
class Expected:
    """What the plan says. Seconds of clip time; `frame_seconds` is the usual distance of two frames."""

    container: str
    frames: int
    first_frame: Fraction | None
    frame_seconds: Fraction
    seconds: Fraction
    sounds: int


def verify(descriptor: int, expected: Expected, on_packet: Callable[[], None]) -> None:
    """Raises VerificationFailed unless the file behind the descriptor is the clip that was planned, whole.

    `on_packet` is called often: a long clip takes a while.
    """
    try:
        _verify(descriptor, expected, on_packet)
    except VerificationFailed:
        raise
    except ClipEngineError as error:
        raise VerificationFailed(f"the finished clip cannot be read back: {error.message}") from error


def _verify(descriptor: int, expected: Expected, on_packet: Callable[[], None]) -> None:
    source = DescriptorSource(descriptor)
    reader = MediaReader(source)
    header_seconds = movie_seconds(reader)
    with open_recording(reader) as container:
        video = video_stream(container)
        sounds = audio_streams(container)
        if len(sounds) != expected.sounds or (video is not None) != (expected.frames > 0):
            raise VerificationFailed(f"the clip holds {len(sounds)} audio tracks, {expected.sounds} were written")
        times: list[Fraction] = []
        first_packet_is_key: bool | None = None
        end = header_seconds or max(map(_end, [*([video] if video else []), *sounds]), default=Fraction(0))
        end = end or Fraction(container.duration or 0, av.time_base)
        if video is not None:
            video.codec_context.thread_type = ThreadType.FRAME | ThreadType.SLICE
        try:
            for packet in read_packets(container, [*([video] if video else []), *sounds], reader):
                on_packet()
                if video is not None and packet.stream_index == video.index:
                    if first_packet_is_key is None:
                        first_packet_is_key = packet.is_keyframe
                    times += _frame_times(packet.decode(), video)
                else:
                    packet.decode()
            if video is not None:
                times += _frame_times(video.codec_context.decode(None), video)
        except av.FFmpegError as error:
            raise VerificationFailed(f"the finished clip does not decode to its end: {error}") from error
    _check(expected, times, end, first_packet_is_key)


def _end(stream: Stream) -> Fraction:
    """Where the container says that the stream ends; 0 where it does not say."""
    if stream.duration is None:
        return Fraction(0)
    return ((stream.start_time or 0) + stream.duration) * as_fraction(stream.time_base or 1)


def _frame_times(frames: list[av.VideoFrame], stream: VideoStream) -> list[Fraction]:
    return [(frame.pts or 0) * as_fraction(stream.time_base or 1) for frame in frames]


def _check(expected: Expected, times: list[Fraction], end: Fraction, first_packet_is_key: bool | None) -> None:
    if expected.frames:
        if len(times) != expected.frames:
            raise VerificationFailed(f"the clip decodes to {len(times)} frames, {expected.frames} were written")
        if not first_packet_is_key:
            raise VerificationFailed("the clip does not begin with a keyframe")
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise VerificationFailed("the clip's frames are not in order")
        if abs(times[0] - (expected.first_frame or 0)) > _TIME_TOLERANCE:
            raise VerificationFailed(f"the clip's first frame is shown at {float(times[0]):.3f} s")
    tolerance = _SOUND_TOLERANCE if expected.sounds else max(expected.frame_seconds / 2, _TIME_TOLERANCE)
    if abs(end - expected.seconds) > max(tolerance, expected.frame_seconds / 2):
        raise VerificationFailed(f"the clip ends at {float(end):.3f} s, {float(expected.seconds):.3f} s were planned")
