"""Probing: determine the streams and the exact duration of a recording from its packets.

Containers with an index are read at their head and tail. All others (live WebM, MPEG-TS, fragmented MP4 without an
index, raw streams) are read once from start to end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from statistics import median
from typing import Any, NamedTuple, NoReturn

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
from clipengine.errors import RecordingTruncated, RecordingUnreadable, UnsupportedMedia
from clipengine.media.input.container import (
    MAX_STREAMS,
    UNTIMED,
    audio_streams,
    codec_name,
    is_audio_codec,
    keep_only,
    media_errors,
    open_recording,
    read_packets,
    video_stream,
)
from clipengine.media.input.header_splice import HeaderSplice, splice_at
from clipengine.media.input.matroska import cues_span, head_end
from clipengine.media.input.mp4_fragments import Fragments, read_fragments
from clipengine.media.input.ogg_vorbis import have_empty_packets
from clipengine.media.input.seek_check import SeekCheck
from clipengine.media.input.seek_index_builder import MATROSKA, SeekIndexBuilder
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.input.stream_facts import creation_time, language, other_streams
from clipengine.media.input.stream_scan import HeadScan, PacketStats
from clipengine.media.input.timeline import Timeline, as_fraction
from clipengine.media.video.rotate import rotation_of

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
_TAIL_SECONDS = 2
_LACKING_SECONDS = 1  # tolerance of the duration in the header
_MAX_SECONDS = 366 * 24 * 3600
# Formats that may have discontinuities (FFmpeg's AVFMT_TS_DISCONT).
_DISCONTINUOUS = ("mpegts", "mpeg")
_VARIABLE = Fraction(1, 5)  # minimum part of unusual frame distances of a variable frame rate


class ProbeResult(NamedTuple):
    """Facts of a recording, the number of bytes read, and its seek index if it has one."""

    facts: SourceFacts
    bytes_read: int
    seek_index: SeekIndex | None


def probe(source: ByteSource) -> ProbeResult:
    """Probe a recording. Raises RecordingUnreadable, RecordingTruncated or UnsupportedMedia."""
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
        indexed = fragments is not None and bool(fragments.times)
        head_only = HeaderSplice(fragments.head_end, fragments.head_end, b"") if fragments and indexed else None
        with open_recording(reader, head_only) as container, ExitStack() as stack:
            video, audio = video_stream(container), audio_streams(container)
            streams: list[Stream] = [*([video] if video else []), *audio]
            if not streams:
                _raise_undecodable(container)
            _check_not_truncated(streams, source.size)
            keep_only(container, streams)
            name = container.format.name
            head = HeadScan(read_packets(container, streams, reader), video, audio)
            stats = PacketStats(Timeline(head.origin, joins_discontinuities=name in _DISCONTINUOUS), audio)
            index_builder = SeekIndexBuilder(name, streams[0], stats.timeline, fragments, first_cluster)
            seek_check = SeekCheck(streams[0])
            for packet in head.packets:
                stats.add(packet)
                index_builder.add(packet)
            rest = head.demuxer
            if fragments and indexed:
                stats.skip()
                rest = _last_fragments(stack, reader, fragments, streams)
            elif name in _INDEXED and container.duration and _seek_to_tail(container, has_cues):
                stats.skip()
                rest = read_packets(container, streams, reader)
            else:
                reader.expect([(0, source.size)])
            for packet in rest:
                stats.add(packet)
                index_builder.add(packet)
                seek_check.add(packet)
            _check_end(stats.timeline.end)
            seek_index = index_builder.build()
            audio_facts = tuple(_audio_facts(stream, head, stats) for stream in audio if _opened(stream))
            video_facts = _video_facts(video, head, stats) if video else None
            held = {track.index for track in audio_facts} | ({video.index} if video else set())
            others, others_count = other_streams(container, held)
            facts = SourceFacts(
                container=name.split(",")[0],
                origin=head.origin,
                duration=stats.timeline.end,
                video=video_facts,
                audio=audio_facts,
                seekable=stats.timeline.discontinuities == 0
                and name not in UNTIMED
                and not (name == "ogg" and have_empty_packets(head.packets, reader))
                and seek_check.passes(container, reader),
                warnings=(
                    *_warnings(stats, video, _stated_end(container) - head.origin),
                    *_rate_warnings(name, video_facts),
                ),
                other_streams=others,
                other_streams_count=others_count,
                chapters=len(container.chapters()),
                creation_time=creation_time(container),
            )
        if not (facts.video or facts.audio):
            raise RecordingUnreadable("the recording has no media in it")
        return ProbeResult(facts, reader.bytes_read, seek_index)


def _check_end(end: Fraction) -> None:
    """Raise RecordingUnreadable if the end of the recording is implausible."""
    if end <= 0:
        raise RecordingUnreadable("the recording has no media in it")
    if end > _MAX_SECONDS:
        raise RecordingUnreadable(f"the recording's timestamps are damaged: they reach to {float(end):g} s")


def _last_fragments(
    stack: ExitStack, reader: MediaReader, fragments: Fragments, streams: Sequence[Stream]
) -> Iterator[Packet[Any]]:
    """Yield the packets of the last two fragments, because each track may have separate fragments."""
    offset = fragments.offsets[-2:][0]
    container = stack.enter_context(open_recording(reader, splice_at("mov", fragments.head_end, offset)))
    kept = [container.streams[stream.index] for stream in streams]
    keep_only(container, kept)
    return read_packets(container, kept, reader)


def _raise_undecodable(container: InputContainer) -> NoReturn:
    """Raise UnsupportedMedia if the recording has audio in a codec that is not allowed, else RecordingUnreadable."""
    for stream in container.streams.audio[:MAX_STREAMS]:
        if not is_audio_codec(codec_name(stream)):
            raise UnsupportedMedia(f"audio codec {codec_name(stream)} is not supported")
    raise RecordingUnreadable("the recording has no video and no audio that can be decoded")


def _check_not_truncated(streams: list[Stream], size: int) -> None:
    """Raise RecordingTruncated if the index refers to bytes after the end of the recording."""
    for stream in streams:
        entries = stream.index_entries
        if len(entries) == 0:
            continue
        last = max((entries[i] for i in range(max(0, len(entries) - 50), len(entries))), key=lambda e: e.pos + e.size)
        if last.pos + last.size > size:
            raise RecordingTruncated(
                f"the recording has {size} bytes, and its index names media up to byte {last.pos + last.size}"
            )


def _seek_to_tail(container: InputContainer, has_cues: bool) -> bool:
    if container.format.name == MATROSKA and not has_cues:
        return False  # without Cues the demuxer would read everything before
    start = container.start_time or 0
    try:
        container.seek(max(start + int(container.duration or 0) - _TAIL_SECONDS * av.time_base, start))
    except MemoryError:
        raise
    except av.FFmpegError:
        return False  # the index is damaged: continue from the head
    return True


def _video_facts(stream: VideoStream, head: HeadScan, stats: PacketStats) -> VideoFacts:
    tick = as_fraction(stream.time_base or Fraction(1, 1000))
    entries = stream.index_entries
    if stream.frames and stream.frames == len(entries):  # the index has every frame
        stamps = [entry.timestamp for entry in itertools.islice(entries, 100_000)]
        distances = [(later - earlier) * tick for earlier, later in itertools.pairwise(stamps) if later > earlier]
    else:
        distances = stats.frame_distances.all()
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    nominal = Fraction(1) / as_fraction(rate) if rate else Fraction(1, 25)
    usual = median(distances) if distances else nominal
    fields = head.frame is not None and head.frame.interlaced_frame and usual < nominal * Fraction(3, 4)
    if fields or abs(usual - nominal) <= tick:
        usual = nominal  # packets may be fields, and stored times may be rounded
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
    """Return True if the stream's decoder could be opened; otherwise its parameters are reset."""
    return bool(stream.codec_context.layout.nb_channels and stream.codec_context.sample_rate)


