"""Inspector child: reports the contents of a finished clip file before it is published.

The maker child is not trusted, because a hostile recording may have taken it over. The inspector is a separate
process that gets only the file, and the parent compares its report with the plan (`clips.file_comparison`). It imports
as little as possible, since its start-up time is most of its cost.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from clipengine.clips.texts.chapters import chapters_digest
from clipengine.clips.texts.subtitles import MAX_TEXT_TRACKS, TextDigest
from clipengine.errors import ClipEngineError, VerificationFailed
from clipengine.media.bitstream.webp_file import is_webp
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import codec_name, open_recording
from clipengine.media.input.containers.mp4_boxes import movie_seconds
from clipengine.media.input.containers.webp_animation import WebpStream
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.memory import log_library_errors, raise_if_out_of_memory
from clipengine.media.output.last_gop import DECODED_FRAMES, LastGop
from clipengine.media.video.rotate import rotation_of
from clipengine.media.worker.ipc import Channel
from clipengine.media.worker.process import JobSource, Result, main

_BLOCK_BYTES = 256 * 1024  # the whole file is read, from the page cache
# A video track, the 64 audio tracks of a recording, its transcripts, and one too many.
_MAX_TRACKS = 66 + MAX_TEXT_TRACKS
# Decoded part of the audio. The whole clip was already decoded while it was encoded.
_DECODED_AUDIO_PACKETS = 16
_DECODED_BYTES = 64 << 20  # limit of the packets kept for decoding
_MATROSKA, _MOV = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"
_HEAD_BYTES = 64


def inspect(source: ByteSource, *, threads: int = 1) -> dict[str, Any]:
    """Return the contents of the file with the keys of `clips.file_reports.FileReport`.

    Video is decoded with `threads`. Raises VerificationFailed if the file cannot be read to its end.
    """
    try:
        with MediaReader(source, block_bytes=_BLOCK_BYTES) as reader:
            header_seconds = movie_seconds(reader)
            reader.seek(0)
            head = reader.read(_HEAD_BYTES)
            if is_webp(head):
                return _inspect_webp(WebpStream(reader))
            with open_recording(reader) as container:
                return _inspect(container, head, header_seconds, threads)
    except (av.FFmpegError, IndexError, ValueError) as error:  # IndexError: a stream that appears after the header
        raise_if_out_of_memory()
        raise VerificationFailed(f"the file cannot be read to its end: {error}") from error
    except VerificationFailed:
        raise
    except ClipEngineError as error:
        raise VerificationFailed(f"the file cannot be read: {error.message}") from error


def _inspect(container: InputContainer, head: bytes, header_seconds: Fraction | None, threads: int) -> dict[str, Any]:
    if len(container.streams) > _MAX_TRACKS:
        raise VerificationFailed(f"the file has {len(container.streams)} tracks")
    tracks = [_Track(stream, threads) for stream in container.streams]
    for packet in container.demux():
        if packet.size:
            tracks[packet.stream_index].add(packet)
    for track in tracks:
        track.decode_last()
    return {
        "container": _container_name(container.format.name, head),
        "seconds": float(header_seconds or _stated_seconds(container)),
        "tracks": [track.report() for track in tracks],
        "chapters_sha256": chapters_digest(_chapters(container)),
    }


def _inspect_webp(animation: WebpStream) -> dict[str, Any]:
    track = _Track(animation)
    for packet in animation.packets():
        track.add(packet)
    track.decode_last()
    # Most frames are smaller than the picture, and each is decoded as a separate file.
    whole = {"width": animation.width, "height": animation.height, "bytes": animation.bytes}
    return {
        "container": "webp",
        "seconds": animation.duration / 1000,
        "tracks": [track.report() | whole],
        "chapters_sha256": None,
    }


def _chapters(container: InputContainer) -> Iterator[tuple[int, str]]:
    for chapter in container.chapters():
        tick = 1000 * as_fraction(chapter["time_base"] or 0)
        yield round(chapter["start"] * tick), chapter["metadata"].get("title", "")


def _stated_seconds(container: InputContainer) -> Fraction:
    """Return the length that the streams state, or else the container."""
    end = max((_stream_end(stream) for stream in container.streams), default=Fraction(0))
    return end or Fraction(container.duration or 0, av.time_base)


def _container_name(format_name: str, head: bytes) -> str:
    """Return the container's name in profiles. Demuxers do not distinguish related formats; their headers do."""
    if format_name == _MOV:
        return "m4a" if head[4:12] == b"ftypM4A " else "mp4"
    if format_name == _MATROSKA:
        return "webm" if b"webm" in head else "mkv"
    return format_name


def _stream_end(stream: Stream) -> Fraction:
    """Return the end of the stream according to the container, or 0 if it is unknown."""
    if stream.duration is None:
        return Fraction(0)
    return ((stream.start_time or 0) + stream.duration) * as_fraction(stream.time_base or 1)


