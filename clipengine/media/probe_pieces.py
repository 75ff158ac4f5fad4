"""Probing of a recording of many files: the first and the last piece of each run, never all bytes."""

from __future__ import annotations

import math
import struct
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.errors import RecordingError, RecordingUnreadable
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import (
    audio_streams,
    is_presented,
    keep_only,
    open_recording,
    read_packets,
    video_stream,
)
from clipengine.media.input.containers.id3_clock import id3_clock
from clipengine.media.input.seeking.piece_source import PieceSource
from clipengine.media.input.seeking.tail import seek_to_tail
from clipengine.media.input.timing.packet_timestamps import PacketTimestamps
from clipengine.media.input.timing.timeline import Timeline, as_fraction
from clipengine.media.probe import ProbeResult, probe
from clipengine.recordings.containers import boxes
from clipengine.recordings.facts import PIECES, AudioFacts, SourceFacts, VideoFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex, PlacedPiece, PlacedRun
from clipengine.recordings.pieces import MAX_AUDIO_STREAMS, TrackKind, stream_number
from clipengine.recordings.timeline.folder_files import Mark
from clipengine.recordings.timeline.run_placing import Extent, RunScan

Size = tuple[int, int]
_NOTHING = Extent(None, None, None, None)
_MARK = struct.Struct(">16sQqq")
_LARGE_BYTES = 3 << 20
_HEAD_PACKETS = 200  # more than frames are reordered, in which the first one is
_END_PACKETS = 50  # of each stream; at most 16 frames are reordered
_TIMESTAMPS = "timed_id3"  # beside audio alone; beside video, such a stream has descriptions
_RAW_CONTAINERS = ("aac", "mp3", "ac3", "eac3")  # without timestamps


class PieceProbe(NamedTuple):
    """The facts, without the duration, the scan of each run, and the first presentation time of each track.

    `marks` has the mark of each run of files, or None. If `facts` is None, no file could be read.
    """

    facts: SourceFacts | None
    scans: list[RunScan]
    origins: list[Fraction | None]
    bytes_read: int
    marks: Sequence[Mark | None] = ()


def probe_pieces(source: ByteSource, index: PieceSeekIndex) -> PieceProbe:
    """Probe the pieces of the index: the first and the last piece of each run. Raises RecordingError."""
    heads = [_head(source, next(index.runs(track))) for track in range(len(index.kinds))]
    scanned = [_scan(source, run) for track in range(len(index.kinds)) for run in index.runs(track)]
    facts = _facts(index.kinds, [head.facts for head in heads], [size for _, sizes, _ in scanned for size in sizes])
    read = sum(head.bytes_read for head in heads) + sum(count for _, _, count in scanned)
    origins: list[Fraction | None] = [
        _origin(source, next(index.runs(track)), head) for track, head in enumerate(heads)
    ]
    return PieceProbe(facts, [scan for scan, _, _ in scanned], origins, read)


def scan_pieces(
    source: ByteSource, index: PieceSeekIndex, *, seconds: float = math.inf, skips_unreadable: bool = False
) -> tuple[list[RunScan], set[Size]]:
    """Return the scans of pieces of a recording, and the sizes of their pictures.

    After `seconds`, only the runs that were scanned by then are returned, at least one. With `skips_unreadable`, a
    piece that cannot be read has no extent. Raises RecordingError.
    """
    until = time.monotonic() + seconds
    scanned = []
    for run in (run for track in range(len(index.kinds)) for run in index.runs(track)):
        try:
            scanned.append(_scan(source, run))
        except RecordingError:
            if not skips_unreadable:
                raise
            scanned.append((RunScan(_NOTHING, _NOTHING), set(), 0))
        if time.monotonic() >= until:
            break
    return [scan for scan, _, _ in scanned], {size for _, sizes, _ in scanned for size in sizes}


def probe_files(source: ByteSource, index: PieceSeekIndex) -> PieceProbe:
    """Probe the files of a folder, each a run of the only track. A file that cannot be read has no extent.

    The facts describe the first file that can be read.
    """
    runs = list(index.runs(0))
    scanned = [_scan_file(source, run) for run in runs]
    found = next(
        (run for run, (scan, _, _, _) in zip(runs, scanned, strict=True) if scan.first.start is not None), None
    )
    if found is None:
        return PieceProbe(None, [scan for scan, _, _, _ in scanned], [None], 0, [None] * len(runs))
    head = _head(source, found)
    facts = _facts(index.kinds, [head.facts], [size for _, sizes, _, _ in scanned for size in sizes])
    read = head.bytes_read + sum(count for _, _, count, _ in scanned)
    marks = [mark for _, _, _, mark in scanned]
    return PieceProbe(facts, [scan for scan, _, _, _ in scanned], [_origin(source, found, head)], read, marks)