def _audio_facts(stream: AudioStream, head: HeadScan, stats: PacketStats) -> AudioFacts:
    analyzer = stats.stamps.get(stream.index)
    return AudioFacts(
        index=stream.index,
        codec=codec_name(stream),
        channels=stream.codec_context.layout.nb_channels,
        sample_rate=stream.codec_context.sample_rate,
        language=language(stream.language),
        stamps=None if analyzer is None else analyzer.stamps(head.origin),
    )


def _stated_end(container: InputContainer) -> Fraction:
    """Return the end of the media stated in the header, in container time, or 0 if unknown.

    For formats other than Matroska, the duration is an estimate or comes from the index, which is checked too.
    """
    return Fraction(container.duration or 0, av.time_base) if container.format.name == MATROSKA else Fraction(0)


def _rate_warnings(format_name: str, video: VideoFacts | None) -> Iterator[str]:
    if format_name in UNTIMED and video is not None:
        yield warning("nominal_rate", f"the recording has no timestamps; {video.fps:g} frames a second are assumed")


def _warnings(stats: PacketStats, video: VideoStream | None, stated_end: Fraction) -> list[str]:
    found = []
    if stated_end > stats.timeline.end + _LACKING_SECONDS:
        stated, ends = f"{float(stated_end):.3f} s", f"{float(stats.timeline.end):.3f} s"
        text = f"the recording's header states a duration of {stated}, but it ends at {ends}: it may have been cut off"
        found.append(warning("recording_cut_off", text))
    if stats.timeline.discontinuities:
        count = stats.timeline.discontinuities
        found.append(warning("timestamps_joined", f"timestamps jump {count} times; the parts were joined"))
    if stats.damaged:
        found.append(warning("packets_damaged", f"{stats.damaged} packets are damaged"))
    if video is not None and video.metadata.get("alpha_mode") == "1":
        found.append(warning("alpha_dropped", "the video's transparency is not carried over"))
    return found
