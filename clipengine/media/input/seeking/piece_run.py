"""A run of pieces that is open: one demuxer over their bytes, and its packets on the recording's timeline."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import (
    audio_streams,
    keep_only,
    open_recording,
    read_packets,
    seek,
    video_stream,
)
from clipengine.media.input.containers.id3_clock import id3_clock
from clipengine.media.input.containers.mp4_fragments import fragment_before
from clipengine.media.input.seeking.piece_source import PieceSource
from clipengine.media.input.timing.keyframe_times import with_keyframe_times
from clipengine.media.input.timing.packet_timestamps import PacketTimestamps, TimedPacket
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.piece_seek_index import PlacedRun
from clipengine.recordings.pieces import MAX_AUDIO_STREAMS, stream_number
from clipengine.recordings.timeline.run_placing import near

# Small, so that little is read of the pieces after the clip, which may be missing.
_BLOCK_BYTES = 4 * 1024
# A demuxer notices that the counters of a new piece start again when it has read this many packets of a stream less.
_LATE_PACKETS = 2
_MOST_WAITING = 1000  # packets of all streams, if that stream has no more
_SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")  # timestamps are the same after a seek


class OpenRun:
    """Opens the pieces `first` to `last` of a run, to read the streams with these `numbers`.

    `certain` are the bytes of the pieces whose reading is certain. If `inside` is a recording time, for a run of one
    piece, reading begins near that time if the container allows it; the caller must check whether it is early enough.
    """

    def __init__(
        self,
        reader: MediaReader,
        run: PlacedRun,
        first: int,
        last: int,
        numbers: Collection[int],
        *,
        certain: int,
        inside: Fraction | None = None,
    ) -> None:
        self._run = run
        self._starts = run.pieces[first].start
        self._source = PieceSource(reader.source, run, first, last)
        self._all = reader
        self._stack = ExitStack()
        if inside is not None:
            self._source = self._from_fragment(inside - run.shift)
        self._reader = self._stack.enter_context(MediaReader(self._source, block_bytes=_BLOCK_BYTES))
        self._stack.callback(self._count)
        self._container = self._stack.enter_context(open_recording(self._reader, self._source.splice))
        self.streams = {number: stream for number, stream in self._numbered() if number in numbers}
        keep_only(self._container, list(self.streams.values()))
        # After a seek, the place of the certain bytes is known from the first packet.
        self._certain = certain if inside is not None and self._seek(inside) else 0
        if not self._certain:
            self._reader.expect(self._source.certain(certain))

    def _from_fragment(self, time: Fraction) -> PieceSource:
        """Return the source without the fragments before a container time if the run is fragmented MP4."""
        with MediaReader(self._source, block_bytes=_BLOCK_BYTES) as reader:
            found = fragment_before(reader, time)
            self._all.bytes_read += reader.bytes_read
        if found is None:
            return self._source
        return PieceSource(self._all.source, self._run.from_fragment(*found), 0, 0)

    def _seek(self, inside: Fraction) -> bool:
        """Seek to a keyframe at or before a recording time. Return False if the position is the start."""
        if self._source.splice is not None or self._container.format.name not in _SEEKABLE or not self.streams:
            return False
        stream = next(iter(self.streams.values()))
        time = inside - self._run.shift - id3_clock(self._container)
        if seek(self._container, int(time / as_fraction(stream.time_base or 1) // 1), stream=stream):
            return True
        self._container.seek(self._container.start_time or 0)
        return False

    def _numbered(self) -> Iterator[tuple[int, Stream]]:
        """Yield the streams with their numbers in the facts of the recording."""
        track = self._run.track
        if (video := video_stream(self._container)) is not None:
            yield stream_number(track), video
        for number, stream in enumerate(audio_streams(self._container)[:MAX_AUDIO_STREAMS]):
            yield stream_number(track, number), stream

    @property
    def is_stream(self) -> bool:
        """False for MP3, whose demuxer takes the ID3 tag of a later piece for a part of a frame."""
        return self._container.format.name != "mp3"

    def close(self) -> None:
        self._stack.close()

    def _count(self) -> None:
        """Add the bytes that were read from the pieces to the `bytes_read` of the recording's reader."""
        self._reader.release()
        self._all.bytes_read += self._reader.bytes_read
        self._reader.bytes_read = 0

    def packets(self) -> Iterator[TimedPacket]:
        """Yield the packets with their times, in file order."""
        is_mp4 = self._container.format.name.startswith("mov")
        return with_keyframe_times(self._packets()) if is_mp4 else self._packets()

    def _packets(self) -> Iterator[TimedPacket]:
        if not self.streams:
            return
        numbers = {stream.index: number for number, stream in self.streams.items()}
        stamps = PacketTimestamps(self._run.shift + id3_clock(self._container))
        last = dict.fromkeys(numbers, self._starts)
        read = read_packets(self._container, list(self.streams.values()), self._reader)
        for packet in _forgiven(filter(self._source.has, read), self._source.ends):
            if self._certain and packet.pos is not None:
                self._reader.expect([(packet.pos, packet.pos + self._certain)])
                self._certain = 0
            found = stamps.of(packet)
            if found is None:
                continue
            index = packet.stream_index
            time = near(found[0], last[index])
            last[index] = time
            yield TimedPacket(packet, time, found[1] + time - found[0], numbers[index])


def _forgiven(packets: Iterable[Packet[Any]], ends: Sequence[int]) -> Iterator[Packet[Any]]:
    """Yield the packets, without the damage flag if only a border of pieces has caused it.

    The continuity counters of MPEG-TS start again in each piece, which a demuxer takes for lost packets.
    """
    waiting: deque[Packet[Any]] = deque()
    for packet in packets:
        waiting.append(packet)
        while waiting and (
            not waiting[0].is_corrupt or len(waiting) > _MOST_WAITING or len(_following(waiting)) == _LATE_PACKETS
        ):
            after = _following(waiting) if waiting[0].is_corrupt else []
            first = waiting.popleft()
            yield copy_of(first) if any(_piece(each, ends) != _piece(first, ends) for each in after) else first
    yield from waiting


def _following(waiting: deque[Packet[Any]]) -> list[Packet[Any]]:
    """Return the next packets of the stream to which the first waiting packet belongs."""
    index = waiting[0].stream_index
    return list(islice((each for each in islice(waiting, 1, None) if each.stream_index == index), _LATE_PACKETS))


def _piece(packet: Packet[Any], ends: Sequence[int]) -> int:
    return bisect_right(ends, packet.pos) if packet.pos is not None else 0


def copy_of(packet: Packet[Any]) -> Packet[Any]:
    """Return a packet with the same data and times, without flags and side data."""
    copied: Packet[Any] = av.Packet(bytes(packet))
    copied.stream, copied.time_base = packet.stream, packet.time_base
    copied.pts, copied.dts, copied.duration = packet.pts, packet.dts, packet.duration
    copied.is_keyframe = packet.is_keyframe
    return copied
