"""Recordings whose codec header changes: MP4 with two sample entries, FLV of two encoders, sets in packets."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Collection
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import av

from clipengine.media.bitstream.h264_parameter_sets import read_parameter_sets as h264_sets
from clipengine.media.bitstream.hevc_parameter_sets import read_parameter_sets as hevc_sets
from clipengine.media.bitstream.nal import split_by_lengths
from tests.support.damage import with_bodies

GOP = 10  # frames
_SIZE, _FPS = 96, 25


class _Sample(NamedTuple):
    data: bytes
    pos: int
    key: bool


def _options(codec: str, crf: int) -> dict[str, str]:
    """Return the encoder's options. With x264 the quantiser in the PPS depends on `crf`, with x265 a chroma offset."""
    if codec == "libx264":
        return {"preset": "ultrafast", "g": str(GOP), "sc_threshold": "0", "crf": str(crf)}
    params = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:log-level=none:cbqpoffs={(crf - 26) // 3}"
    return {"preset": "ultrafast", "x265-params": params, "crf": str(crf)}


@cache
def _film(codec: str, crf: int, seconds: int) -> bytes:
    """Return noise and a tone as MP4 with its index at the end."""
    made, dice = io.BytesIO(), random.Random(7)
    with av.open(made, "w", format="mp4") as container:
        video = container.add_stream(codec, rate=_FPS, options=_options(codec, crf))
        video.width = video.height = _SIZE
        sound = container.add_stream("aac", rate=48000, layout="mono")
        heard = 0
        for number in range(seconds * _FPS):
            frame = av.VideoFrame(_SIZE, _SIZE, "yuv420p")
            for plane in frame.planes:
                tiles = [dice.randbytes(plane.width // 8) for _ in range(plane.height // 8)]
                rows = [b"".join(bytes([value]) * 8 for value in tile) for tile in tiles for _ in range(8)]
                plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in rows))
            frame.pts = number
            container.mux(video.encode(frame))
            while heard < (number + 1) * 48000 // _FPS:
                piece = av.AudioFrame(format="fltp", layout="mono", samples=1024)
                piece.sample_rate, piece.pts = 48000, heard
                piece.planes[0].update(struct.pack("<1024f", *(dice.uniform(-0.2, 0.2) for _ in range(1024))))
                container.mux(sound.encode(piece))
                heard += 1024
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return made.getvalue()


def _read(film: bytes) -> tuple[bytes, list[_Sample]]:
    with av.open(io.BytesIO(film)) as container:
        stream = container.streams.video[0]
        packets: list[Any] = [packet for packet in container.demux(stream) if packet.size]
        return stream.codec_context.extradata or b"", [_Sample(bytes(p), p.pos, p.is_keyframe) for p in packets]


def two_entries(gops: Collection[int], seconds: int = 8) -> bytes:
    """Return an MP4 with audio and two sample entries: these GOPs are coded with the header of the second."""
    first, second = _film("libx264", 12, seconds), _film("libx264", 40, seconds)
    header, samples = _read(first)
    other, others = _read(second)
    kinds = [2 if number // GOP in gops else 1 for number in range(len(samples))]
    entry = first[first.index(b"stsd") + 12 :][: int.from_bytes(first[first.index(b"stsd") + 12 :][:4], "big")]
    changed = entry.replace(_box(b"avcC", header), _box(b"avcC", other))
    changed = (len(changed)).to_bytes(4, "big") + changed[4:]
    stsd = struct.pack(">II", 0, 2) + entry + changed
    return _with_samples(first, [(others if kind == 2 else samples)[n] for n, kind in enumerate(kinds)], kinds, stsd)


def changed_in_packets(codec: str, gop: int, seconds: int = 4) -> bytes:
    """Return an MP4 with one sample entry. The last packet before `gop` has a PPS with which the rest is coded."""
    first, second = _film(codec, 12, seconds), _film(codec, 40, seconds)
    _, samples = _read(first)
    header, others = _read(second)
    pps = _sets(header, codec)[-1]
    end = gop * GOP
    mixed = samples[:end] + others[end:]
    mixed[end - 1] = mixed[end - 1]._replace(data=mixed[end - 1].data + len(pps).to_bytes(4, "big") + pps, pos=-1)
    return _with_samples(first, mixed, [1] * len(mixed), None)


def reconnected_flv(gop: int, seconds: int = 8) -> bytes:
    """Return an FLV with a second sequence header before this GOP, as a publisher writes that connects again."""
    made = bytearray(b"FLV\1\1\0\0\0\x09\0\0\0\0")
    headers, films = zip(*(_read(_film("libx264", crf, seconds)) for crf in (12, 40)), strict=True)
    for number in range(len(films[0])):
        run = int(number >= gop * GOP)
        if number in (0, gop * GOP):
            _add_tag(made, number * 40, b"\x17\0\0\0\0" + headers[run])
        sample = films[run][number]
        _add_tag(made, number * 40, bytes([0x17 if sample.key else 0x27]) + b"\1\0\0\0" + sample.data)
    return bytes(made)


def sets_in_two_keyframes(codec: str, gop: int, seconds: int = 4) -> bytes:
    """Return MPEG-TS whose parameter sets are in its first keyframe and, changed, in that of `gop` only."""
    films = [_film(codec, crf, seconds) for crf in (12, 40)]
    headers, samples = zip(*map(_read, films), strict=True)
    made = io.BytesIO()
    with av.open(io.BytesIO(films[0])) as source, av.open(made, "w", format="mpegts") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.codec_context.extradata = None  # otherwise the muxer adds it to keyframes without sets
        for number in range(len(samples[0])):
            run = int(number >= gop * GOP)
            units = _sets(headers[run], codec) if number in (0, gop * GOP) else []
            units += split_by_lengths(samples[run][number].data)
            packet = av.Packet(b"".join(b"\0\0\0\1" + unit for unit in units))
            packet.pts = packet.dts = number * 90_000 // _FPS
            packet.time_base, packet.is_keyframe = Fraction(1, 90_000), samples[run][number].key
            packet.stream = stream
            container.mux(packet)
    return made.getvalue()


def _add_tag(made: bytearray, milliseconds: int, body: bytes) -> None:
    stamp = (milliseconds & 0xFFFFFF).to_bytes(3, "big") + bytes([milliseconds >> 24])
    made += b"\x09" + len(body).to_bytes(3, "big") + stamp + bytes(3) + body + (len(body) + 11).to_bytes(4, "big")


def _with_samples(film: bytes, samples: list[_Sample], kinds: list[int], stsd: bytes | None) -> bytes:
    """Return the film with other video samples, each in a chunk of its sample entry. They are appended to its data."""
    index = film.rindex(b"moov") - 4
    offsets, at = [], index + 8
    for sample in samples:
        offsets.append(at)
        at += len(sample.data)
    runs = [number for number, kind in enumerate(kinds) if number == 0 or kind != kinds[number - 1]]
    bodies = {
        b"stsz": struct.pack(f">III{len(samples)}I", 0, 0, len(samples), *(len(sample.data) for sample in samples)),
        b"stco": struct.pack(f">II{len(samples)}I", 0, len(samples), *offsets),
        b"stsc": struct.pack(">II", 0, len(runs)) + b"".join(struct.pack(">III", n + 1, 1, kinds[n]) for n in runs),
        **({} if stsd is None else {b"stsd": stsd}),
    }
    head, track, rest = _around_first_track(film[index:])
    moov = head[8:] + with_bodies(track, bodies) + rest
    return film[:index] + _box(b"mdat", b"".join(sample.data for sample in samples)) + _box(b"moov", moov)


def _around_first_track(moov: bytes) -> tuple[bytes, bytes, bytes]:
    at = moov.index(b"trak") - 4
    end = at + int.from_bytes(moov[at : at + 4], "big")
    return moov[:at], moov[at:end], moov[end:]


def _sets(header: bytes, codec: str) -> list[bytes]:
    found = h264_sets(header) if codec == "libx264" else hevc_sets(header)
    return [unit for units in found[1:] for unit in units]


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def seconds_of(gop: int) -> Fraction:
    """Return the time at which a GOP begins."""
    return Fraction(gop * GOP, _FPS)
