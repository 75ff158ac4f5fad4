"""Verification: the finished file is opened again, proven to decode to its end and held against what was planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.errors import ClipEngineError, VerificationFailed
from clipengine.media.boxes import movie_seconds
from clipengine.media.clock import as_fraction
from clipengine.media.container import audio_streams, open_recording, read_packets, video_stream
from clipengine.media.memory import refuse_shortage
from clipengine.media.proof import STRICT, Proof, checksum
from clipengine.media.source import DescriptorSource, MediaReader

# Matroska and MP3 store whole milliseconds or frames; sound ends on the codec's frame.
_TIME_TOLERANCE = Fraction(1, 500)
_SOUND_TOLERANCE = Fraction(1, 10)
_BLOCK_BYTES = 256 * 1024  # all of the file is read, from memory


@dataclass(frozen=True)
class Expected:
    """What the plan says. Seconds of clip time; `frame_seconds` is the usual distance of two frames."""

    container: str
    frames: int
    first_frame: Fraction | None
    frame_seconds: Fraction
    seconds: Fraction
    sounds: int


def verify(
    descriptor: int, expected: Expected, proof: Proof | None, on_packet: Callable[[], None], *, threads: int
) -> None:
    """Raises VerificationFailed unless the file behind the descriptor is the clip that was planned, whole.

    With a proof, to which everything was added, the file need only hold what was decoded; where it does not, and
    without a proof, it is decoded to its end. `on_packet` is called often: a long clip takes a while.
    """
    try:
        if proof is None or not _verify(descriptor, expected, lambda file: _compare(file, proof), on_packet):
            _verify(descriptor, expected, lambda file: _decode(file, threads), on_packet)
    except VerificationFailed:
        raise
    except ClipEngineError as error:
        raise VerificationFailed(f"the finished clip cannot be read back: {error.message}") from error


def _verify(
    descriptor: int, expected: Expected, show: Callable[[_File], _Shown | None], on_packet: Callable[[], None]
) -> bool:
    """Whether `show` could tell what the file shows. Raises VerificationFailed where that is not what is expected."""
    with MediaReader(DescriptorSource(descriptor), block_bytes=_BLOCK_BYTES) as reader:
        header_seconds = movie_seconds(reader)
        with open_recording(reader) as container:
            video, sounds = video_stream(container), audio_streams(container)
            if len(sounds) != expected.sounds or (video is not None) != (expected.frames > 0):
                raise VerificationFailed(f"the clip holds {len(sounds)} audio tracks, {expected.sounds} were written")
            streams = [*([video] if video else []), *sounds]
            end = header_seconds or max(map(_end, streams), default=Fraction(0))
            end = end or Fraction(container.duration or 0, av.time_base)
            packets = _told(read_packets(container, streams, reader), on_packet)
            try:
                shown = show(_File(video, streams, packets))
            except MemoryError:
                raise
            except av.FFmpegError as error:
                refuse_shortage()
                raise VerificationFailed(f"the finished clip does not decode to its end: {error}") from error
    if shown is None:
        return False
    _check(expected, shown, end)
    return True


@dataclass(frozen=True)
class _File:
    """The finished file, opened: its picture, all its streams, and its packets from the first on."""

    video: VideoStream | None
    streams: Sequence[Stream]
    packets: Iterator[Packet[Any]]


def _told(packets: Iterator[Packet[Any]], on_packet: Callable[[], None]) -> Iterator[Packet[Any]]:
    for packet in packets:
        on_packet()
        yield packet


def _decode(file: _File, threads: int) -> _Shown:
    """What the file shows when all of it is decoded."""
    shown = _Shown(file.video)
    if file.video is not None:
        file.video.codec_context.thread_type = ThreadType.FRAME | ThreadType.SLICE
        file.video.codec_context.thread_count = threads
        file.video.codec_context.options = STRICT
    for packet in file.packets:
        frames = packet.decode()
        if packet.stream is file.video:
            shown.add(packet.is_keyframe, frames)
    if file.video is not None:
        shown.add(None, file.video.codec_context.decode(None))
    return shown


def _compare(file: _File, proof: Proof) -> _Shown | None:
    """What the file shows, where it holds just the packets that were decoded for the proof; else None."""
    if len(proof.tracks) != len(file.streams):
        return None
    tracks = {stream.index: track for stream, track in zip(file.streams, proof.tracks, strict=True)}
    seen = dict.fromkeys(tracks, 0)
    times: list[int] = []
    begins_with_key = False
    if file.video is not None:
        file.video.codec_context.thread_count = 1
    for packet in file.packets:
        track, number = tracks[packet.stream_index], seen[packet.stream_index]
        if number == len(track.checksums) or track.checksums[number] != checksum(track.name, packet):
            return None
        if number == 0:  # the head of the file opens its decoders as well
            begins_with_key = begins_with_key or (packet.stream is file.video and packet.is_keyframe)
            packet.decode()
        if packet.stream is file.video:
            times.append(packet.pts or 0)
        seen[packet.stream_index] = number + 1
    if any(seen[index] != len(track.checksums) for index, track in tracks.items()):
        return None
    proof.end()  # it has decoded the last packets meanwhile
    shown = _Shown(file.video)
    if file.video is not None:
        shown.take(begins_with_key, tracks[file.video.index].frames, sorted(times))
    return shown


class _Shown:
    """What the frames of the clip turn out to be, one after the other: their times, in order or not."""

    def __init__(self, video: VideoStream | None) -> None:
        self._tick = as_fraction(video.time_base or 1) if video else Fraction(1)
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
            self._note(frame.pts or 0)
            self.frames += 1

    def take(self, begins_with_key: bool, frames: int, times: Sequence[int]) -> None:
        """All frames at once: how many there are, and the times of their packets."""
        self.begins_with_key, self.frames = begins_with_key, frames
        for pts in times:
            self._note(pts)
        self.in_order = self.in_order and len(times) == frames

    def _note(self, pts: int) -> None:
        if self._last is None:
            self.first = pts * self._tick
        elif pts <= self._last:
            self.in_order = False
        self._last = pts


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
