"""Small recordings whose packets were changed after they were encoded."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from clipengine.media.bitstream import h264_parameter_sets as h264
from clipengine.media.bitstream import hevc_parameter_sets as hevc
from clipengine.media.bitstream.bits import Bits
from clipengine.media.bitstream.nal import escape, join_with_lengths, split_by_lengths

GOP, FPS = 25, 25
SIZE, SECONDS = 96, 7
X264 = "bframes=0:ref=1:weightp=0"
X264_REORDERED = "bframes=3:b-pyramid=normal:b-adapt=0"
X265 = "log-level=none:bframes=0:ref=1:weightp=0:open-gop=0:pools=none:frame-threads=1:info=0"
X265_REORDERED = "log-level=none:bframes=3:b-adapt=0:pools=none:frame-threads=1:info=0"

Change = Callable[[int, bytes], bytes]  # of the packet with this number, in decoding order


@cache
def encoded(codec: str, params: str) -> bytes:
    """Return blocks of noise that move, in Matroska, with a keyframe each second."""
    made, dice = io.BytesIO(), random.Random(5)
    rows = [b"".join(bytes([value]) * 4 for value in dice.randbytes(SIZE)) for _ in range(SIZE // 8)]
    gop = f"keyint={GOP}:min-keyint={GOP}:scenecut=0"
    options = {"preset": "ultrafast", f"{codec.removeprefix('lib')}-params": f"{params}:{gop}"}
    if codec.startswith("libvpx"):
        # Several threads would wait for each other most of the time. A positive speed would depend on the time taken.
        options = {"deadline": "realtime", "cpu-used": "-8", "threads": "1", "auto-alt-ref": "0"}
        options |= {"g": str(GOP), "keyint_min": str(GOP)}
        options |= dict(each.split("=") for each in params.split(":") if each)
    with av.open(made, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.width = stream.height = SIZE
        for number in range(SECONDS * FPS):
            frame = av.VideoFrame(SIZE, SIZE, "yuv420p")
            for plane in frame.planes:
                shown = [rows[y // 8][number : number + plane.width] for y in range(plane.height)]
                plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in shown))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


def write(
    film: bytes, path: Path, change: Change = lambda number, data: data, header: Callable[[bytes], bytes] | None = None
) -> Path:
    """Write the film with changed packets, of which empty ones are left out, and with a changed codec header."""
    with av.open(io.BytesIO(film)) as source, av.open(str(path), "w", format="matroska") as container:
        video = source.streams.video[0]
        stream = container.add_stream_from_template(video)
        if header is not None:
            stream.codec_context.extradata = header(video.codec_context.extradata or b"")
        packets: list[Any] = [packet for packet in source.demux(video) if packet.size]
        for number, packet in enumerate(packets):
            data = change(number, bytes(packet))
            if data:
                changed: Any = av.Packet(data)
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.is_keyframe, changed.stream, changed.duration = packet.is_keyframe, stream, packet.duration
                container.mux(changed)
    return path


def extradata_of(film: bytes) -> bytes:
    with av.open(io.BytesIO(film)) as source:
        return source.streams.video[0].codec_context.extradata or b""


@cache
def packets_of(film: bytes) -> list[bytes]:
    with av.open(io.BytesIO(film)) as source:
        return [bytes(packet) for packet in source.demux(video=0) if packet.size]


def with_unit(unit: bytes, at: int) -> Change:
    """Return the change that puts a unit before those of one packet."""
    return lambda number, data: join_with_lengths([unit, *split_by_lengths(data)]) if number == at else data


def _sets_of(film: bytes, codec: str) -> list[bytes]:
    """Return the parameter sets in the codec header of a film."""
    if codec == "libx265":
        found = hevc.read_parameter_sets(extradata_of(film))
        return [*found.vps, *found.sps, *found.pps]
    sets = h264.read_parameter_sets(extradata_of(film))
    return [*sets.sps, *sets.pps]


def reconnected(codec: str, params: str, *, at: Sequence[int], given: int = 0, restated: bool = True) -> Change:
    """Take GOPs of a film with other parameter sets, as of a publisher that connected again for some time.

    The sets are in packet number `given` of these GOPs. The next GOP gives its own sets again if they are `restated`.
    """
    film = encoded(codec, params)
    other = encoded(codec, f"{params}:{'cbqpoffs' if codec == 'libx265' else 'chroma-qp-offset'}=12")
    packets, sets, own = packets_of(other), _sets_of(other, codec), _sets_of(film, codec)

    def change(number: int, data: bytes) -> bytes:
        gop, place = divmod(number, GOP)
        if gop in at:
            return join_with_lengths(sets if place == given else []) + (packets[number] if place >= given else data)
        return join_with_lengths(own if restated and gop - 1 in at and place == 0 else []) + data

    return change


def film_grain(codec: str) -> bytes:
    """Return an SEI unit with film grain that is added to all later frames."""
    bits = Bits().u(1, 0).u(2, 0).u(1, 0).u(2, 0).u(4, 2).u(1, 1).u(1, 0).u(1, 0)
    bits.u(8, 0).u(3, 2).u(8, 0).u(8, 255).ue(2 * 120 - 1).ue(2 * 8 - 1).ue(2 * 8 - 1)
    if codec == "h264":
        bits.ue(1)
    else:
        bits.u(1, 1)
    body = bits.with_stop_bit() if bits.count % 8 else bits.aligned(0)
    head = b"\x06" if codec == "h264" else bytes([39 << 1, 1])
    return head + escape(bytes([19, len(body)]) + body + b"\x80")


def seconds(frames: int) -> Fraction:
    return Fraction(frames, FPS)
