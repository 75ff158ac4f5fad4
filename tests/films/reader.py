"""Reading of a file by one sequential decode from its start: what a player would present, and when.

Times are exact seconds on the container's clock after edit lists and codec delays, as FFmpeg's demuxers give them. The
reader also checks details of the bytes: box order, the first keyframe, the codec tag.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from clipengine.media.video.filter_graph import linear_graph, pull_one
from clipengine.media.video.rotate import upright_filters
from tests.films.mp4_bytes import lengths
from tests.films.picture import Seen, see
from tests.films.sound import Samples

Frame = tuple[Fraction, Seen]


@dataclass
class Chunk:
    """Contiguous samples, mono (the loudest channel), from `start` seconds on."""

    start: Fraction
    samples: Samples


@dataclass
class TrackReading:
    """One decoded audio stream with its properties in the container."""

    rate: int
    channels: int
    codec: str
    language: str | None
    chunks: list[Chunk]
    lengths: tuple[int, ...] = ()

    @property
    def start(self) -> Fraction:
        return self.chunks[0].start if self.chunks else Fraction(0)

    @property
    def end(self) -> Fraction:
        """Return the end of the last decoded sample."""
        last = self.chunks[-1] if self.chunks else None
        return last.start + Fraction(last.samples.size, self.rate) if last else Fraction(0)

    def between(self, start: Fraction, end: Fraction) -> Samples:
        """Return the samples from `start` to `end` seconds, zero where the stream has none."""
        first, count = _floor(start * self.rate), max(0, _floor((end - start) * self.rate))
        heard = np.zeros(count, np.float32)
        for chunk in self.chunks:
            at = round(chunk.start * self.rate) - first
            low, high = max(0, at), min(count, at + chunk.samples.size)
            if low < high:
                heard[low:high] = chunk.samples[low - at : high - at]
        return heard


@dataclass
class ClipReading:
    """The content of a file. `frames` are in presentation order."""

    path: Path
    container: str
    frames: list[Frame] = field(default_factory=list)
    tracks: list[TrackReading] = field(default_factory=list)
    width: int = 0
    height: int = 0
    video_codec: str | None = None
    codec_tag: str = ""
    profile: str | None = None
    pix_fmt: str = ""
    sar: Fraction = Fraction(1)
    rotation: int = 0
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    color_range: int = 0
    first_is_key: bool = False
    video_end: Fraction = Fraction(0)
    duration: Fraction | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    faststart: bool | None = None
    errors: list[str] = field(default_factory=list)

    @property
    def start(self) -> Fraction:
        """Return the earliest presentation time of all streams."""
        starts = [track.start for track in self.tracks if track.chunks] + [time for time, _ in self.frames[:1]]
        return min(starts, default=Fraction(0))

    @property
    def end(self) -> Fraction:
        """Return the end of the last decoded sample."""
        ends = [track.end for track in self.tracks if track.chunks]
        return max([*ends, self.video_end] if self.frames else ends, default=Fraction(0))


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


def read_clip(path: Path, options: dict[str, str] | None = None, *, upright: bool = False) -> ClipReading:
    """Decode the whole file from its start. Decoder errors are collected in `errors`, not raised.

    With `upright` frames are turned as a player turns them, by the display matrix of the file.
    """
    with av.open(str(path), options=options or {}) as container:
        reading = ClipReading(path, container.format.name)
        if container.duration is not None:
            reading.duration = Fraction(container.duration, av.time_base)
        video = next((s for s in container.streams.video if not _is_cover(s)), None)
        sounds: dict[int, _Joiner] = {s.index: _Joiner(s) for s in container.streams.audio}
        wanted = [s for s in container.streams if s.index in sounds or s is video]
        pending: list[tuple[Fraction, Fraction, Seen, tuple[int, int]]] = []
        first_packet = True
        durations: dict[int, int] = {}
        decoding: list[Fraction] = []
        for packet in container.demux(wanted):
            is_video = video is not None and packet.stream_index == video.index
            if is_video and packet.size and first_packet:
                reading.first_is_key, first_packet = packet.is_keyframe, False
            if is_video and packet.pts is not None and packet.duration:
                durations[packet.pts] = packet.duration
            if is_video and packet.dts is not None:
                decoding.append(packet.dts * packet.time_base)
            try:
                decoded: list[Any] = packet.decode()
            except av.FFmpegError as error:
                reading.errors.append(f"stream {packet.stream_index}: {error}")
                continue
            for frame in decoded:
                if not is_video:
                    sounds[packet.stream_index].add(frame)
                    continue
                length = Fraction(frame.duration or durations.get(frame.pts, 0)) * frame.time_base
                time = frame.pts * frame.time_base if frame.pts is not None else len(pending) / _stated_rate(video)
                frame = _upright(frame) if upright else frame
                pending.append((time, length, see(frame), (frame.width, frame.height)))
                _note_picture(reading, frame)
        if video is not None:
            if reading.container == "avi" and [entry[0] for entry in pending] != sorted(entry[0] for entry in pending):
                # The times are those of decoding; frames come in display order.
                pending = [(time, *rest) for time, (_, *rest) in zip(sorted(decoding), pending, strict=True)]  # type: ignore[misc]
            _note_video(reading, video, pending)
            if upright and reading.rotation % 180:
                reading.sar = 1 / reading.sar
            reading.rotation = 0 if upright else reading.rotation
        reading.tracks = [joiner.track() for joiner in sounds.values()]
        if "mp4" in reading.container:
            _note_movie(reading, video.index if video is not None else None)
    return reading


def _upright(frame: Any) -> Any:
    filters = upright_filters(frame)
    return pull_one(linear_graph(frame, filters), frame) if filters else frame


def _stated_rate(stream: Any) -> Fraction:
    """Return the frame rate that a stream without timestamps states, or 25."""
    return Fraction(stream.codec_context.framerate or 25)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _note_picture(reading: ClipReading, frame: Any) -> None:
    if reading.width:
        return
    reading.width, reading.height, reading.pix_fmt = frame.width, frame.height, frame.format.name
    reading.rotation = frame.rotation
    reading.primaries, reading.transfer = int(frame.color_primaries), int(frame.color_trc)
    reading.matrix, reading.color_range = int(frame.colorspace), int(frame.color_range)


def _note_video(reading: ClipReading, stream: Any, pending: list[Any]) -> None:
    context = stream.codec_context
    reading.video_codec, reading.profile = context.codec.canonical_name, context.profile
    reading.codec_tag = context.codec_tag if isinstance(context.codec_tag, str) else ""
    # The ratio of the stream includes that of the container; the codec's is only a default.
    reading.sar = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1) or Fraction(1)
    reading.frames = [(time, seen) for time, _, seen, _ in pending]
    reading.sizes = tuple(dict.fromkeys(size for *_, size in pending))
    if pending:
        time, length, *_ = max(pending, key=lambda entry: entry[0])
        usual = sorted(b[0] - a[0] for a, b in itertools.pairwise(pending)) or [Fraction(0)]
        reading.video_end = time + (length or usual[len(usual) // 2])


def _note_movie(reading: ClipReading, video: int | None) -> None:
    """Record the fields of an MP4 index that players use.

    Frame durations are in decoding order: only the length of the track gives the duration of the last frame.
    """
    reading.faststart = _moov_first(reading.path)
    movie, tracks = lengths(reading.path)
    reading.duration = movie or reading.duration
    if video is not None and video < len(tracks):
        reading.video_end = tracks[video] or reading.video_end


class _Joiner:
    """Joins decoded audio frames. A pts within half a container tick of the previous end is contiguous."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._slack = max(
            Fraction(3, 4) * Fraction(stream.time_base), Fraction(1, stream.codec_context.sample_rate or 48000)
        )
        self._pieces: list[tuple[Fraction, list[Samples]]] = []
        self._next: Fraction | None = None
        self._rate = 0
        self._channels = 0

    def add(self, frame: Any) -> None:
        self._rate, self._channels = self._rate or frame.sample_rate, self._channels or frame.layout.nb_channels
        samples = _mono(frame)
        time = frame.pts * frame.time_base if frame.pts is not None else (self._next or Fraction(0))
        if self._next is None or abs(time - self._next) > self._slack:
            self._pieces.append((time, []))
            self._next = time
        self._pieces[-1][1].append(samples)
        self._next += Fraction(samples.size, self._rate)

    def track(self) -> TrackReading:
        chunks = [Chunk(start, np.concatenate(pieces)) for start, pieces in self._pieces]
        stream = self._stream
        rate = self._rate or stream.codec_context.sample_rate or 48000
        name = stream.codec_context.codec.canonical_name
        return TrackReading(rate, self._channels, name, stream.language or None, chunks)


def _mono(frame: Any) -> Samples:
    """Return the first channel, which films make the loudest, in -1 to 1."""
    data: npt.NDArray[Any] = frame.to_ndarray()
    channels = frame.layout.nb_channels
    first = data[0] if frame.format.is_planar else data.reshape(-1)[::channels]
    if first.dtype.kind == "i":
        return (first / float(np.iinfo(first.dtype).max + 1)).astype(np.float32)
    if first.dtype.kind == "u":
        return ((first.astype(np.float32) - 128) / 128).astype(np.float32)
    return first.astype(np.float32)


def _moov_first(path: Path) -> bool:
    """Return True if the index is before the media data."""
    with path.open("rb") as file:
        while header := file.read(8):
            size, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False
