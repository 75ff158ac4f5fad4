"""Hostile and broken recordings, made on demand, with the outcomes that the engine may report.

Every maker writes one file. `ends` are the permitted error codes of its recording, or "complete" if it may be cut;
`clips` are then the permitted outcomes of a short clip.
"""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from tests.films.mp4_bytes import Edit, rewrite_edits
from tests.support.damage import film, patched, png, with_bodies, write_pictures

UNREADABLE, TRUNCATED, UNSUPPORTED = "recording_unreadable", "recording_truncated", "unsupported_media"
COMPLETE = "complete"


@dataclass(frozen=True)
class Hostile:
    name: str
    make: Callable[[Path], object]
    ends: frozenset[str]
    clips: frozenset[str]


CASES: dict[str, Hostile] = {}


def hostile(name: str, *ends: str, clips: Sequence[str] = (COMPLETE,)) -> Callable[[Callable[[Path], object]], None]:
    def register(make: Callable[[Path], object]) -> None:
        CASES[name] = Hostile(name, make, frozenset(ends), frozenset(clips))

    return register


def _bytes(name: str, data: bytes, *ends: str) -> None:
    hostile(name, *ends)(lambda path: path.write_bytes(data))


# ---- not media

_bytes("empty", b"", UNREADABLE)
_bytes("one byte", b"\0", UNREADABLE)
_bytes("a hundred bytes", bytes(range(100)), UNREADABLE)
_bytes("html", b"<!doctype html><html><body>404</body></html>" * 20, UNREADABLE)
_bytes("random", random.Random(1).randbytes(200_000), UNREADABLE)
_bytes("zeros", bytes(200_000), UNREADABLE)


@hostile("zip", UNREADABLE)
def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("film.mp4", film())


@hostile("a picture with another name", UNSUPPORTED)
def _png(path: Path) -> None:
    path.write_bytes(png(64, 64, b"\0" * 65 * 64))


# ---- truncated and damaged

