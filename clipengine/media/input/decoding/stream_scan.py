"""Scanning of packets by the probe: starts of the streams, first frame, frame distances, end of the timeline."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.clips.options.picture_size import Picture
from clipengine.errors import RecordingEncrypted, RecordingUnreadable
from clipengine.media.input.containers.codec_headers import HeaderChanges
from clipengine.media.input.containers.container import is_presented, packet_time
from clipengine.media.input.decoding.audio_timestamps import TimestampAnalyzer, timestamp_analyzer
from clipengine.media.input.decoding.shown_sizes import StreamSizes
from clipengine.media.input.timing.display_order import OrderCheck
from clipengine.media.input.timing.timeline import Timeline, as_fraction
from clipengine.media.memory import raise_if_out_of_memory

_HEAD_SECONDS = 3  # read of every stream
_PATIENCE_SECONDS = 10  # if a stream has not started yet
_HEAD_PACKETS = 4000
_MAX_SIZES = 1000
_MAX_DISTANCES = 100_000  # of packets that are read without a gap


class HeadScan:
    """Reads the first seconds of all streams to find the origin of the timeline and the first video frame."""

    def __init__(self, demuxer: Iterator[Packet[Any]], video: VideoStream | None, audio: Sequence[AudioStream]) -> None:
        self.packets: list[Packet[Any]] = []
        self.frame: av.VideoFrame | None = None
        self.demuxer = demuxer
        self._video = video
        self._has_keyframe = False
        self._order = None if video is None else OrderCheck(video)
        self._streams = {stream.index for stream in (*audio, *([video] if video else []))}
        self._starts: dict[int, Fraction] = {}  # stream index -> start of its media in container time
        first = self._read()
        if first is None:
            raise RecordingUnreadable("the recording has no media in it")
        # Samples that a decoder drops (priming) are not presented: a stream starts at its first decoded sample.
        self.origin = min(self._starts.values(), default=first)
        self.first_frame = None if video is None else self.start_of(video)
        if video is not None and self.frame is None:
            self._flush(video)
            if self.frame is None and self._has_keyframe:
                raise RecordingUnreadable("no video frame of the recording can be decoded: it is damaged or encrypted")

    def start_of(self, stream: Stream) -> Fraction | None:
        """Return where the media of a stream begins, in recording time, or None if it does not begin in the head."""
        start = self._starts.get(stream.index)
        return None if start is None else start - self.origin

    @property
    def decoding_times(self) -> bool:
        """True if the packets of the video have no presentation times, although its frames are reordered."""
        return self._order is not None and self._order.goes_back

    def _read(self) -> Fraction | None:
        """Read packets until all starts are known, and return the earliest timestamp."""
        first: Fraction | None = None
        for packet in self.demuxer:
            self.packets.append(packet)
            time = packet_time(packet)
            if time is None:
                continue
            first = time if first is None else min(first, time)
            self._find_start(packet, time)
            if self._is_enough(time - first) or len(self.packets) >= _HEAD_PACKETS:
                break
        return first

    def _find_start(self, packet: Packet[Any], time: Fraction) -> None:
        if _is_encrypted(packet):
            raise RecordingEncrypted("the recording's media is encrypted")
        index = packet.stream_index
        if self._video is None or index != self._video.index:
            if index not in self._starts:
                self._decode(packet)
            return
        self._has_keyframe |= packet.is_keyframe
        if is_presented(packet):
            self._starts[index] = min(time, self._starts.get(index, time))
        if (self._order is not None and self._order.needs(packet)) or self.frame is None:
            self._decode(packet)

    def _is_enough(self, seconds: Fraction) -> bool:
        """Return True if all streams have started, or if the other streams are late and can be ignored."""
        if self._video is not None and self.frame is None:
            return False
        return seconds > (_HEAD_SECONDS if self._streams <= self._starts.keys() else _PATIENCE_SECONDS)

    def _decode(self, packet: Packet[Any]) -> None:
        try:
            frames: Sequence[Any] = cast(Sequence[Any], packet.decode())
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):  # PyAV 19 raises the latter once a decoder could not be opened
            raise_if_out_of_memory()
            return
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                self.frame = self.frame or frame
                if self._order is not None:
                    self._order.add(frame)
            elif (start := _start_of(frame, packet)) is not None:
                if packet.stream.start_time is not None:
                    start = max(start, packet.stream.start_time * as_fraction(packet.time_base))
                self._starts.setdefault(packet.stream_index, start)

    def _flush(self, video: VideoStream) -> None:
        try:
            frames = video.codec_context.decode(None)
        except MemoryError:
            raise
        except av.FFmpegError:
            return
        self.frame = frames[0] if frames else None


def _is_encrypted(packet: Packet[Any]) -> bool:
    """Return True for Common Encryption in MP4 and content encryption in Matroska."""
    return packet.has_sidedata("encryption_info") or "enc_key_id" in packet.stream.metadata


def _start_of(frame: Any, packet: Packet[Any]) -> Fraction | None:
    """Return the time of a frame's first sample.

    The first frame of WMA Pro has no time: its packet's time is returned.
    """
    return packet_time(packet) if frame.pts is None else frame.pts * as_fraction(frame.time_base or 1)


class FrameDistances:
    """Distances of frames, from packet times in coding order. `split` starts a new run after a gap."""

    def __init__(self) -> None:
        self._shown: list[list[Fraction]] = [[]]
        self._decoded: list[list[Fraction]] = [[]]

    def add(self, time: Fraction, dts: Fraction) -> None:
        if len(self._shown[-1]) < _MAX_DISTANCES:
            self._shown[-1].append(time)
            self._decoded[-1].append(dts)

    def split(self) -> None:
        self._shown.append([])
        self._decoded.append([])

    def shown(self) -> Counter[Fraction]:
        """Count the distances of presentation times."""
        return _distances(self._shown)

    def decoded(self) -> Counter[Fraction]:
        """Count the distances of decoding times."""
        return _distances(self._decoded)


def _distances(runs: Sequence[Sequence[Fraction]]) -> Counter[Fraction]:
    return Counter(later - earlier for run in runs for earlier, later in itertools.pairwise(sorted(set(run))))


class PacketStats:
    """Collects frame distances, damage and the end of the timeline from all packets."""

    def __init__(self, timeline: Timeline, streams: Sequence[Stream]) -> None:
        self.timeline = timeline
        audio = (stream for stream in streams if isinstance(stream, AudioStream))
        analyzers = {stream.index: timestamp_analyzer(stream) for stream in audio}
        self.stamps: dict[int, TimestampAnalyzer] = {
            index: each for index, each in analyzers.items() if each is not None
        }
        self.headers = HeaderChanges(streams)
        self._sizes = {stream.index: StreamSizes(stream) for stream in streams if isinstance(stream, VideoStream)}
        self.pictures: set[Picture] = set()  # of several sizes and shapes, up to a limit
        self.frame_distances = FrameDistances()
        self.frames: int | None = 0  # None if packets were left out
        self.last_frame: Fraction | None = None  # of the frames read since packets were left out
        self._durations: dict[int, Fraction] = {}  # stream index -> packet duration
        self.damaged = 0
        self.last_data = b""  # the last bytes of the last packet

    def add(self, packet: Packet[Any]) -> None:
        time = packet_time(packet)
        if time is None or not is_presented(packet):
            return
        tick = as_fraction(packet.time_base)
        duration = (packet.duration or 0) * tick
        dts = time if packet.dts is None else packet.dts * tick
        dropped = _samples_dropped_at_end(packet)
        usual = self._durations.setdefault(packet.stream_index, duration)
        if dropped and duration >= usual:  # some demuxers have already shortened the packet
            duration -= dropped
        time_on_timeline = self.timeline.add(packet.stream_index, time, dts, duration)
        self.damaged += packet.is_corrupt
        self.last_data = bytes(memoryview(packet)[-1:])
        self.headers.add(packet, time_on_timeline)
        if packet.stream_index in self._sizes:  # the type of a stream may change inside MPEG-TS
            self.frame_distances.add(time_on_timeline, dts)
            self.frames = None if self.frames is None else self.frames + 1
            self.last_frame = max(time_on_timeline, self.last_frame or time_on_timeline)
            picture = self._sizes[packet.stream_index].add(packet)
            if picture is not None and len(self.pictures) < _MAX_SIZES:
                self.pictures.add(picture)
        elif packet.stream_index in self.stamps:
            self.stamps[packet.stream_index].add(packet)

    @property
    def largest(self) -> tuple[int, int] | None:
        """Size of the largest picture, or None if all pictures have one size and shape."""
        sizes = {each.size for each in self.pictures}
        ratios = {each.ratio for each in self.pictures} - {None}
        return max(sizes, key=math.prod) if max(len(sizes), len(ratios)) > 1 else None

    def skip(self) -> None:
        """Note that packets are left out between the last one and the next one."""
        self.frame_distances.split()
        self.headers.skip()
        self.frames = self.last_frame = None
        for analyzer in self.stamps.values():
            analyzer.skip()


def _samples_dropped_at_end(packet: Packet[Any]) -> Fraction:
    """Return the seconds that the decoder drops at the packet's end (AV_PKT_DATA_SKIP_SAMPLES: u32 start, u32 end)."""
    if not packet.has_sidedata("skip_samples"):
        return Fraction(0)
    dropped = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[4:8], "little")
    return Fraction(dropped, packet.stream.codec_context.sample_rate or 1)
