"""Seeking: read a recording from a position at which the whole clip can be decoded.

The container's index is not trusted. A seek must land on a keyframe presented at or before the clip's start, and before
the pre-roll of audio decoders. Otherwise the seeker steps back, finally to the recording's first byte. Packets before
the clip are read but not decoded; only those since the last keyframe are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from clipengine.clips.facts import SourceFacts
from clipengine.clips.plan import CutRange
from clipengine.clips.seek_index import SeekIndex, SeekPoint
from clipengine.media.input.container import (
    audio_streams,
    keep_only,
    open_recording,
    read_packets,
    video_stream,
)
from clipengine.media.input.display_order import REORDERED_FRAMES, DisplayOrder, stores_decoding_times
from clipengine.media.input.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.header_splice import HeaderSplice, splice_at
from clipengine.media.input.packet_timestamps import PacketTimestamps, TimedPacket
from clipengine.media.input.prefetch import Prefetcher
from clipengine.media.input.source import MediaReader
from clipengine.media.input.timeline import Timeline, as_fraction

# Seconds before the clip's start to seek to, one after the other; then the start of the recording.
STEPS_BACK = (Fraction(0), Fraction(1), Fraction(5), Fraction(30), Fraction(120))
# Audio decoders need earlier packets to be exact: Opus 80 ms (RFC 7845, section 4.6), MP3 its bit reservoir, AAC and
# Vorbis the overlap of one frame.
PREROLL_SECONDS = Fraction(3, 20)
# Distance before a keyframe at which to look for audio pre-roll.
_AUDIO_SEEK_SECONDS = 4 * PREROLL_SECONDS
# Maximum distance between interleaved streams.
_SLACK_SECONDS = Fraction(3)
# After this many steps without audio before the start, the stream is assumed to have a gap.
_AUDIO_STEPS = 3
# Audio is read so far past the clip's end, because its timestamps may be late.
_LATE_SECONDS = Fraction(1, 20)
_MAX_KEPT_BYTES = 64 * 1024 * 1024
# FFmpeg's first names of formats whose demuxers can synchronise at any byte.
_BYTE_SEEKABLE = ("mpegts", "mpeg", "flv")


class _StaleSeekPoint(Exception):
    """The seek point does not match the recording."""


class Seeker:
    """Context manager that yields the packets of a clip: `seek(step)` opens the recording, `packets()` reads it.

    A further `seek` opens the recording again.
    """

    def __init__(
        self,
        reader: MediaReader,
        facts: SourceFacts,
        cut: CutRange,
        *,
        video: bool,
        audio: Sequence[int],
        seek_index: SeekIndex | None = None,
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._seek_index = seek_index
        self._seek_point: SeekPoint | None = None  # where reading started
        self._cut = cut
        self._want_video = video
        self._want_audio = frozenset(audio)  # stream indices
        self.stamps = {track.index: track.stamps for track in facts.audio}
        self._stack = ExitStack()
        self.container: InputContainer | None = None
        self.video: VideoStream | None = None
        self.audio: list[AudioStream] = []
        self.at_start = False
        self.trusts_keyframes = True  # False: decode from the recording's first packet
        self.has_field_packets = False  # a frame may consist of two packets, one per field
        self.resume_times: dict[int, Fraction] = {}  # stream index -> earliest time after the clip
        self.on_screen: Fraction | None = None  # pts of the frame on screen at the clip's start
        self._kept: list[TimedPacket] = []
        self._keyframe: Fraction | None = None  # set if video was found but audio was not
        self._lacks_gop = False  # the keyframe was found, but not the one before it
        codec = facts.video.codec if video and facts.video else ""
        self.decoding_times = stores_decoding_times(facts.container, codec)  # packets have dts only
        self._order: DisplayOrder | None = None
        self._demuxer: Iterator[TimedPacket] = iter(())
        self._prefetcher: Prefetcher | None = None
        self._decoder_state: DecoderState | None = None  # None if the decoder needs none

    def __enter__(self) -> Seeker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def seek(self, step: int = 0) -> int:
        """Seek with `step` (an index into STEPS_BACK) or a later one, and return the step that succeeded."""
        tried: SeekPoint | None = None
        while True:
            back = STEPS_BACK[step] if step < len(STEPS_BACK) else None
            self._seek_point = None if back is None else self._seek_point_before(self._cut.start - back)
            if self._seek_point is not None and self._seek_point == tried:  # already tried
                step += 1
                continue
            tried = self._seek_point
            self.at_start = not self._open_at(back)
            try:
                found = self._read_to_start(step) or (self._seek_audio() and self._read_to_start(step))
            except _StaleSeekPoint:
                self._seek_index = tried = None
                continue
            if found or self.at_start:
                return step
            step += 1

    def packets(self) -> Iterator[TimedPacket]:
        """Yield the packets from the seek position to the clip's end, in file order."""
        yield from self._in_order(self._kept)
        self._kept = []
        yield from self._in_order(self._demuxer)

    def _in_order(self, packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
        for timed in packets:
            if self._order is not None and timed.packet.stream is self.video:
                self._order.add(timed.packet)
            yield timed

    def time_of(self, frame: av.VideoFrame | av.AudioFrame, stream: Stream) -> Fraction | None:
        """Return a frame's presentation time in recording time. Call it once per frame, in decoder order."""
        stamp = frame.pts
        if self._order is not None and isinstance(frame, av.VideoFrame):
            stamp = self._order.stamp_of(frame)
        if stamp is None:
            return None
        time = stamp * as_fraction(stream.time_base or 1)  # flushed frames have no time base
        return time - self._facts.origin if self._facts.seekable else time

    def _seek_point_before(self, time: Fraction) -> SeekPoint | None:
        if self._seek_index is None or not self.trusts_keyframes:
            return None
        return self._seek_index.before(time if self._want_video else time - PREROLL_SECONDS)

    def _open_at(self, back: Fraction | None) -> bool:
        """Open the recording at the seek point or `back` seconds before the clip; return False if at its start."""
        seek_point, seek_index = self._seek_point, self._seek_index
        positioned = False
        if seek_point is not None and seek_index is not None:
            splice = splice_at(self._facts.container, seek_index.head_bytes, seek_point.offset)
            self._open(splice)
            positioned = splice is not None or self._seek_byte(seek_point.offset)
        else:
            self._open()
            seekable = self._facts.seekable and self.trusts_keyframes
            positioned = back is not None and seekable and self._seek_time(self._cut.start - back)
        if not positioned:
            self._seek_point = None
        self._prefetcher = Prefetcher(self._reader, self._facts, self._cut, self._streams())
        self._prefetcher.start(self._cut.start - back if positioned and back is not None else Fraction(0))
        return positioned

    def _open(self, splice: HeaderSplice | None = None) -> None:
        """Open the recording and configure its decoder from the stream's first packet if needed."""
        self._stack.close()
        self.container = self._stack.enter_context(open_recording(self._reader, splice))
        self.video = video_stream(self.container) if self._want_video else None
        if self.video is not None and needs_first_packet(self.video):
            if self._decoder_state is None:
                self._stack.close()
                self._decoder_state = read_decoder_state(self._reader)
                if self._decoder_state.palette_changes:
                    self.trusts_keyframes = False
                self._open(splice)
                return
            self._decoder_state.configure(self.video)
        self.audio = [stream for stream in audio_streams(self.container) if stream.index in self._want_audio]
        keep_only(self.container, self._streams())

    def _streams(self) -> list[Any]:
        return [*([self.video] if self.video else []), *self.audio]

    def _seek_time(self, time: Fraction) -> bool:
        """Seek to a keyframe at or before the recording time. Return False if the position is the start."""
        assert self.container is not None
        if time <= 0:
            return False
        stream = self.video or (self.audio[0] if self.audio else None)
        if self.video is None:
            time = max(Fraction(0), time - PREROLL_SECONDS)
        assert stream is not None
        ticks = int((time + self._facts.origin) / as_fraction(stream.time_base or 1) // 1)
        known, found = -1, len(stream.index_entries)
        try:
            # Seeking may have loaded a fragment, which leaves other streams too early: repeat.
            while known != found:
                self.container.seek(ticks, stream=stream)
                known, found = found, len(stream.index_entries)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._open()
            return False
        return True

    def _seek_byte(self, offset: int) -> bool:
        assert self.container is not None
        if self._facts.container not in _BYTE_SEEKABLE:
            return False
        try:
            self.container.seek(offset, unsupported_byte_offset=True)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._open()
            return False
        return True

    def _seek_audio(self) -> bool:
        """Seek slightly before the keyframe to find audio pre-roll. Return False if that is not possible.

        This avoids reading the whole previous GOP for a clip that starts on a keyframe.
        """
        if self._keyframe is None or self.video is None or self.at_start:
            return False
        if self._lacks_gop:
            return self._seek_time(self._keyframe - self._cut.tick)
        if self._seek_point is not None:
            back = int(self._reader.size / self._facts.duration * _AUDIO_SEEK_SECONDS)
            return self._seek_byte(max(0, self._seek_point.offset - back))
        time = min(self._keyframe, self._cut.start) - _AUDIO_SEEK_SECONDS
        if time <= 0 or self._facts.container != "mov":
            return False
        assert self.container is not None
        ticks = int((time + self._facts.origin) / as_fraction(self.video.time_base or 1) // 1)
        try:
            self.container.seek(ticks, stream=self.video, any_frame=True)
        except MemoryError:
            raise
        except av.FFmpegError:
            return False
        return True

    def _read_to_start(self, step: int) -> bool:
        """Read up to the clip's start and keep the packets that decoding needs. Return False if the seek was too late.

        Raises _StaleSeekPoint if the seek point does not match the recording.
        """
        start = self._cut.start
        self._demuxer = self._read()
        self._order = DisplayOrder() if self.decoding_times else None
        gops = _LastGops(2 if self.decoding_times else 1)
        latest = start - REORDERED_FRAMES * self._cut.frame_seconds if self.decoding_times else start
        audio: list[tuple[int, TimedPacket]] = []  # with its position in file order
        with_preroll: set[int] = set()  # audio streams with a packet before the start
        kept_bytes = 0
        covered = False
        found = self._seek_point is None
        for order, timed in enumerate(self._demuxer):
            packet = timed.packet
            found = found or self._is_seek_point(timed)
            if not found and self._seek_point and timed.time > self._seek_point.time + _SLACK_SECONDS:
                break
            if self.video is not None and packet.stream_index == self.video.index:
                # Pre-roll of an edit list is never shown, so a seek must not rely on it.
                usable = packet.is_keyframe and self.trusts_keyframes and not packet.is_discard
                if usable and timed.time <= latest:
                    kept_bytes = gops.begin_gop()
                if gops.packets or packet.is_keyframe or self.at_start:
                    gops.packets.append((order, timed))
                    kept_bytes += packet.size
                covered = covered or timed.dts > start
            else:
                audio.append((order, timed))
                kept_bytes += packet.size
                if timed.time <= start - PREROLL_SECONDS:
                    with_preroll.add(packet.stream_index)
                covered = covered or (self.video is None and timed.time > start)
            if covered or kept_bytes > _MAX_KEPT_BYTES:
                break
        if not found:
            raise _StaleSeekPoint
        gop = gops.packets
        shown = (timed.time for _, timed in gop if timed.time <= start and not timed.packet.is_discard)
        self.on_screen = max(shown, default=None)
        audio_ok = step >= _AUDIO_STEPS or all(stream.index in with_preroll for stream in self.audio)
        video_ok = self.video is None or (self.on_screen is not None and gop[0][1].time <= start)
        self._lacks_gop = video_ok and self.video is not None and not self._knows_order(gops)
        if gop and self._decoder_state is not None:
            self._decoder_state.complete(gop[0][1].packet)
        preroll = _since(audio, start - 4 * PREROLL_SECONDS)
        self.has_field_packets = self._has_fields([timed.time for _, timed in gop])
        self._kept = [timed for _, timed in sorted([*gop, *preroll], key=lambda entry: entry[0])]
        self._keyframe = gop[0][1].time if gop and video_ok and (self._lacks_gop or not audio_ok) else None
        return video_ok and audio_ok and not self._lacks_gop

    def _knows_order(self, gops: _LastGops) -> bool:
        """Return True if display order is certain: a GOP is decoded before, or decoding starts at the first frame."""
        first = self._facts.video.first_frame if self._facts.video is not None else None
        return not self.decoding_times or gops.complete or gops.packets[0][1].time <= (first or 0)

    def _is_seek_point(self, timed: TimedPacket) -> bool:
        """Return True if the packet matches the seek point; then all following timestamps are right."""
        assert self._seek_point is not None
        assert self._seek_index is not None
        distance = abs(timed.time - self._seek_point.time)
        if self._want_video != (self._facts.video is not None):
            return distance < _SLACK_SECONDS  # seek points are video keyframes, and video is not read
        stream = self.video or self.audio[0]
        if timed.packet.stream_index != stream.index or not timed.packet.is_keyframe:
            return False
        return distance == 0 if self._seek_index.exact else distance < _SLACK_SECONDS

    def _has_fields(self, times: Sequence[Fraction]) -> bool:
        """Return True if packets are closer than frames, so that some are second fields."""
        usual = self._cut.frame_seconds
        return any(0 < later - earlier < usual * Fraction(3, 4) for earlier, later in pairwise(times))

    def _read(self) -> Iterator[TimedPacket]:
        """Yield timed packets until every stream has passed the clip's end."""
        assert self.container is not None
        origin = self._facts.origin if self._seek_point is None else -self._seek_point.shift
        timeline = Timeline(origin, joins_discontinuities=not self._facts.seekable)
        open_streams = {stream.index for stream in self._streams()}
        # One more frame of video, whose second field may be a separate packet.
        reordered = (REORDERED_FRAMES if self.decoding_times else 0) * self._cut.frame_seconds
        video_end, audio_end = self._cut.end + self._cut.frame_seconds + reordered, self._cut.end
        late = {index: stamps.late for index, stamps in self.stamps.items() if stamps is not None}
        far = audio_end + _SLACK_SECONDS + reordered
        self.resume_times.clear()
        timestamps = PacketTimestamps()
        for packet in read_packets(self.container, self._streams(), self._reader):
            found = timestamps.of(packet)
            if found is None:
                continue
            raw, raw_dts = found
            tick = as_fraction(packet.time_base)
            time = timeline.add(packet.stream_index, raw, raw_dts, (packet.duration or 0) * tick)
            if not self._facts.seekable:  # decoded frames must carry joined timestamps
                shift = round((time - raw) / tick)
                packet.pts = None if packet.pts is None else packet.pts + shift
                packet.dts = None if packet.dts is None else packet.dts + shift
            if self._prefetcher is not None:
                self._prefetcher.advance(packet, time)
            dts = time if raw_dts == raw else raw_dts + time - raw
            end = video_end if packet.stream is self.video else audio_end + late.get(packet.stream_index, _LATE_SECONDS)
            if time >= self._cut.end:
                resumes = time if dts < end else min(dts, time)
                self.resume_times[packet.stream_index] = min(
                    resumes, self.resume_times.get(packet.stream_index, resumes)
                )
            is_far = packet.stream_index in open_streams and dts >= far
            if min(dts, time) >= end:
                open_streams.discard(packet.stream_index)
                if not packet.is_discard:  # pre-roll of an edit list can have any time
                    packet.stream.discard = Discard.all
            else:
                yield TimedPacket(packet, time, dts)
            if is_far:  # a hole in all streams
                self.resume_times |= dict.fromkeys(open_streams - self.resume_times.keys(), dts)
            if not open_streams or dts >= far:
                return


class _LastGops:
    """The video packets of the last GOPs, each with its position in file order."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._starts: list[int] = []
        self.packets: list[tuple[int, TimedPacket]] = []

    @property
    def complete(self) -> bool:
        return len(self._starts) >= self._count

    def begin_gop(self) -> int:
        """Drop packets before the last GOPs; the next packet begins one. Return the size of the rest."""
        self._starts = [*self._starts, len(self.packets)][-self._count :]
        if self.complete:
            dropped = self._starts[0]
            self.packets = self.packets[dropped:]
            self._starts = [start - dropped for start in self._starts]
        return sum(timed.packet.size for _, timed in self.packets)


def _since(audio: Sequence[tuple[int, TimedPacket]], time: Fraction) -> list[tuple[int, TimedPacket]]:
    """Return each stream's packets from this time on, and the one before, which may last beyond it."""
    first: dict[int, int] = {}
    for order, timed in audio:
        if timed.time <= time:
            first[timed.packet.stream_index] = order
    return [entry for entry in audio if entry[0] >= first.get(entry[1].packet.stream_index, 0)]
