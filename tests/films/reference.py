"""A slow reference: a recording decoded from its first byte, and the content that a clip of it must have.

Nothing here seeks, skips or shares code with the cutter, so agreement means that both are right. It serves recordings
without declared content; films have it (`film`, `judge`).
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.films.sound import Samples

Luma = npt.NDArray[np.float32]

GRID = 32  # frames are compared as luma means over GRID x GRID parts
_MS = Fraction(1, 1000)


@dataclass(frozen=True)
class Shown:
    """A frame: its start, its luma (0 to 1, upright), and if its levels are HDR."""

    time: Fraction
    luma: Luma
    hdr: bool
    size: tuple[int, int]  # width and height, upright


@dataclass
class Heard:
    """One audio track: pieces of its first channel, each with the time of its first sample."""

    rate: int
    channels: int
    pieces: list[tuple[Fraction, Samples]] = field(default_factory=list)
    last_pts: int | None = None

    def between(self, start: Fraction, end: Fraction) -> Samples:
        """Return the samples from `start` to `end`, each piece at its own time; zero elsewhere."""
        first, count = round(start * self.rate), max(0, round((end - start) * self.rate))
        heard = np.zeros(count, np.float32)
        for time, samples in self.pieces:
            at = round(time * self.rate) - first
            low, high = max(0, at), min(count, at + samples.size)
            if low < high:
                heard[low:high] = samples[low - at : high - at]
        return heard

    @property
    def end(self) -> Fraction:
        """Return the end of the last decoded sample."""
        if not self.pieces:
            return Fraction(0)
        time, samples = self.pieces[-1]
        return time + Fraction(samples.size, self.rate)


@dataclass
class Reference:
    """All presented frames and audio of a file, on its own timeline: 0 is the first presentation time."""

    path: Path
    frames: list[Shown] = field(default_factory=list)
    tracks: list[Heard] = field(default_factory=list)
    sample_aspect_ratio: Fraction = Fraction(1)
    last_frame_seconds: Fraction = Fraction(0)  # duration of the last frame in the container, or 0
    damaged: int = 0  # packets that no decoder accepted

    @property
    def frame_seconds(self) -> Fraction:
        """Return the usual frame duration."""
        distances = [b.time - a.time for a, b in itertools.pairwise(self.frames) if b.time > a.time]
        return Fraction(median(distances)) if distances else self.last_frame_seconds

    @property
    def packet_seconds(self) -> Fraction:
        """Return the duration of an audio packet: an undecodable last one shortens the recording by it."""
        pieces = [Fraction(samples.size, track.rate) for track in self.tracks for _, samples in track.pieces[:9]]
        return max(pieces, default=Fraction(0))

    @property
    def duration(self) -> Fraction:
        """Return the latest presentation end of all streams."""
        ends = [track.end for track in self.tracks]
        if self.frames:
            ends.append(self.frames[-1].time + (self.last_frame_seconds or self.frame_seconds))
        return max(ends, default=Fraction(0))

    def clip(self, start: Fraction, end: Fraction) -> list[Wanted]:
        """Return the permitted contents of a clip of this range: one, or two if rounding decides."""
        end = min(end, self.duration)
        half = self.frame_seconds / 2
        near = [shown.time for shown in self.frames if abs(shown.time - start) <= half * 11 / 10 and shown.time < end]
        nearest = min((abs(time - start) for time in near), default=half + 1)
        # Half a frame is known to a tenth: rates vary, and timestamps are rounded.
        origins = [time for time in near if abs(time - start) <= nearest + _MS]
        if nearest >= half * 9 / 10:
            origins.append(start)
        answers = [self._from(origin, end) for origin in dict.fromkeys(origins)]
        # Of several frames at the first time of the clip only the last is visible: the others may be missing.
        return answers + [answer.without_unseen() for answer in answers]

    def _from(self, origin: Fraction, end: Fraction) -> Wanted:
        held = max((i for i, shown in enumerate(self.frames) if shown.time <= origin), default=None)
        first = next((i for i, shown in enumerate(self.frames) if shown.time >= origin), len(self.frames))
        chosen = [i for i in range(first, len(self.frames)) if self.frames[i].time < end + _MS / 2]
        times = [self.frames[i].time - origin for i in chosen]
        if held is not None and (not times or times[0] > 0):
            chosen, times = [held, *chosen], [Fraction(0), *times]
        doubtful = sum(time >= end - origin - _MS / 2 for time in times[1:])
        return Wanted(origin, end, tuple(zip(times, chosen, strict=True)), doubtful)


@dataclass(frozen=True)
class Wanted:
    """A clip of [origin, end): (clip time, index of the reference's frame); the last `doubtful` may be missing."""

    origin: Fraction
    end: Fraction
    frames: tuple[tuple[Fraction, int], ...]
    doubtful: int

    @property
    def length(self) -> Fraction:
        return self.end - self.origin

    def without_unseen(self) -> Wanted:
        """Return the same clip without the frames at its first time that another frame at that time covers."""
        covered = sum(time == 0 for time, _ in self.frames[1:])
        return replace(self, frames=self.frames[covered:])


def watch(path: Path, until: Fraction | None = None) -> Reference:
    """Decode the file from its start to its end, or until video passes this time of the container's clock."""
    seen = Reference(path)
    with av.open(str(path)) as container:
        covers = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
        video = next((s for s in container.streams.video if not s.disposition & covers), None)
        tracks = {s.index: Heard(s.codec_context.sample_rate, s.codec_context.layout.nb_channels)
                  for s in container.streams.audio if s.codec_context is not None}  # fmt: skip
        wanted: list[Any] = [s for s in container.streams if s.index in tracks or s is video]
        if video is not None:
            video.thread_type = "AUTO"
            seen.sample_aspect_ratio = Fraction(video.sample_aspect_ratio or 1) or Fraction(1)
        first: dict[int, Fraction] = {}
        decoded: list[Fraction] = []  # when the packets of the video are decoded
        for packet in container.demux(wanted):
            if packet.size:
                _take(seen, tracks, packet.stream, packet)
                if packet.stream is video and packet.dts is not None:
                    decoded.append(packet.dts * Fraction(packet.time_base))
                if packet.pts is not None and not packet.is_discard:
                    time = packet.pts * Fraction(packet.time_base)
                    first[packet.stream_index] = min(time, first.get(packet.stream_index, time))
            late = until is not None and packet.pts is not None and packet.pts * packet.time_base > until
            if late and packet.stream is video:
                break
        for stream in wanted:
            _take(seen, tracks, stream, None)
        if video is not None and _in_decoding_order(seen, container.format.name):
            seen.frames = [replace(shown, time=time) for shown, time in zip(seen.frames, sorted(decoded), strict=False)]
            first[video.index] = min(decoded)
        seen.tracks = [track for track in tracks.values() if track.pieces]
        starts = {s.index: s.start_time * Fraction(s.time_base) for s in wanted if s.start_time is not None}
    heard = {index: track.pieces[0][0] for index, track in tracks.items() if track.pieces}
    _from_zero(seen, [max(heard.get(i, time), starts.get(i, time)) for i, time in first.items()])
    return seen


def _in_decoding_order(seen: Reference, container: str) -> bool:
    """Return True if the times of a container without presentation times were put in the order of decoding."""
    times = [shown.time for shown in seen.frames]
    return container.startswith(("avi", "ogg", "mov", "flv", "mxf")) and times != sorted(times)


def _take(seen: Reference, tracks: dict[int, Heard], stream: Any, packet: Any) -> None:
    """Decode one packet of the stream; None flushes its decoder."""
    base = Fraction(stream.time_base)
    try:
        frames: list[Any] = stream.codec_context.decode(packet)
    except (av.FFmpegError, ValueError):  # PyAV 19 raises the latter for codecs that it cannot open
        seen.damaged += 1
        return
    for frame in frames:
        if stream.index in tracks:
            _hear(tracks[stream.index], frame, base)
        else:
            _see(seen, frame, base)


def _see(seen: Reference, frame: Any, base: Fraction) -> None:
    luma, hdr = _upright(_luma(frame), frame), int(frame.color_trc) in (16, 18)
    before = seen.frames[-1].time if seen.frames else Fraction(0)
    time = frame.pts * base if frame.pts is not None else before + seen.frame_seconds
    sideways = frame.rotation % 180 != 0
    size = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    if not seen.frames and sideways:
        seen.sample_aspect_ratio = 1 / seen.sample_aspect_ratio
    seen.frames.append(Shown(time, luma, hdr, size))
    seen.last_frame_seconds = Fraction(frame.duration) * base


def _hear(track: Heard, frame: Any, base: Fraction) -> None:
    data: npt.NDArray[Any] = frame.to_ndarray()
    first = data[0] if frame.format.is_planar else data.reshape(-1)[:: frame.layout.nb_channels]
    if first.dtype.kind == "i":
        first = first / float(np.iinfo(first.dtype).max + 1)
    elif first.dtype.kind == "u":
        first = (first.astype(np.float32) - 128) / 128
    # Frames of one packet may all have its time; they are contiguous. Rounding is no gap.
    own = frame.pts is not None and frame.pts != track.last_pts
    time = frame.pts * base if own else track.end
    if track.pieces and abs(time - track.end) <= max(base * 3 / 4, Fraction(1, track.rate)):
        time = track.end
    track.last_pts = frame.pts
    track.pieces.append((time, first.astype(np.float32)))


def _from_zero(seen: Reference, starts: list[Fraction]) -> None:
    """Shift everything so that the first presentation time is 0; `starts` has that of each stream.

    Audio that a decoder discards, and media before an edit, is not presented.
    """
    origin = min(starts, default=Fraction(0))
    seen.frames = [replace(shown, time=shown.time - origin) for shown in seen.frames]
    seen.frames.sort(key=lambda shown: shown.time)
    for track in seen.tracks:
        track.pieces = [(time - origin, samples) for time, samples in track.pieces]


def _luma(frame: Any) -> Luma:
    """Return the luma of the frame on a coarse grid, 0 (black) to 1 (white) in the declared range."""
    if not frame.format.name.startswith(("yuv", "gray", "nv12")):
        frame = frame.reformat(format="yuv420p")
    bits = frame.format.components[0].bits
    plane = frame.planes[0]
    width = 2 if bits > 8 else 1
    data = np.frombuffer(plane, np.uint16 if bits > 8 else np.uint8)
    data = data.reshape(-1, plane.line_size // width)[: frame.height, : frame.width]
    full = int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")
    means = _means(data) / (1 << (bits - 8))
    return np.asarray(means / 255 if full else (means - 16) / 219, np.float32)


def _means(data: npt.NDArray[Any]) -> Luma:
    """Return means over GRID x GRID parts; parts of small frames share pixels."""
    (tops, bottoms), (lefts, rights) = (_parts(size) for size in data.shape)
    lines = np.stack([data[top:bottom].sum(axis=0, dtype=np.uint32) for top, bottom in zip(tops, bottoms, strict=True)])
    sums = np.add.reduceat(lines, lefts, axis=1, dtype=np.float32)
    return np.asarray(sums / np.outer(bottoms - tops, rights - lefts), np.float32)


@functools.cache
def _parts(size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each of GRID parts begins and ends; each has at least one pixel."""
    begins = np.arange(GRID) * size // GRID
    return begins, np.maximum(np.append(begins[1:], size), begins + 1)


def _upright(luma: Luma, frame: Any) -> Luma:
    """Rotate by the frame's display matrix (`rotation` counts anticlockwise); mirroring does not occur."""
    return np.ascontiguousarray(np.rot90(luma, frame.rotation // 90))
