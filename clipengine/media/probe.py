"""The probe: what a recording holds and how long it really is, found from its packets and not from its header alone.

Containers with an index are read at their head and their tail. Everything else (live webm, MPEG-TS, fragmented files
without an index, bare streams) is read once from end to end: there is no other truth in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from statistics import median
from typing import Any, NamedTuple, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from pydantic import ValidationError

from clipengine.clips.facts import AudioFacts, SourceFacts, VideoFacts
from clipengine.clips.seek_index import SeekIndex
from clipengine.clips.warnings import warning
from clipengine.errors import RecordingTruncated, RecordingUnreadable
from clipengine.media.input.audio_timestamps import TimestampAnalyzer, timestamp_analyzer
from clipengine.media.input.container import (
    audio_streams,
    codec_name,
    keep_only,
    media_errors,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.header_splice import HeaderSplice, splice_at
from clipengine.media.input.matroska import cues_span, head_end
from clipengine.media.input.mp4_fragments import Fragments, read_fragments
from clipengine.media.input.seek_check import SeekCheck
from clipengine.media.input.seek_index_builder import MATROSKA, SeekIndexBuilder
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.input.stream_facts import creation_time, language, other_streams
from clipengine.media.input.timeline import Timeline, as_fraction
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.media.video.rotate import rotation_of

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
_HEAD_SECONDS = 3  # of every stream, to find when it starts and how far its frames are apart
_PATIENCE_SECONDS = 10
_HEAD_PACKETS = 4000
_TAIL_SECONDS = 2
_LACKING_SECONDS = 1  # by which a recording may end before its head says
_MAX_SECONDS = 366 * 24 * 3600
# Formats whose timestamps may jump where a stream was restarted (FFmpeg's AVFMT_TS_DISCONT).
_DISCONTINUOUS = ("mpegts", "mpeg")
_VARIABLE = Fraction(1, 5)  # more than this part of the frame distances differs from the usual one


class ProbeResult(NamedTuple):
    """The facts of a recording, the bytes that were read for them, and where it can be entered, if that was noted."""

    facts: SourceFacts
    bytes_read: int
    seek_index: SeekIndex | None


def probe(source: ByteSource) -> ProbeResult:
    """Find out what a recording holds. Raises RecordingUnreadable, RecordingTruncated or UnsupportedMedia."""
    try:
        return _probe(source)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise RecordingUnreadable(f"the recording's header is damaged: {where}: {fault['msg']}") from error


def _probe(source: ByteSource) -> ProbeResult:
    with MediaReader(source) as reader:
        with media_errors(reader):
            fragments = read_fragments(reader)
            has_cues, first_cluster = cues_span(reader) is not None, head_end(reader)
        listed = fragments is not None and bool(fragments.times)
        head_only = HeaderSplice(fragments.head_end, fragments.head_end, b"") if fragments and listed else None
        with open_recording(reader, head_only) as container, ExitStack() as tail_stack:
            video, audio = video_stream(container), audio_streams(container)
            streams: list[Stream] = [*([video] if video else []), *audio]
            if not streams:
                raise RecordingUnreadable("the recording has no picture and no sound that can be decoded")
            _refuse_cut_off(streams, source.size)
            keep_only(container, streams)
            name = container.format.name
            head = _Head(read_packets(container, streams, reader), video, audio)
            tail = _Tail(Timeline(head.origin, joins_discontinuities=name in _DISCONTINUOUS), audio)
            survey = SeekIndexBuilder(name, streams[0], tail.timeline, fragments, first_cluster)
            seek_check = SeekCheck(streams[0])
            for packet in head.packets:
                tail.add(packet)
                survey.add(packet)
            rest = head.demuxer
            if fragments and listed:
                tail.skip()
                rest = _last_fragments(tail_stack, reader, fragments, streams)
            elif name in _INDEXED and container.duration and _go_to_tail(container, has_cues):
                tail.skip()
                rest = read_packets(container, streams, reader)
            else:
                reader.expect([(0, source.size)])
            for packet in rest:
                tail.add(packet)
                survey.add(packet)
                seek_check.add(packet)
            _check_end(tail.timeline.end)
            seek_index = survey.build()
            heard = tuple(_audio_facts(stream, head, tail) for stream in audio if _opened(stream))
            held = {track.index for track in heard} | ({video.index} if video else set())
            others, others_count = other_streams(container, held)
            facts = SourceFacts(
                container=name.split(",")[0],
                origin=head.origin,
                duration=tail.timeline.end,
                video=_video_facts(video, head, tail) if video else None,
                audio=heard,
                seekable=tail.timeline.discontinuities == 0 and seek_check.agrees(container, reader),
                warnings=tuple(_warnings(tail, video, _promised(container) - head.origin)),
                other_streams=others,
                other_streams_count=others_count,
                chapters=len(container.chapters()),
                creation_time=creation_time(container),
            )
        if not (facts.video or facts.audio):
            raise RecordingUnreadable("the recording has no media in it")
        return ProbeResult(facts, reader.bytes_read, seek_index)


def _check_end(end: Fraction) -> None:
    """Raise RecordingUnreadable unless a recording can end there."""
    if end <= 0:
        raise RecordingUnreadable("the recording has no media in it")
    if end > _MAX_SECONDS:
        raise RecordingUnreadable(f"the recording's timestamps are damaged: they reach to {float(end):g} s")


def _last_fragments(
    stack: ExitStack, reader: MediaReader, fragments: Fragments, streams: Sequence[Stream]
) -> Iterator[Packet[Any]]:
    """The packets of the last two fragments: of each track's last, where tracks have fragments of their own."""
    offset = fragments.offsets[-2:][0]
    container = stack.enter_context(open_recording(reader, splice_at("mov", fragments.head_end, offset)))
    kept = [container.streams[stream.index] for stream in streams]
    keep_only(container, kept)
    return read_packets(container, kept, reader)


