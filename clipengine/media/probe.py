"""Probing: determine the streams and the exact duration of a recording from its packets.

Containers with an index are read at their head and tail. All others (live WebM, MPEG-TS, fragmented MP4 without an
index, raw streams) are read once from start to end.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from pydantic import ValidationError

from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import warning
from clipengine.errors import RecordingTruncated, RecordingUnreadable, UnsupportedMedia
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import (
    MAX_STREAMS,
    UNTIMED,
    audio_streams,
    codec_name,
    is_audio_codec,
    keep_only,
    media_errors,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.containers.embedded_texts import read_texts
from clipengine.media.input.containers.header_splice import HeaderSplice
from clipengine.media.input.containers.matroska import cues_span, head_end
from clipengine.media.input.containers.mp4_fragments import Fragments, read_fragments
from clipengine.media.input.containers.ogg_vorbis import have_empty_packets
from clipengine.media.input.containers.stream_facts import (
    chapters,
    creation_time,
    dropped_tags,
    language,
    other_streams,
    roles,
    tags,
    title,
)
from clipengine.media.input.decoding.stream_scan import HeadScan, PacketStats
from clipengine.media.input.seeking.seek_check import SeekCheck
from clipengine.media.input.seeking.seek_index_builder import MATROSKA, SeekIndexBuilder
from clipengine.media.input.seeking.tail import Truncation, last_fragments, seek_to_tail, truncation
from clipengine.media.input.timing.frame_rate import frame_rate, median
from clipengine.media.input.timing.timeline import Timeline, as_fraction
from clipengine.media.video.rotate import rotation_of
from clipengine.recordings.containers import stated_size
from clipengine.recordings.facts import AudioFacts, SourceFacts, VideoFacts
from clipengine.recordings.seek_index import SeekIndex

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
_STATE_DURATION = (MATROSKA, "flac", "flv", "mxf")  # in the header
_MISCOUNTED_BYTES = 64  # some writers count the header twice
_LACKING_SECONDS = 1  # tolerance of the duration in the header
_MAX_SECONDS = 366 * 24 * 3600
# Formats that may have discontinuities (FFmpeg's AVFMT_TS_DISCONT).
_DISCONTINUOUS = ("mpegts", "mpeg")
_NAMED_TAGS, _TAG_CHARACTERS = 10, 30
_GIF_TRAILER = b"\x3b"  # the demuxer returns it with the last picture
_GIF_CUT_OFF = warning("recording_cut_off", "the GIF has no end mark: it may have been cut off")
_MAX_INDEXED_FRAMES = 100_000  # whose distances are compared


class ProbeResult(NamedTuple):
    """Facts of a recording, the number of bytes read, its seek index if it has one, and its text tracks."""

    facts: SourceFacts
    bytes_read: int
    seek_index: SeekIndex | None
    texts: tuple[TextTrack, ...] = ()


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
        index = _StoredIndex.read(reader)
        with open_recording(reader, index.splice) as container:
            scan = _Scan(container, reader, index)
            scan.run()
            _check_end(scan.end)
            seek_index, facts = scan.seek_index(), scan.facts()
        if not (facts.video or facts.audio):
            raise RecordingUnreadable("the recording has no media in it")
    texts = read_texts(source, facts)
    if texts:
        lost = tuple(stream for stream in facts.other_streams if stream.index not in texts)
        count = facts.other_streams_count - len(texts)
        facts = facts.model_copy(update={"other_streams": lost, "other_streams_count": count})
    return ProbeResult(facts, reader.bytes_read, seek_index, tuple(texts.values()))


class _StoredIndex(NamedTuple):
    """The parts of a recording's index that are read before it is opened."""

    fragments: Fragments | None  # of fragmented MP4
    has_cues: bool  # Matroska
    first_cluster: int | None
    stated_size: int | None  # of AVI, WAV, AIFF and ASF

    @classmethod
    def read(cls, reader: MediaReader) -> _StoredIndex:
        with media_errors(reader):
            return cls(read_fragments(reader), cues_span(reader) is not None, head_end(reader), stated_size(reader))

    @property
    def timed_fragments(self) -> Fragments | None:
        """The fragments, if the file has an index of their times: then only its header need be opened."""
        return self.fragments if self.fragments is not None and self.fragments.times else None

    @property
    def splice(self) -> HeaderSplice | None:
        found = self.timed_fragments
        return None if found is None else HeaderSplice(found.head_end, found.head_end, b"")