class _Track:
    """Counts the packets of one track and decodes the first and last of them."""

    def __init__(self, stream: Stream | WebpStream, threads: int = 1) -> None:
        self._stream: Any = stream
        self._context: Any = stream.codec_context  # None if there is no decoder
        self._is_video = stream.type == "video"
        self._times = array("q")
        self._bytes = 0
        self._begins_with_keyframe = False
        self._first: list[Packet[Any]] | None = []  # None after they were decoded
        self._last_gop = LastGop(codec_name(stream))
        self._last_audio: deque[Packet[Any]] = deque(maxlen=_DECODED_AUDIO_PACKETS)
        self._rotation = 0  # of the first frame
        self._text = TextDigest() if stream.type == "subtitle" else None
        if self._context is not None:
            if self._is_video:
                self._context.thread_type = ThreadType.FRAME | ThreadType.SLICE
            self._context.thread_count = threads if self._is_video else 1
            # The loop filter only filters decoded pixels and cannot fail.
            self._context.options = {**self._context.options, "skip_loop_filter": "all", "err_detect": "explode"}

    def add(self, packet: Packet[Any]) -> None:
        if packet.pts is None:
            raise VerificationFailed("the file has packets without a pts")
        if not self._times:
            self._begins_with_keyframe = packet.is_keyframe
        self._times.append(packet.pts)
        self._bytes += packet.size
        if self._text is not None:
            tick = 1000 * as_fraction(packet.time_base)
            start, end = (round(time * tick) for time in (packet.pts, packet.pts + (packet.duration or 0)))
            self._text.add((start, end, bytes(packet)))
        elif self._stream.type not in ("video", "audio"):
            pass  # the chapters of MP4 are also a data track
        elif self._first is not None:
            self._add_first(packet, self._first)
        elif self._is_video:
            self._last_gop.add(packet)
        else:
            self._last_audio.append(packet)

    def _add_first(self, packet: Packet[Any], first: list[Packet[Any]]) -> None:
        first.append(packet)
        limit = DECODED_FRAMES if self._is_video else _DECODED_AUDIO_PACKETS
        if len(first) >= limit or sum(each.size for each in first) > _DECODED_BYTES:
            self._decode(first)
            self._first = None

    def decode_last(self) -> None:
        """Decode the packets that were kept, after all were added."""
        if self._first:
            self._decode(self._first)
        if last := [*self._last_gop.packets, *self._last_audio]:
            self._decode(last)
        self._first = None
        self._last_gop.packets.clear()
        self._last_audio.clear()

    def _decode(self, packets: Iterable[Packet[Any]]) -> None:
        if self._context is None:
            raise VerificationFailed("the file has a track that cannot be decoded")
        frames = 0
        for packet in (*packets, None):
            for frame in self._context.decode(packet):
                if frame.is_corrupt:
                    raise VerificationFailed(f"a frame of the {self._stream.type} track is damaged")
                if self._is_video and not frames:
                    self._rotation = rotation_of(frame)
                frames += 1
        self._context.flush_buffers()
        if self._is_video and not frames:  # a very short Opus track decodes to nothing after its pre-skip
            raise VerificationFailed("the video track does not decode")

    def report(self) -> dict[str, Any]:
        return {"kind": self._stream.type, "codec": codec_name(self._stream), **self._parameters(), **self._timing()}

    def _parameters(self) -> dict[str, Any]:
        video = self._context if self._is_video else None
        size = (video.width, video.height) if video else (None, None)
        width, height = size[::-1] if self._rotation % 180 else size
        audio = self._context if self._stream.type == "audio" else None
        return {
            "width": width,
            "height": height,
            "sample_rate": audio.sample_rate if audio else None,
            "text_sha256": None if self._text is None else str(self._text),
        }

    def _timing(self) -> dict[str, Any]:
        tick = as_fraction(self._stream.time_base or 1)
        times = sorted(self._times)
        steps = [later - earlier for earlier, later in pairwise(times)]
        return {
            "packets": len(times),
            "bytes": self._bytes,
            "first_seconds": float(times[0] * tick) if times else None,
            "last_seconds": float(times[-1] * tick) if times else None,
            "shortest_step_seconds": float(min(steps) * tick) if steps else None,
            "longest_step_seconds": float(max(steps) * tick) if steps else None,
            "begins_with_keyframe": self._begins_with_keyframe,
        }


def do_job(job: dict[str, Any], sources: list[JobSource], descriptors: list[int], control: Channel) -> Result:
    """Inspect the clip file that the parent handed over and return the report as the result message."""
    return {"type": "result", "file": inspect(sources[0], threads=job["limits"]["threads"])}, b""


if __name__ == "__main__":
    main(do_job, when_locked=log_library_errors)