def _refuse_cut_off(streams: list[Stream], size: int) -> None:
    """An index that points past the end of the object: the upload or the copy was cut off."""
    for stream in streams:
        entries = stream.index_entries
        if len(entries) == 0:
            continue
        last = max((entries[i] for i in range(max(0, len(entries) - 50), len(entries))), key=lambda e: e.pos + e.size)
        if last.pos + last.size > size:
            raise RecordingTruncated(
                f"the recording has {size} bytes, and its index names media up to byte {last.pos + last.size}"
            )


class _Head:
    """The first seconds of every stream: where the timeline begins, and the first frame of the picture."""

    def __init__(self, demuxer: Iterator[Packet[Any]], video: VideoStream | None, audio: Sequence[AudioStream]) -> None:
        self.packets: list[Packet[Any]] = []
        self.frame: av.VideoFrame | None = None
        self.demuxer = demuxer
        self._starts: dict[int, Fraction] = {}
        wanted = {stream.index for stream in audio}
        if video is not None:
            wanted.add(video.index)
        first: Fraction | None = None
        for packet in demuxer:
            self.packets.append(packet)
            time = packet_time(packet)
            if time is None:
                continue
            first = time if first is None else min(first, time)
            index = packet.stream_index
            if video is not None and index == video.index:
                if not packet.is_discard:
                    self._starts[index] = min(time, self._starts.get(index, time))
                if self.frame is None:
                    self._first_frame(packet)
            elif index not in self._starts:
                self._first_frame(packet)
            complete = wanted <= self._starts.keys() and (video is None or self.frame is not None)
            late = self.frame is not None or video is None  # a stream that starts later does not hold up the rest
            if time - first > (_HEAD_SECONDS if complete else _PATIENCE_SECONDS) and (complete or late):
                break
            if len(self.packets) >= _HEAD_PACKETS:
                break
        if first is None:
            raise RecordingUnreadable("the recording has no media in it")
        # Sound that a decoder throws away (priming) is not presented: a stream starts at its first decoded sample.
        self.origin = min(self._starts.values(), default=first)
        begins = None if video is None else self._starts.get(video.index)
        self.first_frame = None if begins is None else begins - self.origin
        if video is not None and self.frame is None:
            self._drain(video)
            if self.frame is None:
                raise RecordingUnreadable("no picture of the recording can be decoded: it is damaged or encrypted")

    def _first_frame(self, packet: Packet[Any]) -> None:
        try:
            frames: Sequence[Any] = cast(Sequence[Any], packet.decode())
        except MemoryError:
            raise
        except av.FFmpegError:
            raise_if_out_of_memory()
            return
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                self.frame = self.frame or frame
            elif frame.pts is not None:
                start = frame.pts * Fraction(frame.time_base or 1)
                if packet.stream.start_time is not None:
                    start = max(start, packet.stream.start_time * as_fraction(packet.time_base))
                self._starts.setdefault(packet.stream_index, start)

    def _drain(self, video: VideoStream) -> None:
        try:
            frames = video.codec_context.decode(None)
        except MemoryError:
            raise
        except av.FFmpegError:
            return
        self.frame = frames[0] if frames else None