class _Scan:
    """Reads the head of a recording and the rest of it, or only its tail if it has an index."""

    def __init__(self, container: InputContainer, reader: MediaReader, index: _StoredIndex) -> None:
        self._container = container
        self._reader = reader
        self._index = index
        self._name = container.format.name
        self._video, self._audio = video_stream(container), audio_streams(container)
        self._streams: list[Stream] = [*([self._video] if self._video else []), *self._audio]
        if not self._streams:
            _raise_undecodable(container)
        self._truncation = truncation(self._streams, reader.size)
        keep_only(container, self._streams)
        self._head = HeadScan(read_packets(container, self._streams, reader), self._video, self._audio)
        if self._truncation is not None and self._video is not None and self._head.frame is None:
            raise RecordingTruncated(self._truncation.text(reader.size))
        timeline = Timeline(self._head.origin, joins_discontinuities=self._name in _DISCONTINUOUS)
        self.stats = PacketStats(timeline, self._streams)
        first = self._streams[0]
        self._index_builder = SeekIndexBuilder(self._name, first, timeline, index.fragments, index.first_cluster)
        self._seek_check = SeekCheck(first)

    def run(self) -> None:
        for packet in filter(self._is_whole, self._head.packets):
            self.stats.add(packet)
            self._index_builder.add(packet)
        for packet in filter(self._is_whole, self._following()):
            self.stats.add(packet)
            self._index_builder.add(packet)
            self._seek_check.add(packet)

    def _following(self) -> Iterator[Packet[Any]]:
        """Return the packets after the head: of the tail if it can be found, else of the whole rest."""
        fragments = self._index.timed_fragments
        if fragments is not None:
            self.stats.skip()
            return last_fragments(self._reader, fragments, self._streams)
        until = None if self._truncation is None else self._truncation.whole_until
        is_indexed = self._name in _INDEXED and self._container.duration
        if is_indexed and seek_to_tail(self._container, self._index.has_cues, until):
            self.stats.skip()
            return read_packets(self._container, self._streams, self._reader)
        self._reader.expect([(0, self._reader.size)])
        return self._head.demuxer

    def _is_whole(self, packet: Packet[Any]) -> bool:
        """Return False for a packet from which on media of a truncated recording is missing."""
        if self._truncation is None:
            return True
        time = packet_time(packet) if packet.dts is None else packet.dts * as_fraction(packet.time_base)
        return time is None or time < self._truncation.whole_until

    @property
    def end(self) -> Fraction:
        """The end of the recording, in recording time, or of the part of it in which all streams are whole."""
        end = self.stats.timeline.end
        return end if self._truncation is None else min(end, self._truncation.whole_until - self._head.origin)

    def facts(self) -> SourceFacts:
        """Return the facts of the recording. Call it once, after `run`."""
        audio = tuple(_audio_facts(stream, self._head, self.stats) for stream in self._audio if _opened(stream))
        video = _video_facts(self._video, self._head, self.stats) if self._video else None
        held = {track.index for track in audio} | ({video.index} if video else set())
        others, others_count = other_streams(self._container, held)
        # The index states the missing part more exactly than the header.
        stated_end = Fraction(0) if self._truncation else _stated_end(self._container, self._head.origin)
        stated_bytes = None if self._truncation else self._index.stated_size
        return SourceFacts(
            container=self._name.split(",")[0],
            origin=self._head.origin,
            duration=self.end,
            video=video,
            audio=audio,
            seekable=self._is_seekable(),
            warnings=(
                *_warnings(self.stats, self._video, stated_end),
                *_truncation_warnings(self._truncation, self._reader.size, self.end),
                *_size_warnings(stated_bytes, self._reader.size, self.end),
                *([_GIF_CUT_OFF] if self._name == "gif" and not self.stats.last_data.endswith(_GIF_TRAILER) else []),
                *_rate_warnings(self._name, video),
                *_tag_warnings(dropped_tags(self._container, self._video)),
            ),
            other_streams=others,
            other_streams_count=others_count,
            chapters=len(self._container.chapters()),
            chapter_list=chapters(self._container, self._head.origin),
            creation_time=creation_time(self._container),
            tags=tags(self._container),
            header_changes=self.stats.headers.found,
        )

    def seek_index(self) -> SeekIndex | None:
        """Return the seek index, or None if the recording needs none or must be read from its start."""
        return None if self.stats.headers.overflows else self._index_builder.build()

    def _is_seekable(self) -> bool:
        """Return True if packets have the same times after a seek as when they are read from the start."""
        if self.stats.timeline.discontinuities or self._name in UNTIMED or self.stats.headers.overflows:
            return False
        if self._name == "ogg" and have_empty_packets(self._head.packets, self._reader):
            return False
        return self._seek_check.passes(self._container, self._reader)


