"""Vorbis in Ogg pages with empty packets is timed by its samples; other Ogg files keep the demuxer's times."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet

from clipengine.media.input.containers.cached_reader import DescriptorSource, MediaReader
from clipengine.media.input.containers.container import open_recording, read_packets
from tests.films.cutting import facts_of
from tests.films.sound import sound

_RATE = 48000
_SHARE = 64  # samples by which the recorder's clock advances for each packet
_EMPTY = 15  # packets before each one with data
_OF_PAGE = 100  # packets

Times = list[tuple[int, int]]


def _vorbis(path: Path) -> Path:
    """Write three seconds of Vorbis in Ogg."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("vorbis", rate=_RATE, options={"strict": "experimental"}, layout="stereo")
        mono = sound(1, _RATE, 0, 3 * _RATE)
        frame = av.AudioFrame.from_ndarray(np.stack([mono, mono]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, 0, Fraction(1, _RATE)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _with_empty_packets(source: Path, path: Path) -> Path:
    """Write the packets of an Ogg file again, with empty ones, and the clock of a recorder as granule positions."""
    packets = list(_packets(source.read_bytes()))
    slots = [slot for packet in packets[3:] for slot in (*[b""] * _EMPTY, packet)]
    pages = [_page(0, 2, 0, packets[:1]), _page(1, 0, 0, packets[1:3])]
    for first in range(0, len(slots), _OF_PAGE):
        part = slots[first : first + _OF_PAGE]
        pages.append(_page(len(pages), 0, (first + len(part)) * _SHARE, part))
    path.write_bytes(b"".join(pages))
    return path


def _with_early_end(source: Path, path: Path) -> Path:
    """Write the file again with an end before its last packet, whose samples are padding of the encoder."""
    headers, packets = (found := list(_packets(source.read_bytes())))[:3], found[3:]
    with av.open(str(source)) as container:
        ends = [(packet.pts or 0) + (packet.duration or 0) for packet in container.demux(audio=0) if packet.size]
    pages = [_page(0, 2, 0, headers[:1]), _page(1, 0, 0, headers[1:])]
    pages += [
        _page(2 + number, 0, end, [packet])
        for number, (packet, end) in enumerate(zip(packets[:-3], ends, strict=False))
    ]
    path.write_bytes(b"".join([*pages, _page(len(pages), 4, ends[-2] - 100, packets[-3:])]))
    return path


def _packets(data: bytes) -> Iterator[bytes]:
    at, packet = 0, b""
    while at < len(data):
        segments = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(segments)
        for size in segments:
            packet += data[at : at + size]
            at += size
            if size < 255:
                yield packet
                packet = b""


def _page(number: int, flags: int, granule: int, packets: list[bytes]) -> bytes:
    """Return a page; its segment table must not need more than 255 entries."""
    segments = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = b"OggS" + struct.pack("<BBqII", 0, flags, granule, 1, number)
    rest = bytes([len(segments)]) + segments + b"".join(packets)
    return head + struct.pack("<I", _checksum(head + bytes(4) + rest)) + rest


def _checksum(data: bytes) -> int:
    """Return the CRC of RFC 3533: polynomial 0x04c11db7, not reflected."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


@contextmanager
def _opened(path: Path) -> Iterator[tuple[AudioStream, Iterator[Packet[Any]]]]:
    """Open the file at its start: its stream and the packets that follow the container's position."""
    with (
        path.open("rb") as file,
        MediaReader(DescriptorSource(file.fileno())) as reader,
        open_recording(reader) as container,
    ):
        stream = container.streams.audio[0]
        yield stream, read_packets(container, [stream], reader)


def _times(path: Path, seek: float = 0) -> Times:
    """Return the position of the first sample and the number of samples of each decoded frame."""
    found = []
    with _opened(path) as (stream, packets):
        if seek:
            stream.container.seek(int(seek * _RATE), stream=stream)
        for packet in packets:
            for frame in stream.codec_context.decode(packet):
                assert frame.pts is not None
                found.append((frame.pts, frame.samples))
    return found


def _contiguous(times: Times) -> bool:
    return all(after[0] == before[0] + before[1] for before, after in itertools.pairwise(times))


def test_empty_packets_take_no_time(tmp_path: Path) -> None:
    path = _with_empty_packets(_vorbis(tmp_path / "source.ogg"), tmp_path / "empty.ogg")
    with av.open(str(path)) as container:
        demuxed = [packet.pts for packet in container.demux(audio=0) if packet.size and packet.pts is not None]
    assert demuxed != sorted(demuxed)
    times = _times(path)
    assert times[0][0] == 0
    assert _contiguous(times)
    assert not facts_of(path).seekable


def test_stream_that_ends_before_its_last_packet_ends_with_the_packet_before(tmp_path: Path) -> None:
    path = _with_early_end(_vorbis(tmp_path / "source.ogg"), tmp_path / "early.ogg")
    with av.open(str(path)) as container:
        assert max(packet.duration or 0 for packet in container.demux(audio=0)) > 1 << 31
    assert abs(facts_of(path).duration - 3) < Fraction(1, 50)


def test_count_restarts_after_a_seek(tmp_path: Path) -> None:
    path = _with_empty_packets(_vorbis(tmp_path / "source.ogg"), tmp_path / "empty.ogg")
    times = _times(path, seek=2)
    assert times[0][0] > _RATE // 2
    assert _contiguous(times)


def test_ogg_without_empty_packets_keeps_its_times(tmp_path: Path) -> None:
    path = _vorbis(tmp_path / "source.ogg")
    with av.open(str(path)) as container:
        demuxed = [(packet.pts, packet.size) for packet in container.demux(audio=0) if packet.size]
    with _opened(path) as (_, packets):
        read = [(packet.pts, packet.size) for packet in packets]
    assert read == demuxed
    assert facts_of(path).seekable