class _Distances:
    """How far frames lie apart, from their packets' times in coding order; `cut` starts a new run."""

    def __init__(self) -> None:
        self._runs: list[list[Fraction]] = [[]]

    def add(self, time: Fraction) -> None:
        if len(self._runs[-1]) < 100_000:
            self._runs[-1].append(time)

    def cut(self) -> None:
        self._runs.append([])

    def all(self) -> list[Fraction]:
        found: list[Fraction] = []
        for run in self._runs:
            times = sorted(set(run))
            found += [later - earlier for earlier, later in itertools.pairwise(times)]
        return found


class _Tail:
    """What the packets say: the end of the media on the timeline, the frames' distances, jumps of the clock."""

    def __init__(self, timeline: Timeline, audio: Sequence[AudioStream]) -> None:
        self.timeline = timeline
        surveys = {stream.index: timestamp_analyzer(stream) for stream in audio}
        self.stamps: dict[int, TimestampAnalyzer] = {index: each for index, each in surveys.items() if each is not None}
        self.frame_distances = _Distances()
        self._durations: dict[int, Fraction] = {}  # stream index -> how long its packets are
        self.damaged = 0

    def add(self, packet: Packet[Any]) -> None:
        time = packet_time(packet)
        if time is None or packet.is_discard:
            return
        tick = as_fraction(packet.time_base)
        duration = (packet.duration or 0) * tick
        dts = time if packet.dts is None else packet.dts * tick
        dropped = _samples_dropped_at_end(packet)
        whole = self._durations.setdefault(packet.stream_index, duration)
        if dropped and duration >= whole:  # some demuxers have shortened the packet already
            duration -= dropped
        timed = self.timeline.add(packet.stream_index, time, dts, duration)
        self.damaged += packet.is_corrupt
        if packet.stream.type == "video":
            self.frame_distances.add(timed)
        elif packet.stream_index in self.stamps:
            self.stamps[packet.stream_index].add(packet)

    def skip(self) -> None:
        """Packets are left out between the last one and the next one."""
        self.frame_distances.cut()
        for survey in self.stamps.values():
            survey.skip()


def _samples_dropped_at_end(packet: Packet[Any]) -> Fraction:
    """Seconds that the decoder drops from the packet's end (AV_PKT_DATA_SKIP_SAMPLES: u32 start, u32 end)."""
    if not packet.has_sidedata("skip_samples"):
        return Fraction(0)
    dropped = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[4:8], "little")
    return Fraction(dropped, packet.stream.codec_context.sample_rate or 1)


