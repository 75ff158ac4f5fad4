"""Verification: the finished file is opened again, decoded to its end and held against what was planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import ThreadType
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

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


def verify(descriptor: int, expected: Expected, on_packet: Callable[[], None], *, threads: int) -> None:
    """Raises VerificationFailed unless the file behind the descriptor is the clip that was planned, whole.

    `on_packet` is called often: a long clip takes a while.
    """
    try:
        _verify(descriptor, expected, on_packet, threads)
    except VerificationFailed:
        raise
    except ClipEngineError as error:
        raise VerificationFailed(f"the finished clip cannot be read back: {error.message}") from error


def _verify(descriptor: int, expected: Expected, on_packet: Callable[[], None], threads: int) -> None:
    source = DescriptorSource(descriptor)
    reader = MediaReader(source)
    header_seconds = movie_seconds(reader)
    with open_recording(reader) as container:
        video = video_stream(container)
        sounds = audio_streams(container)
        if len(sounds) != expected.sounds or (video is not None) != (expected.frames > 0):
            raise VerificationFailed(f"the clip holds {len(sounds)} audio tracks, {expected.sounds} were written")
        shown = _Shown(as_fraction(video.time_base or 1) if video else Fraction(1))
        end = header_seconds or max(map(_end, [*([video] if video else []), *sounds]), default=Fraction(0))
        end = end or Fraction(container.duration or 0, av.time_base)
        if video is not None:
            _prepare(video.codec_context, threads)
        try:
            for packet in read_packets(container, [*([video] if video else []), *sounds], reader):
                on_packet()
                frames = packet.decode()
                if video is not None and packet.stream_index == video.index:
                    shown.add(packet.is_keyframe, frames)
            if video is not None:
                shown.add(None, video.codec_context.decode(None))
        except av.FFmpegError as error:
            raise VerificationFailed(f"the finished clip does not decode to its end: {error}") from error
    _check(expected, shown, end)


def _prepare(context: VideoCodecContext, threads: int) -> None:
    """Decode every bit of every picture, and take nothing for granted that is damaged."""
    context.thread_type = ThreadType.FRAME | ThreadType.SLICE
    context.thread_count = threads
    # The loop filter only smooths what has been decoded. It reads no bit of the clip and cannot fail, and nobody looks
    # at these pictures: without it a quarter of the time is saved, and nothing of the check.
    context.options = {"skip_loop_filter": "all", "err_detect": "explode"}


class _Shown:
    """What the frames of the clip turn out to be, one after the other: their times, in order or not."""

    def __init__(self, tick: Fraction) -> None:
        self._tick = tick
        self._last: int | None = None
        self.frames = 0
        self.first: Fraction | None = None
        self.in_order = True
        self.begins_with_key: bool | None = None

    def add(self, is_key: bool | None, frames: list[av.VideoFrame]) -> None:
        """The frames that one packet gave."""
        if self.begins_with_key is None:
            self.begins_with_key = is_key
        for frame in frames:
            if frame.is_corrupt:
                raise VerificationFailed(f"frame {self.frames} of the clip is damaged")
            pts = frame.pts or 0
            if self._last is None:
                self.first = pts * self._tick
            elif pts <= self._last:
                self.in_order = False
            self._last = pts
            self.frames += 1


def _end(stream: Stream) -> Fraction:
    """Where the container says that the stream ends; 0 where it does not say."""
    if stream.duration is None:
        return Fraction(0)
    return ((stream.start_time or 0) + stream.duration) * as_fraction(stream.time_base or 1)


def _check(expected: Expected, shown: _Shown, end: Fraction) -> None:
    if expected.frames:
        if shown.frames != expected.frames:
            raise VerificationFailed(f"the clip decodes to {shown.frames} frames, {expected.frames} were written")
        if not shown.begins_with_key:
            raise VerificationFailed("the clip does not begin with a keyframe")
        if not shown.in_order:
            raise VerificationFailed("the clip's frames are not in order")
        first = shown.first or Fraction(0)
        if abs(first - (expected.first_frame or 0)) > _TIME_TOLERANCE:
            raise VerificationFailed(f"the clip's first frame is shown at {float(first):.3f} s")
    tolerance = _SOUND_TOLERANCE if expected.sounds else max(expected.frame_seconds / 2, _TIME_TOLERANCE)
    if abs(end - expected.seconds) > max(tolerance, expected.frame_seconds / 2):
        raise VerificationFailed(f"the clip ends at {float(end):.3f} s, {float(expected.seconds):.3f} s were planned")