hostile("mp4 without an index", TRUNCATED)(lambda path: path.write_bytes(film()[: film().index(b"moov") - 4]))
hostile("half an mp4", TRUNCATED)(lambda path: path.write_bytes(film()[: len(film()) // 2]))
hostile("half a ts", COMPLETE)(lambda path: path.write_bytes(film("mpegts")[: len(film("mpegts")) // 2]))
hostile("half an mkv", COMPLETE)(lambda path: path.write_bytes(film("matroska")[: len(film("matroska")) // 2]))


def with_hole(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[: middle - 100_000] + b"\xff" * 200_000 + data[middle + 100_000 :]


for _kind in ("mp4", "mpegts", "matroska"):
    hostile(f"a hole in {_kind}", COMPLETE, UNREADABLE, clips=(COMPLETE, UNREADABLE, TRUNCATED, "no_media_in_range"))(
        lambda path, kind=_kind: path.write_bytes(with_hole(film(kind, noise=True, size=256, seconds=2)))
    )

# ---- streams that appear late


@hostile("sixty streams that appear late", COMPLETE)
def _late(path: Path) -> None:
    first = film("mpegts", seconds=14, fps=5, sound=0)
    tables = "mpegts_start_pid=0x300,mpegts_pmt_start_pid=0x1010,mpegts_service_id=2,tables_version=1"
    second = film("mpegts", seconds=1, sound=60, options=tables)
    path.write_bytes(first + second + first)


@hostile("audio that becomes video", COMPLETE)
def _other_type(path: Path) -> None:
    """From half of the recording on, the stream that was MPEG audio is announced as MPEG-2 video."""
    data = bytearray(film("mpegts", seconds=14, fps=5))
    tables = [at for at in range(0, len(data), 188) if data[at + 1] & 0x1F == 0x10 and data[at + 2] == 0]
    for at in tables[len(tables) // 2 :]:
        section = at + 5 + data[at + 4]
        length = 3 + (int.from_bytes(data[section + 1 : section + 3], "big") & 0xFFF)
        data[section + 5] ^= 2  # the version
        video = section + 12 + (int.from_bytes(data[section + 10 : section + 12], "big") & 0xFFF)
        audio = video + 5 + (int.from_bytes(data[video + 3 : video + 5], "big") & 0xFFF)
        data[audio] = 2
        end = section + length - 4
        data[end : end + 4] = _crc32_mpeg(data[section:end]).to_bytes(4, "big")
    path.write_bytes(data)


def _crc32_mpeg(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


# ---- undecodable tracks


@hostile("sound that no decoder opens", UNREADABLE)
def _unheard(path: Path) -> None:
    path.write_bytes(_without_blocks(_flac("flac", picture=False)))


@hostile("sound that no decoder opens beside a picture", COMPLETE)
def _half_heard(path: Path) -> None:
    path.write_bytes(_without_blocks(_flac("matroska", picture=True)))


def _flac(kind: str, *, picture: bool) -> bytes:
    made = io.BytesIO()
    with av.open(made, "w", format=kind) as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"}) if picture else None
        sound = container.add_stream("flac", rate=48000, layout="stereo")
        for number in range(25):
            if video is not None:
                frame = av.VideoFrame(64, 64, "yuv420p")
                frame.pts = number
                container.mux(video.encode(frame))
            silence = av.AudioFrame(format=sound.format.name, layout="stereo", samples=1920)
            silence.sample_rate, silence.pts = 48000, number * 1920
            container.mux(sound.encode(silence))
        for stream in (video, sound):
            container.mux(stream.encode(None) if stream is not None else [])
    return made.getvalue()


def _without_blocks(data: bytes) -> bytes:
    """Return FLAC whose header declares blocks of no samples."""
    at = data.index(b"fLaC") + 8
    return data[:at] + bytes(4) + data[at + 4 :]


# ---- bombs


@hostile("a png of 16000 by 16000", UNREADABLE, UNSUPPORTED, "decoder_crashed")
def _bomb(path: Path) -> None:
    write_pictures(path, "png", [png(16_000, 16_000)] * 3)


@hostile("pictures that grow to 16000 by 16000", COMPLETE, clips=(COMPLETE, UNREADABLE, TRUNCATED, UNSUPPORTED))
def _growing(path: Path) -> None:
    small = png(64, 64)
    write_pictures(path, "png", [*[small] * 3, *[png(16_000, 16_000)] * 3, *[small] * 3])


@hostile("a jpeg that says 65535 by 65535", UNREADABLE, UNSUPPORTED)
def _jpeg(path: Path) -> None:
    data = film("mov", "mjpeg", seconds=1, sound=0)
    path.write_bytes(data.replace(b"\xff\xc0\x00\x11\x08\x00\x60\x00\x60", b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff"))


@hostile("a header that says 65535 by 65535", COMPLETE, UNREADABLE, UNSUPPORTED)
def _header(path: Path) -> None:
    path.write_bytes(patched(film(), b"avc1", 24, 0xFFFFFFFF))


@hostile("another size with each frame", COMPLETE)
def _sizes(path: Path) -> None:
    pictures = []
    for number in range(12):
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width = encoder.height = size = 64 + 32 * (number * 5 % 12)
        encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 5), Fraction(5)
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        frame = av.VideoFrame(size, size, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 20]) * plane.buffer_size)
        frame.pts = 0
        pictures.append(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    write_pictures(path, "libx264", pictures, "mpegts")


# ---- absurd counts


@hostile("a hundred thousand packets of one byte", COMPLETE, "timeout")
def _packets(path: Path) -> None:
    path.write_bytes(_tiny(100_000))


def _tiny(packets: int) -> bytes:
    tags = bytearray(b"FLV\x01\x04\0\0\0\x09\0\0\0\0")
    for number in range(packets):
        time = number // 8
        tags += struct.pack(">B3sBHB3s", 8, b"\0\0\x02", time >> 16, time & 0xFFFF, 0, b"\0\0\0") + b"\x30\x80"
        tags += struct.pack(">I", 13)
    return bytes(tags)


@hostile("a thousand streams", COMPLETE, UNREADABLE, UNSUPPORTED)
def _streams(path: Path) -> None:
    data = film(seconds=1)
    moov = data.index(b"moov") - 4
    trak = data.index(b"trak", moov) - 4
    size = int.from_bytes(data[trak : trak + 4], "big")
    more = data[trak : trak + size] * 999
    length = int.from_bytes(data[moov : moov + 4], "big") + len(more)
    path.write_bytes(data[:moov] + length.to_bytes(4, "big") + data[moov + 4 : trak] + more + data[trak:])


@hostile(
    "a hundred thousand edits",
    COMPLETE,
    UNREADABLE,
    "timeout",
    clips=(COMPLETE, UNREADABLE, TRUNCATED, "no_media_in_range"),
)
def _edits(path: Path) -> None:
    path.write_bytes(film())
    rewrite_edits(path, {0: [Edit(1, number % 1000) for number in range(100_000)]})


@hostile("a million packets of one byte", COMPLETE, "timeout")
def _more_packets(path: Path) -> None:
    path.write_bytes(_tiny(1_000_000))


@hostile("a hundred thousand lengths of frames", COMPLETE, UNREADABLE)
def _lengths(path: Path) -> None:
    entries = b"".join(struct.pack(">II", 1, 1 + number % 7) for number in range(100_000))
    path.write_bytes(with_bodies(film(sound=0), {b"stts": struct.pack(">II", 0, 100_000) + entries}))


@hostile("an mp4 that says that it lasts ten to the twelve seconds", COMPLETE, UNREADABLE)
def _eternal(path: Path) -> None:
    header = struct.pack(">IQQIQ", 1 << 24, 0, 0, 1000, 10**15)
    movie = header + struct.pack(">IHHII9I6II", 1 << 16, 256, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30,
                                 *[0] * 6, 3)  # fmt: skip
    media = struct.pack(">IQQIQHH", 1 << 24, 0, 0, 12800, 12800 * 10**12, 0x55C4, 0)
    path.write_bytes(with_bodies(film(sound=0), {b"mvhd": movie, b"mdhd": media}))


@hostile("an mkv that says that it lasts ten to the twelve seconds", COMPLETE, UNREADABLE)
def _long(path: Path) -> None:
    data = film("matroska")
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 1e15) + data[at + 8 :])


@hostile("a recording that starts after a million seconds", COMPLETE)
def _belated(path: Path) -> None:
    path.write_bytes(film("matroska", begins=1_000_000))


@hostile("a clock that counts whole seconds", COMPLETE)
def _coarse(path: Path) -> None:
    path.write_bytes(patched(film(sound=0), b"mdhd", 12, 1))


@hostile("a frame every microsecond", COMPLETE)
def _faster(path: Path) -> None:
    path.write_bytes(patched(patched(film(), b"mdhd", 12, 1_000_000, most=1), b"stts", 12, 1, most=1))


@hostile("a million frames per second", COMPLETE, UNREADABLE, clips=(COMPLETE, UNREADABLE, "no_media_in_range"))
def _fast(path: Path) -> None:
    path.write_bytes(patched(film(sound=0), b"mdhd", 12, 0x7FFFFFFF))


@hostile("a time scale of nothing", COMPLETE, UNREADABLE)
def _timeless(path: Path) -> None:
    path.write_bytes(patched(film(), b"mdhd", 12, 0))


@hostile("a time scale below nothing", COMPLETE, UNREADABLE, clips=(COMPLETE, UNREADABLE, "no_media_in_range"))
def _negative(path: Path) -> None:
    path.write_bytes(patched(film(), b"mdhd", 12, 0x80000001))


@hostile("frames that last a thousand years", UNREADABLE)
def _slow(path: Path) -> None:
    path.write_bytes(patched(patched(film(sound=0), b"mdhd", 12, 1), b"stts", 12, 0x7FFFFFFF))


@hostile("fifty audio tracks", COMPLETE)
def _tracks(path: Path) -> None:
    path.write_bytes(film("matroska", seconds=1, sound=50))


# ---- endless


def _endless(head: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, 5 << 40)

    return make


hostile("five terabytes of nothing", UNREADABLE, "timeout")(_endless(b""))
hostile("five terabytes after a ts", COMPLETE, UNREADABLE, TRUNCATED, "timeout")(_endless(film("mpegts", seconds=1)))
hostile("five terabytes after an mkv", UNREADABLE, "timeout")(_endless(film("matroska", seconds=1)))

# ---- codecs

for _codec, _container in (("magicyuv", "avi"), ("snow", "avi")):
    hostile(f"{_codec} is not decoded", UNSUPPORTED)(
        lambda path, codec=_codec, kind=_container: path.write_bytes(_exotic(codec, kind))
    )
_DECODED = (
    ("ffv1", "matroska"),
    ("prores_ks", "mov"),
    ("huffyuv", "avi"),
    ("jpeg2000", "matroska"),
    ("gif", "mov"),
    ("gif", "gif"),
)
for _codec, _container in _DECODED:
    hostile(f"{_codec} in {_container} is decoded", COMPLETE)(
        lambda path, codec=_codec, kind=_container: path.write_bytes(_exotic(codec, kind))
    )
hostile("vvc is not decoded", UNSUPPORTED)(lambda path: path.write_bytes(film().replace(b"avc1", b"vvc1")))


def _exotic(codec: str, kind: str) -> bytes:
    made = io.BytesIO()
    formats = {"gif": "rgb8", "prores_ks": "yuv422p10le", "huffyuv": "yuv422p"}
    with av.open(made, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25, options={"strict": "experimental"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, formats.get(codec, "yuv420p")
        for number in range(25):
            frame = av.VideoFrame(64, 48, stream.pix_fmt)
            for plane in frame.planes:
                plane.update(bytes([number * 9]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()