def _go_to_tail(container: InputContainer, has_cues: bool) -> bool:
    if container.format.name == MATROSKA and not has_cues:
        return False  # the demuxer would read all that lies before, and keep nothing of it
    start = container.start_time or 0
    try:
        container.seek(max(start + int(container.duration or 0) - _TAIL_SECONDS * av.time_base, start))
    except MemoryError:
        raise
    except av.FFmpegError:
        return False  # a damaged index: read on from the head instead
    return True


def _video_facts(stream: VideoStream, head: _Head, tail: _Tail) -> VideoFacts:
    tick = as_fraction(stream.time_base or Fraction(1, 1000))
    entries = stream.index_entries
    if stream.frames and stream.frames == len(entries):  # an index of every frame says more than a sample
        stamps = [entry.timestamp for entry in itertools.islice(entries, 100_000)]
        distances = [(later - earlier) * tick for earlier, later in itertools.pairwise(stamps) if later > earlier]
    else:
        distances = tail.frame_distances.all()
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    nominal = Fraction(1) / as_fraction(rate) if rate else Fraction(1, 25)
    usual = median(distances) if distances else nominal
    fields = head.frame is not None and head.frame.interlaced_frame and usual < nominal * Fraction(3, 4)
    if fields or abs(usual - nominal) <= tick:
        usual = nominal  # packets may be fields; stored times may be rounded, the rate is not
    odd = sum(abs(distance - usual) > max(tick, usual / 10) for distance in distances)
    width, height = stream.codec_context.width, stream.codec_context.height
    if head.frame is not None:
        width, height = head.frame.width, head.frame.height
    return VideoFacts(
        index=stream.index,
        codec=codec_name(stream),
        width=width,
        height=height,
        frame_seconds=usual,
        tick=tick,
        sample_aspect_ratio=as_fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1),
        variable_rate=not fields and odd > len(distances) * _VARIABLE,
        rotation=rotation_of(head.frame) if head.frame else 0,
        frames=stream.frames or None,
        language=language(stream.language),
        first_frame=head.first_frame,
    )


def _opened(stream: AudioStream) -> bool:
    """A decoder that could not be opened has forgotten what the container said: nothing of the track can be heard."""
    return bool(stream.codec_context.layout.nb_channels and stream.codec_context.sample_rate)


def _audio_facts(stream: AudioStream, head: _Head, tail: _Tail) -> AudioFacts:
    survey = tail.stamps.get(stream.index)
    return AudioFacts(
        index=stream.index,
        codec=codec_name(stream),
        channels=stream.codec_context.layout.nb_channels,
        sample_rate=stream.codec_context.sample_rate,
        language=language(stream.language),
        stamps=None if survey is None else survey.stamps(head.origin),
    )


def _promised(container: InputContainer) -> Fraction:
    """When the media ends by the container's head, on its own clock; 0 where that says nothing.

    Of other formats FFmpeg's duration is an estimate, or what their index says, which is held against the file's size.
    """
    return Fraction(container.duration or 0, av.time_base) if container.format.name == MATROSKA else Fraction(0)


def _warnings(tail: _Tail, video: VideoStream | None, promised: Fraction) -> list[str]:
    found = []
    if promised > tail.timeline.end + _LACKING_SECONDS:
        said, ends = f"{float(promised):.3f} s", f"{float(tail.timeline.end):.3f} s"
        text = f"the recording's head says that it lasts {said}, and it ends at {ends}: it may have been cut off"
        found.append(warning("recording_cut_off", text))
    if tail.timeline.discontinuities:
        count = tail.timeline.discontinuities
        found.append(warning("timestamps_joined", f"timestamps jump {count} times; the parts were joined"))
    if tail.damaged:
        found.append(warning("packets_damaged", f"{tail.damaged} packets are damaged"))
    if video is not None and video.metadata.get("alpha_mode") == "1":
        found.append(warning("alpha_dropped", "the picture's transparency is not carried over"))
    return found