def _check_end(end: Fraction) -> None:
    """Raise RecordingUnreadable if the end of the recording is implausible."""
    if end <= 0:
        raise RecordingUnreadable("the recording has no media in it")
    if end > _MAX_SECONDS:
        raise RecordingUnreadable(f"the recording's timestamps are damaged: they reach to {float(end):g} s")


def _raise_undecodable(container: InputContainer) -> NoReturn:
    """Raise UnsupportedMedia if the recording has audio in a codec that is not allowed, else RecordingUnreadable."""
    for stream in container.streams.audio[:MAX_STREAMS]:
        if not is_audio_codec(codec_name(stream)):
            raise UnsupportedMedia(f"audio codec {codec_name(stream)} is not supported")
    raise RecordingUnreadable("the recording has no video and no audio that can be decoded")


def _video_facts(stream: VideoStream, head: HeadScan, stats: PacketStats) -> VideoFacts:
    context, frame = stream.codec_context, head.frame
    tick = as_fraction(stream.time_base or Fraction(1, 1000))
    rate = frame_rate(
        _frame_distances(stream, stats, tick),
        _nominal_frame_seconds(stream),
        tick,
        interlaced=frame is not None and frame.interlaced_frame,
    )
    width, height = (context.width, context.height) if frame is None else (frame.width, frame.height)
    return VideoFacts(
        index=stream.index,
        codec=codec_name(stream),
        width=width,
        height=height,
        frame_seconds=rate.frame_seconds,
        tick=tick,
        sample_aspect_ratio=as_fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1),
        variable_rate=rate.variable,
        rotation=rotation_of(frame) if frame else 0,
        frames=stream.frames or stats.frames,
        language=language(stream.language),
        title=title(stream),
        roles=roles(stream),
        first_frame=head.first_frame,
        last_frame=stats.last_frame,
        decoding_times=head.decoding_times,
        largest=stats.largest,
    )


def _frame_distances(stream: VideoStream, stats: PacketStats, tick: Fraction) -> Counter[Fraction]:
    """Count the distances of all frames from the index if it has every frame, else of the packets read.

    The index has decoding times, which may be far from even although the presentation times are.
    """
    entries, shown = stream.index_entries, stats.frame_distances.shown()
    if not stream.frames or stream.frames != len(entries) or not _alike(shown, stats.frame_distances.decoded(), tick):
        return shown
    stamps = [entry.timestamp for entry in itertools.islice(entries, _MAX_INDEXED_FRAMES)]
    ticks = Counter(later - earlier for earlier, later in itertools.pairwise(stamps) if later > earlier)
    return Counter({distance * tick: count for distance, count in ticks.items()})


def _alike(shown: Counter[Fraction], decoded: Counter[Fraction], tick: Fraction) -> bool:
    """Return True if frames are usually decoded at the same distances as they are shown."""
    if not (shown and decoded):
        return False
    usual = median(shown)
    return abs(usual - median(decoded)) <= max(tick, usual / 10)


def _nominal_frame_seconds(stream: VideoStream) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return Fraction(1) / as_fraction(rate) if rate else Fraction(1, 25)


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
        title=title(stream),
        roles=roles(stream),
        stamps=None if analyzer is None else analyzer.stamps(head.origin),
        start=head.start_of(stream),
    )


def _stated_end(container: InputContainer, origin: Fraction) -> Fraction:
    """Return the end of the media stated in the header, in recording time, or 0 if unknown.

    For other formats, the duration is an estimate or comes from the index, which is checked too.
    """
    if container.format.name not in _STATE_DURATION or not container.duration:
        return Fraction(0)
    return Fraction(container.duration, av.time_base) - origin


def _rate_warnings(format_name: str, video: VideoFacts | None) -> Iterator[str]:
    if format_name in UNTIMED and video is not None:
        yield warning("nominal_rate", f"the recording has no timestamps; {video.fps:g} frames a second are assumed")


def _tag_warnings(names: list[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - _NAMED_TAGS} more" if len(names) > _NAMED_TAGS else ""
        listed = ", ".join(each[:_TAG_CHARACTERS] for each in names[:_NAMED_TAGS])
        yield warning("tags_dropped", f"tags of the recording are not carried over: {listed}{more}")


def _truncation_warnings(found: Truncation | None, size: int, end: Fraction) -> Iterator[str]:
    if found is not None:
        yield warning("recording_cut_off", f"{found.text(size)}: it was cut off at {float(end):.3f} s")


def _size_warnings(stated: int | None, size: int, end: Fraction) -> Iterator[str]:
    if stated is not None and stated > size + _MISCOUNTED_BYTES:
        text = f"the recording has {size} bytes, and its header states {stated}: it was cut off at {float(end):.3f} s"
        yield warning("recording_cut_off", text)


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