class _ReadPiece:
    """A source of which one piece was read: its demuxer asks for many parts, each of which would be a request."""

    remote = False

    def __init__(self, source: ByteSource, piece: PlacedPiece) -> None:
        self.size = source.size
        self._source = source
        self._offset = piece.offset
        self._data = source.read_at(piece.offset, piece.length)

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        start = offset - self._offset
        if start >= 0 and start + length <= len(self._data):
            return self._data[start : start + length]
        return self._source.read_at(offset, length, keep=keep)


def _read_at_once(source: ByteSource, piece: PlacedPiece) -> ByteSource:
    """Return a source that has the piece, unless it is large: all of it is read."""
    return _ReadPiece(source, piece) if piece.length <= _LARGE_BYTES else source


def _scan_file(source: ByteSource, run: PlacedRun) -> tuple[RunScan, set[Size], int, Mark | None]:
    try:
        source = _read_at_once(source, run.pieces[0])
        extent, sizes, read = _extent(source, run, 0, ends_only=True)
        mark = _mark(source, run)
    except RecordingError:  # it is still being written, or damaged: there is a gap
        return RunScan(_NOTHING, _NOTHING), set(), 0, None
    return RunScan(extent, extent), sizes, read, mark


def _mark(source: ByteSource, run: PlacedRun) -> Mark | None:
    """Return the box that MediaMTX writes into a file: `moov/udta/mtxi`."""
    with MediaReader(PieceSource(source, run, 0, 0)) as reader:
        content = _inner(reader, (b"moov", b"udta", b"mtxi"))
        if content is None:
            return None
        reader.seek(content + 4)  # after version and flags
        data = reader.read(_MARK.size)
    if len(data) < _MARK.size:
        return None
    stream, number, dts, ntp = _MARK.unpack(data)
    return Mark(stream.hex(), number, dts, ntp) if number < 1 << 62 else None


def _inner(reader: MediaReader, path: tuple[bytes, ...]) -> int | None:
    """Return the offset of the content of a box in a box, or None."""
    start, end = 0, None
    for kind in path:
        found = next(((content, last) for each, content, last in boxes(reader, start, end) if each == kind), None)
        if found is None:
            return None
        start, end = found
    return start


def _head(source: ByteSource, run: PlacedRun) -> ProbeResult:
    """Return the facts of a track from its first piece."""
    return probe(PieceSource(source, run, 0, 0))


def _origin(source: ByteSource, run: PlacedRun, head: ProbeResult) -> Fraction | None:
    """Return the first presentation time of a track, in container time."""
    if head.facts.container not in _RAW_CONTAINERS:
        return head.facts.origin
    pieces = PieceSource(source, run, 0, 0)
    with MediaReader(pieces) as reader, open_recording(reader, pieces.splice) as container:
        return head.facts.origin + id3_clock(container)


def _scan(source: ByteSource, run: PlacedRun) -> tuple[RunScan, set[Size], int]:
    """Return the scan of a run, the sizes of its pictures, and the number of bytes read."""
    first, sizes, read = _extent(_read_at_once(source, run.pieces[0]), run, 0)
    if len(run.pieces) == 1:
        return RunScan(first, first), sizes, read
    last, _, more = _extent(_read_at_once(source, run.pieces[1]), run, 1)
    return RunScan(first, last), sizes, read + more


