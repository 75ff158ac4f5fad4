"""Verification of the finished file in the maker child: by comparing packets or by decoding.

A second process (`media.worker.inspector`) checks that the file matches the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.errors import ClipEngineError, UnsupportedMedia, VerificationFailed
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.webp_file import HEAD_BYTES as WEBP_HEAD_BYTES
from clipengine.media.bitstream.webp_file import is_webp
from clipengine.media.input.containers.cached_reader import DescriptorSource, MediaReader
from clipengine.media.input.containers.container import audio_streams, open_recording, read_packets, video_stream
from clipengine.media.input.containers.webp_animation import WebpStream
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.media.output.packet_verifier import STRICT, PacketVerifier, Track, checksum
from clipengine.media.output.seam_decoder import SeamDecoder
from clipengine.media.output.spliced_track import SplicedTrack

_ROUNDED = Fraction(1, 1000)
_BLOCK_BYTES = 256 * 1024  # the whole file is read, from the page cache


def verify(
    descriptor: int,
    frames: int,
    verifier: PacketVerifier | None,
    on_packet: Callable[[], None],
    *,
    threads: int,
    spliced: bool = False,
    full: bool = False,
) -> None:
    """Raise VerificationFailed unless the file behind the descriptor decodes to exactly `frames` frames.

    If `verifier` received all packets and the file contains exactly these, it is not decoded again. If packets were
    copied (`spliced`), the file must contain exactly these, and show the pictures that are expected where copied and
    encoded packets meet; with `full` all of it is decoded for that. `on_packet` is called for each packet.
    """
    try:
        if verifier is not None and _read(
            descriptor, lambda file: _compare(file, verifier, frames, full=full, threads=threads), on_packet
        ):
            return
        if spliced:
            raise VerificationFailed("the clip does not contain the packets that were copied and encoded")
        if not _read(descriptor, lambda file: _decode(file, threads) == frames, on_packet):
            raise VerificationFailed(f"the clip does not decode to the {frames} frames that were written")
    except ClipEngineError as error:
        if isinstance(error, VerificationFailed) or error.message == UnsupportedMedia.out_of_memory().message:
            raise  # missing memory says nothing about the clip
        raise VerificationFailed(f"the finished clip cannot be read back: {error.message}") from error


@dataclass(frozen=True)
class _File:
    """The finished file: its video stream, all streams, and an iterator over its packets."""

    video: VideoStream | WebpStream | None
    streams: Sequence[Stream | WebpStream]
    packets: Iterator[Packet[Any]]


def _read(descriptor: int, check: Callable[[_File], bool], on_packet: Callable[[], None]) -> bool:
    """Open the file and return the result of `check`."""
    with (
        MediaReader(DescriptorSource(descriptor), block_bytes=_BLOCK_BYTES) as reader,
        _opened(reader) as (video, streams, packets),
    ):
        try:
            return check(_File(video, streams, _with_callback(packets, on_packet)))
        except MemoryError:
            raise
        except (av.FFmpegError, BitstreamError) as error:
            raise_if_out_of_memory()
            raise VerificationFailed(f"the finished clip does not decode to its end: {error}") from error


@contextmanager
def _opened(reader: MediaReader) -> Iterator[tuple[Any, Sequence[Any], Iterator[Packet[Any]]]]:
    """Open the file, and yield its video stream, all streams, and its packets."""
    if is_webp(reader.read(WEBP_HEAD_BYTES)):
        animation = WebpStream(reader)
        yield animation, [animation], animation.packets()
        return
    with open_recording(reader) as container:
        video = video_stream(container)
        streams = [*([video] if video else []), *audio_streams(container)]
        yield video, streams, read_packets(container, streams, reader)


def _with_callback(packets: Iterator[Packet[Any]], on_packet: Callable[[], None]) -> Iterator[Packet[Any]]:
    for packet in packets:
        on_packet()
        yield packet


def _decode(file: _File, threads: int) -> int:
    """Decode the whole file and return the number of video frames."""
    video = file.video
    if video is not None:
        video.codec_context.options = STRICT
    if isinstance(video, VideoStream):
        video.codec_context.thread_type = ThreadType.FRAME | ThreadType.SLICE
        video.codec_context.thread_count = threads
    frames = 0
    decoders: dict[int, Any] = {stream.index: stream.codec_context for stream in file.streams}
    for packet in file.packets:
        decoded = decoders[packet.stream_index].decode(packet)
        if video is not None and packet.stream_index == video.index:
            frames += _count_intact(decoded)
    return frames if video is None else frames + _count_intact(video.codec_context.decode(None))


def _count_intact(frames: Sequence[Any]) -> int:
    """Return the number of frames. Raises VerificationFailed if one is damaged."""
    if any(frame.is_corrupt for frame in frames):
        raise VerificationFailed("a frame of the clip is damaged")
    return len(frames)


def _compare(file: _File, verifier: PacketVerifier, frames: int, *, full: bool, threads: int) -> bool:
    """Return True if the file contains exactly the packets that were added to the verifier."""
    verifier.end()
    if len(verifier.tracks) != len(file.streams):
        return False
    tracks = {stream.index: track for stream, track in zip(file.streams, verifier.tracks, strict=True)}
    seen = dict.fromkeys(tracks, 0)
    seams = _seam_decoder(file, tracks, full=full, threads=threads)
    for packet in file.packets:
        track, number = tracks[packet.stream_index], seen[packet.stream_index]
        if number == len(track.checksums) or track.checksums[number] != checksum(track.name, packet):
            return False
        if isinstance(track, SplicedTrack) and seams is not None:
            if not _is_at(packet, track.times[number] * track.tick):
                return False
            seams.add(number, packet)
        seen[packet.stream_index] = number + 1
    if any(seen[index] != len(track.checksums) for index, track in tracks.items()):
        return False
    if seams is not None:
        seams.end()
    return file.video is None or tracks[file.video.index].frames == frames


def _seam_decoder(
    file: _File, tracks: Mapping[int, Track | SplicedTrack], *, full: bool, threads: int
) -> SeamDecoder | None:
    """Return the decoder of the file's video if packets of it were copied."""
    track = tracks[file.video.index] if isinstance(file.video, VideoStream) else None
    if not isinstance(file.video, VideoStream) or not isinstance(track, SplicedTrack):
        return None
    return SeamDecoder(file.video, track, full=full, threads=threads)


def _is_at(packet: Packet[Any], time: Fraction) -> bool:
    """Return True if the file has the packet at its time, which Matroska rounds to milliseconds."""
    return packet.pts is not None and abs(packet.pts * as_fraction(packet.time_base) - time) <= _ROUNDED
