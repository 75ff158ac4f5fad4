"""Films with streams other than audio and video, or with several of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.picture import draw, to_frame
from tests.films.reel import Packets, film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_VIDEO = VideoPart(every(25, 4), Fraction(25), gop=50)
_AUDIO = AudioPart(seconds=Fraction(39, 10))


def _packet(stream: Any, data: bytes, pts: int, duration: int, time_base: Fraction) -> Any:
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, time_base
    packet.pts = packet.dts = pts
    packet.duration, packet.is_keyframe = duration, True
    return packet


def _jpeg() -> bytes:
    """Return a cover picture whose number (65000) no frame of a film has."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 240, 240, "yuvj420p", Fraction(1, 25)
    frame = to_frame(draw(65000, 240, 240), "yuvj420p", full_range=True)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _cover(container: Any) -> Packets:
    stream = container.add_stream("mjpeg")
    stream.width, stream.height, stream.pix_fmt = 240, 240, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    return [_packet(stream, _jpeg(), 0, 0, Fraction(1, 90000))]


def _texts(codec: str, wrap: Callable[[bytes], bytes]) -> Callable[[Any], Packets]:
    def add(container: Any) -> Packets:
        stream = container.add_mux_stream(codec)
        lines = [(second * 1000 + 200, f"line {second}".encode()) for second in range(4)]
        return [_packet(stream, wrap(text), at, 700, _MS) for at, text in lines]

    return add


@makes("mp4")
def subtitles_mp4(path: Path) -> Film:
    """A subtitle track (mov_text)."""
    texts = _texts("mov_text", lambda text: len(text).to_bytes(2, "big") + text)
    write(path, "mp4", video=[_VIDEO], audio=[_AUDIO], after=texts)
    return film(path, video=[_VIDEO], audio=[_AUDIO])


@makes("mkv")
def subtitles_mkv(path: Path) -> Film:
    """A subtitle track (SubRip), stored first, and an attached picture."""

    def after(container: Any) -> Packets:
        container.add_attachment("cover.jpg", "image/jpeg", _jpeg())
        return []

    write(path, "matroska", video=[_VIDEO], audio=[_AUDIO], before=_texts("subrip", bytes), after=after)
    return film(path, video=[_VIDEO], audio=[_AUDIO], grid=_MS)


@makes("mov")
def timecode_track(path: Path) -> Film:
    """A data track with a time code."""
    video = VideoPart(every(25, 4), Fraction(25), gop=50, metadata={"timecode": "01:00:00:00"})
    write(path, "mov", video=[video], audio=[_AUDIO])
    return film(path, video=[video], audio=[_AUDIO])


@makes("mp4")
def cover_first(path: Path) -> Film:
    """A cover picture as the first stream."""
    write(path, "mp4", before=_cover, video=[_VIDEO], audio=[_AUDIO])
    return film(path, video=[_VIDEO], audio=[_AUDIO])


@makes("m4a")
def audio_only_with_cover(path: Path) -> Film:
    """AAC with a cover picture and no video."""
    audio = AudioPart(seconds=Fraction(1024 * 281, 48000))
    write(path, "mp4", audio=[audio], after=_cover)
    return film(path, audio=[audio], traits="audio_only")


@makes("mp4")
def two_pictures(path: Path) -> Film:
    """Two video streams and chapters: the first stream is kept."""
    second = VideoPart(every(25, 4), Fraction(25), gop=50, first_number=5000)

    def chapters(container: Any) -> Packets:
        base = Fraction(1, 1000)
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1500, "time_base": base, "metadata": {"title": "one"}},
                {"id": 2, "start": 1500, "end": 4000, "time_base": base, "metadata": {"title": "two"}},
            ]
        )
        return []

    write(path, "mp4", video=[_VIDEO, second], audio=[_AUDIO], after=chapters)
    return film(path, video=[_VIDEO], audio=[_AUDIO])


@makes("h264")
def raw_h264(path: Path) -> Film:
    """H.264 without a container, with B-frames, at the 30 frames a second that the stream states."""
    video = VideoPart(every(30, 4), Fraction(30), gop=60, b_frames=2, time_base=Fraction(1, 30))
    write(path, "h264", video=[video])
    return film(path, video=[video])


@makes("hevc")
def raw_hevc(path: Path) -> Film:
    """HEVC without a container, with B-frames."""
    video = VideoPart(every(25, 4), Fraction(25), codec="libx265", gop=50, b_frames=2, time_base=Fraction(1, 25))
    write(path, "hevc", video=[video])
    return film(path, video=[video])