def _extent(
    source: ByteSource, run: PlacedRun, number: int, *, ends_only: bool = False
) -> tuple[Extent, set[Size], int]:
    """Return the extent of a piece. With `ends_only`, only its first and last packets count.

    The middle of a large one is then not read.
    """
    starts: dict[bool, Fraction] = {}
    began: Fraction | None = None
    arrived: dict[int, Fraction] = {}  # stream -> time up to which all of it is in this piece
    ends = {is_video: Timeline(Fraction(0), joins_discontinuities=False) for is_video in (True, False)}
    pieces = PieceSource(source, run, number, number)
    with MediaReader(pieces) as reader, open_recording(reader, pieces.splice) as container:
        skips = ends_only and reader.size > _LARGE_BYTES
        if not skips:
            reader.expect([(0, reader.size)])
        video = video_stream(container)
        streams = [*([video] if video is not None else []), *audio_streams(container)]
        keep_only(container, streams)
        stamps = PacketTimestamps(id3_clock(container))
        packets = filter(pieces.has, _read(container, streams, reader, skips=skips))
        for packet in _ends_of(packets) if ends_only else packets:
            found = stamps.of(packet)
            if found is None or not is_presented(packet):
                continue
            began = found[0] if began is None else began
            is_video = isinstance(packet.stream, VideoStream)
            duration = (packet.duration or 0) * as_fraction(packet.time_base)
            # The last frame of MPEG-TS that is still written may lack its end, and is not always marked as corrupt.
            may_be_cut = packet.is_corrupt or container.format.name == "mpegts"
            until = found[1] if is_video else found[0] + (0 if may_be_cut else duration)
            arrived[packet.stream_index] = max(until, arrived.get(packet.stream_index, until))
            starts[is_video] = min(found[0], starts.get(is_video, found[0]))
            ends[is_video].add(packet.stream_index, *found, duration)
        sizes = set() if video is None else {(video.codec_context.width, video.codec_context.height)}
    known = {is_video: ends[is_video].end for is_video in starts}
    safe_end = min(arrived.values(), default=None)
    extent = Extent(starts.get(True), known.get(True), starts.get(False), known.get(False), safe_end, began)
    return extent, sizes, reader.bytes_read


def _read(
    container: InputContainer, streams: list[Stream], reader: MediaReader, *, skips: bool
) -> Iterator[Packet[Any]]:
    """Yield the packets. With `skips`, only the first and the last ones if the container can seek."""
    if not skips:
        yield from read_packets(container, streams, reader)
        return
    waiting = {stream.index for stream in streams}
    for number, packet in enumerate(read_packets(container, streams, reader)):
        yield packet
        waiting.discard(packet.stream_index)
        if not waiting and number > _HEAD_PACKETS and seek_to_tail(container, has_cues=True, whole_until=None):
            break
    else:
        return
    yield from read_packets(container, streams, reader)


def _ends_of(packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yield the first and the last packets of each stream in their order: arithmetic for all takes most of the time."""
    counts: dict[int, int] = defaultdict(int)
    lasts: dict[int, deque[tuple[int, Packet[Any]]]] = defaultdict(lambda: deque(maxlen=_END_PACKETS))
    for number, packet in enumerate(packets):
        counts[packet.stream_index] += 1
        if counts[packet.stream_index] <= _END_PACKETS:
            yield packet
        else:
            lasts[packet.stream_index].append((number, packet))
    for _, packet in sorted(chain.from_iterable(lasts.values()), key=itemgetter(0)):
        yield packet


def _facts(kinds: Iterable[TrackKind], heads: list[SourceFacts], sizes: list[Size]) -> SourceFacts:
    """Return the facts of the first video, and of the audio of all tracks, numbered over the tracks."""
    tracks = list(enumerate(zip(kinds, heads, strict=True)))
    videos = (_numbered_video(number, facts, sizes) for number, (kind, facts) in tracks if kind != "audio")
    video = next((each for each in videos if each is not None), None)
    audio = tuple(
        each for number, (kind, facts) in tracks if kind != "video" for each in _numbered_audio(number, facts)
    )
    if video is None and not audio:
        raise RecordingUnreadable("the recording has no media in it")
    warnings = tuple(dict.fromkeys(text for facts in heads for text in facts.warnings))
    stamps = 0 if heads[0].video else sum(each.codec == _TIMESTAMPS for each in heads[0].other_streams)
    return heads[0].model_copy(
        update={
            "container": PIECES,
            "other_streams": tuple(each for each in heads[0].other_streams if not stamps or each.codec != _TIMESTAMPS),
            "other_streams_count": heads[0].other_streams_count - stamps,
            "origin": Fraction(0),
            "video": video,
            "audio": audio,
            "seekable": True,
            "warnings": warnings[:100],
            "header_changes": (),
        }
    )


def _numbered_video(track: int, facts: SourceFacts, sizes: list[Size]) -> VideoFacts | None:
    if facts.video is None:
        return None
    largest = max(sizes, key=math.prod) if len(set(sizes)) > 1 else None
    found = {"index": stream_number(track), "frames": None, "last_frame": None, "largest": largest}
    return facts.video.model_copy(update=found)


def _numbered_audio(track: int, facts: SourceFacts) -> Iterator[AudioFacts]:
    for number, each in enumerate(facts.audio[:MAX_AUDIO_STREAMS]):
        yield each.model_copy(update={"index": stream_number(track, number)})
