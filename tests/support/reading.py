"""Read amplification: a counting source, recordings of any length, and the minimum of bytes that a clip needs."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from clipengine.media.input.containers.cached_reader import ByteSource, DescriptorSource, MediaReader
from clipengine.media.input.containers.matroska import cues_span, head_end
from clipengine.recordings.containers import boxes

PREROLL_SECONDS = Fraction(3, 20)
_UNIT_SECONDS = 5
_RATE = 25
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof"


@dataclass(frozen=True)
class Form:
    """A way to mux a recording. `indexed`: its end is found without reading it all.

    `bound`: maximum of bytes read for a clip, as a multiple of the ideal. Where the ideal is only the packets, their
    framing and the header, which is read to find the streams, are added.
    """

    extension: str
    muxer: str
    options: Mapping[str, str] = field(default_factory=dict)
    can_go_back: bool = True
    indexed: bool = True
    bound: float = 1.05


FORMS: dict[str, Form] = {
    "mp4": Form("mp4", "mp4"),
    "mp4_index_first": Form("mp4", "mp4", {"movflags": "+faststart"}),
    "mp4_fragments_sidx": Form("mp4", "mp4", {"movflags": f"{_FRAGMENTS}+global_sidx"}),
    "mp4_fragments_mfra": Form("mp4", "mp4", {"movflags": _FRAGMENTS}),
    "mp4_fragments_bare": Form("mp4", "mp4", {"movflags": f"{_FRAGMENTS}+skip_trailer"}),
    "mkv": Form("mkv", "matroska"),
    "mkv_live": Form("mkv", "matroska", {"live": "1"}, can_go_back=False, indexed=False),
    "ts": Form("ts", "mpegts", indexed=False, bound=1.15),
    "flv": Form("flv", "flv", {"flvflags": "no_duration_filesize"}, can_go_back=False, indexed=False, bound=1.15),
}


class CountingSource:
    """A source that counts its reads. While `gate` is clear, reads wait."""

    def __init__(self, source: ByteSource, *, remote: bool = True) -> None:
        self._source = source
        self._lock = threading.Lock()
        self.size = source.size
        self.remote = remote
        self.reads: list[tuple[int, int]] = []  # offset, length
        self.gate = threading.Event()
        self.gate.set()

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        self.gate.wait()
        data = self._source.read_at(offset, length)
        with self._lock:
            self.reads.append((offset, len(data)))
        return data

    @property
    def bytes_read(self) -> int:
        return sum(length for _, length in self.reads)


class MemorySource:
    """A recording in memory."""

    remote = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        return self._data[offset : offset + length]


class _Pipe:
    """A file that can only be written forwards, so that the muxer cannot go back."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.write = file.write


def make(path: Path, form: str, seconds: int, *, offset: int = 0) -> None:
    """Return a recording of noise, 640x360, about 4 Mbit/s, with AAC and a keyframe every five seconds.

    Five seconds are encoded and their packets repeated, which is cheap. The timestamps start at `offset` seconds.
    """
    how = FORMS[form]
    with path.open("wb") as file:
        target: Any = file if how.can_go_back else _Pipe(file)
        with av.open(target, "w", format=how.muxer, options=dict(how.options)) as container:
            video = container.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "g": str(_RATE * 5)})
            video.width, video.height, video.pix_fmt, video.bit_rate = 640, 360, "yuv420p", 4_000_000
            video.codec_context.max_b_frames = 2
            audio = container.add_stream("aac", rate=48000, layout="stereo")
            packets = [*_picture(video), *_sound(audio)]
            for number in range(seconds // _UNIT_SECONDS):
                for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
                    container.mux(_shifted(packet, offset + number * _UNIT_SECONDS))


def _picture(stream: Any) -> Iterator[Any]:
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
    for number in range(_UNIT_SECONDS * _RATE):
        frame = av.VideoFrame.from_ndarray(np.roll(noise, 3 * number, axis=1), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, _RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream: Any) -> Iterator[Any]:
    """Return as many whole packets as fit: a repetition leaves a gap shorter than one packet."""
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 1024)).astype(np.float32)
    for number in range(_UNIT_SECONDS * 48000 // 1024 - 1):
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, number * 1024
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _shifted(packet: Any, seconds: int) -> Any:
    copy = av.Packet(bytes(packet))
    by = round(seconds / packet.time_base)
    copy.pts, copy.dts, copy.duration = packet.pts + by, packet.dts + by, packet.duration
    copy.time_base, copy.stream, copy.is_keyframe = packet.time_base, packet.stream, packet.is_keyframe
    return copy


@dataclass(frozen=True)
class Ideal:
    """The minimum of bytes that a clip needs: the index of the container, and the packets of the kept streams.

    Packets: video from the last keyframe presented at or before the start to the last one decoded before the end; audio
    from that keyframe, or from an earlier pre-roll, because it is interleaved with video. The index: in MP4 `moov`,
    `sidx` and the `moof` boxes of the fragments that have such packets; in Matroska the cues and everything before the
    first cluster; in others nothing.
    """

    index: int
    packets: int

    @property
    def total(self) -> int:
        return self.index + self.packets


def ideal(path: Path, start: Fraction, end: Fraction) -> Ideal:
    """Compute the ideal by reading the whole recording, whose timeline starts at its earliest packet."""
    found: list[tuple[str, float, float, int, int, bool]] = []
    with av.open(str(path)) as container:
        streams = [container.streams.video[0], *container.streams.audio]
        for packet in container.demux(streams):
            if packet.size and packet.pts is not None:
                tick = float(packet.time_base or 1)
                dts = packet.pts if packet.dts is None else packet.dts
                kind = packet.stream.type
                found.append((kind, packet.pts * tick, dts * tick, packet.size, packet.pos or 0, packet.is_keyframe))
    origin = min(time for kind, time, *_ in found if kind == "video")
    low, high = float(start) + origin, float(end) + origin
    key = max(time for kind, time, _, _, _, keyframe in found if kind == "video" and keyframe and time <= low + 1e-6)
    sound = min(key, low - float(PREROLL_SECONDS))
    since = {"video": key, "audio": sound}
    needed = [(pos, size) for kind, time, dts, size, pos, _ in found if time >= since[kind] - 1e-6 and dts < high]
    return Ideal(_index(path, [pos for pos, _ in needed]), sum(size for _, size in needed))


def _index(path: Path, positions: list[int]) -> int:
    with path.open("rb") as file:
        return _index_bytes(MediaReader(DescriptorSource(file.fileno())), positions)


def _index_bytes(reader: MediaReader, positions: list[int]) -> int:
    reader.seek(4)
    if reader.read(4) == b"ftyp":
        first, last, total = min(positions), max(positions), 0
        at, fragment = 0, (0, 0)
        for kind, _, end in boxes(reader, limit=1_000_000):
            if kind in (b"moov", b"sidx"):
                total += end - at
            elif kind == b"moof":
                fragment = at, end
            elif kind == b"mdat" and at < last and end > first:
                total += fragment[1] - fragment[0]
            at = end
        return total
    cues = cues_span(reader)
    return (head_end(reader) or 0) + (cues[1] - cues[0] if cues else 0)
