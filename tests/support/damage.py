"""Films to damage, and building blocks of hostile recordings: boxes with replaced contents, images as packets."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av


@cache
def film(kind: str = "mp4", codec: str = "libx264", *, seconds: int = 4, size: int = 96, noise: bool = False,
         sound: int = 1, fps: int = 25, begins: int = 0, options: str = "") -> bytes:  # fmt: skip
    """Return a short film with changing frames and this number of audio tracks; the MP4 index is at the end."""
    made = io.BytesIO()
    dice = random.Random(7)
    settings = dict(pair.split("=") for pair in options.split(",") if pair)
    with av.open(made, "w", format=kind, container_options=settings) as container:
        encoder = {"preset": "ultrafast", "g": "10"} if codec == "libx264" else {}
        video = container.add_stream(codec, rate=fps, options=encoder)
        video.width = video.height = size
        video.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24", "magicyuv": "yuv420p"}.get(codec, "yuv420p")
        coder, samples, heard = ("aac", 1024, 0) if kind in ("mp4", "mov") else ("mp2", 1152, 0)
        tracks = [container.add_stream(coder, rate=48000, layout="mono") for _ in range(sound)]
        for number in range(seconds * fps):
            frame = av.VideoFrame(size, size, video.pix_fmt)
            for plane in frame.planes:
                data = dice.randbytes(plane.buffer_size) if noise else bytes([number * 5 % 256]) * plane.buffer_size
                plane.update(data)
            frame.pts = number + begins * fps
            container.mux(video.encode(frame))
            while heard < (number + 1) * 48000 // fps:
                for track in tracks:
                    silence = av.AudioFrame(format=track.format.name, layout=track.layout.name, samples=samples)
                    silence.sample_rate, silence.pts = 48000, heard + begins * 48000
                    for plane in silence.planes:
                        plane.update(bytes(plane.buffer_size))
                    container.mux(track.encode(silence))
                heard += samples
        for stream in (video, *tracks):
            container.mux(stream.encode(None))
    return made.getvalue()


def index_first(data: bytes) -> bytes:
    """Return an MP4 with its index before its media."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        with av.open(io.BytesIO(data)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as made:
            streams = [made.add_stream_from_template(stream) for stream in given.streams]
            for packet in given.demux():
                if packet.size:
                    packet.stream = streams[packet.stream_index]
                    made.mux(packet)
        return path.read_bytes()


def patched(data: bytes, box: bytes, offset: int, value: int, width: int = 4, *, most: int = 99) -> bytes:
    """Overwrite an integer at an offset behind the name of a box: in all boxes of the kind, or the first."""
    changed, at = bytearray(data), -1
    while (at := changed.find(box, at + 1)) >= 0 and most > 0:
        changed[at + 4 + offset : at + 4 + offset + width] = value.to_bytes(width, "big")
        most -= 1
    return bytes(changed)


def with_bodies(data: bytes, bodies: dict[bytes, bytes]) -> bytes:
    """Replace the bodies of all boxes of some kinds in an MP4 whose index is at its end."""
    made, at = bytearray(), 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = bodies.get(kind, data[at + 8 : at + size])
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            body = with_bodies(body, bodies)
        made += (len(body) + 8).to_bytes(4, "big") + kind + body
        at += size
    return bytes(made)


def png(width: int, height: int, raw: bytes | None = None) -> bytes:
    """Return a grey PNG; without `raw` its pixels are zeros, compressed a thousand to one."""
    squeeze = zlib.compressobj(1)
    rows = raw if raw is not None else None
    body = squeeze.compress(rows) if rows is not None else b"".join(
        squeeze.compress(bytes((width + 1) * min(64, height - top))) for top in range(0, height, 64)
    )  # fmt: skip
    body += squeeze.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def write_pictures(path: Path, codec: str, pictures: Sequence[bytes], kind: str = "mov") -> None:
    """Write a film with these images as packets, whatever size its header declares."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = {"png": "gray", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for number, data in enumerate(pictures):
            packet: Any = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 5)
            container.mux_one(packet)


def without_pictures(whole: bytes, *, since: int) -> bytes:
    """Return the film with every video packet from this second on overwritten; index and audio are unchanged."""
    data = bytearray(whole)
    with av.open(io.BytesIO(whole)) as container:
        for packet in container.demux(video=0):
            if packet.pos is not None and packet.pts is not None and packet.pts * packet.time_base >= since:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    return bytes(data)


def without_keyframes(whole: bytes, *, until: int) -> bytes:
    """Return the MP4 without the keyframes before this second: they are no longer in `stss`, nor decodable."""
    data, numbers = bytearray(whole), []
    with av.open(io.BytesIO(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    for number, packet in enumerate(packets, 1):
        if packet.is_keyframe and packet.pts * packet.time_base >= until:
            numbers.append(number)
        elif packet.is_keyframe and packet.pos is not None:
            data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    body = struct.pack(f">II{len(numbers)}I", 0, len(numbers), *numbers)
    return with_bodies(bytes(data), {b"stss": body})


def with_damaged_slices(whole: bytes, *, start: float, end: float) -> bytes:
    """Return the film with the last bytes of each video packet in `[start, end)` overwritten: decoders conceal them."""
    data = bytearray(whole)
    with av.open(io.BytesIO(whole)) as container:
        for packet in container.demux(video=0):
            if packet.pos is None or packet.pts is None or not start <= packet.pts * packet.time_base < end:
                continue
            damaged, packet_end = packet.size // 4, packet.pos + packet.size
            data[packet_end - damaged : packet_end] = b"\xff" * damaged
    return bytes(data)
