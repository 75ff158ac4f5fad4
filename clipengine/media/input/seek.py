"""Landing: reading a recording from a place before the clip from which everything in it can be decoded.

A seek never trusts the container. It must land on a keyframe that is presented at or before the clip's start, and
before the sound that decoders need to warm up on; where it does not, it steps back, in the end to the recording's
first byte. What lies between is read but not decoded: only the packets since the last useful keyframe are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from clipengine.clips.facts import SourceFacts
from clipengine.clips.plan import CutRange
from clipengine.clips.seek_index import SeekIndex, SeekPoint
from clipengine.media.input.container import (
    audio_streams,
    keep_only,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.display_order import REORDERED_FRAMES, DisplayOrder, stores_decoding_times
from clipengine.media.input.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.header_splice import HeaderSplice, splice_at
from clipengine.media.input.prefetch import Prefetcher
from clipengine.media.input.source import MediaReader
from clipengine.media.input.timeline import Timeline, as_fraction

# How far before the clip's start to seek, in seconds, one after the other; then the recording's start.
STEPS_BACK = (Fraction(0), Fraction(1), Fraction(5), Fraction(30), Fraction(120))
# Sound codecs need earlier packets before they are exact: Opus 80 ms (RFC 7845, section 4.6), MP3 its bit reservoir,
# AAC and Vorbis the overlap of one frame.
PREROLL_SECONDS = Fraction(3, 20)
# So far before a keyframe to look for the sound that decoders warm up on.
_REWOUND_SECONDS = 4 * PREROLL_SECONDS
# Interleaving may let one stream run this far ahead of another in the file.
_SLACK_SECONDS = Fraction(3)
# An audio stream of which nothing is found this far before the start is taken to have a gap there.
_AUDIO_STEPS = 3
_HELD_BYTES = 64 * 1024 * 1024
# As FFmpeg names them first. Their demuxers find their way from any byte on.
_ENTERED_BY_BYTE = ("mpegts", "mpeg", "flv")


class _StaleSeekPoint(Exception):
    """At the landmark is not what the probe has noted of it."""


@dataclass(frozen=True)
class TimedPacket:
    """A packet and when it is presented, in recording time."""

    packet: Packet[Any]
    time: Fraction
    dts: Fraction


class Seeker:
    """The packets of a clip. `land(step)` opens the recording and seeks; `packets()` then yields what is needed.

    Use as a context manager; a further `land` closes what the one before had opened.
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
        self._seek_point: SeekPoint | None = None  # where this landing began
        self._cut = cut
        self._want_video = video
        self._want_audio = frozenset(audio)  # stream indices
        self.stamps = {track.index: track.stamps for track in facts.audio}
        self._stack = ExitStack()
        self.container: InputContainer | None = None
        self.video: VideoStream | None = None
        self.audio: list[AudioStream] = []
        self.at_start = False
        self.trusts_keyframes = True  # False: decode from the recording's first packet, whatever is said of others
        self.has_field_packets = False  # a frame may come as two packets, one for each field
        self.resume_times: dict[
            int, Fraction
        ] = {}  # stream index -> no sooner than when it goes on after the clip's end
        self.on_screen: Fraction | None = None  # the presentation time of the frame on screen at the clip's start
        self._held: list[TimedPacket] = []
        self._keyframe: Fraction | None = None  # on which the landing rests, where sound was not found
        self._lacks_gop = False  # the keyframe was found, and not the one before it
        codec = facts.video.codec if video and facts.video else ""
        self.decoding_times = stores_decoding_times(facts.container, codec)  # packets come at the times of decoding
        self._order: DisplayOrder | None = None
        self._demuxer: Iterator[TimedPacket] = iter(())
        self._prefetcher: Prefetcher | None = None
        self._decoder_state: DecoderState | None = None  # None if the decoder needs none

    def __enter__(self) -> Seeker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def seek(self, step: int = 0) -> int:
        """Land at `step` (an index into STEPS_BACK) or before; the step that was taken."""
        tried: SeekPoint | None = None
        while True:
            back = STEPS_BACK[step] if step < len(STEPS_BACK) else None
            self._seek_point = None if back is None else self._seek_point_before(self._cut.start - back)
            if self._seek_point is not None and self._seek_point == tried:  # no use in reading the same once more
                step += 1
                continue
            tried = self._seek_point
            self.at_start = not self._enter(back)
            try:
                landed = self._gather(step) or (self._rewind() and self._gather(step))
            except _StaleSeekPoint:
                self._seek_index = tried = None
                continue
            if landed or self.at_start:
                return step
            step += 1

    def packets(self) -> Iterator[TimedPacket]:
        """Yield the packets from the seek to the clip's end, in file order."""
        yield from self._counted(self._held)
        self._held = []
        yield from self._counted(self._demuxer)

    def _counted(self, packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
        for timed in packets:
            if self._order is not None and timed.packet.stream is self.video:
                self._order.add(timed.packet)
            yield timed

    def time_of(self, frame: av.VideoFrame | av.AudioFrame, stream: Stream) -> Fraction | None:
        """Return when a frame is presented, in recording time. Call it once for each frame, in the decoder's order."""
        stamp = frame.pts
        if self._order is not None and isinstance(frame, av.VideoFrame):
            stamp = self._order.stamp_of(frame)
        if stamp is None:
            return None
        time = stamp * as_fraction(stream.time_base or 1)  # flushed frames carry no time base of their own
        return time - self._facts.origin if self._facts.seekable else time

    def _seek_point_before(self, time: Fraction) -> SeekPoint | None:
        if self._seek_index is None or not self.trusts_keyframes:
            return None
        return self._seek_index.before(time if self._want_video else time - PREROLL_SECONDS)

    def _enter(self, back: Fraction | None) -> bool:
        """Open the recording and stand at the landmark, or so long before the clip. False: at the start instead."""
        seek_point, seek_index = self._seek_point, self._seek_index
        entered = False
        if seek_point is not None and seek_index is not None:
            splice = splice_at(self._facts.container, seek_index.head_bytes, seek_point.offset)
            self._open(splice)
            entered = splice is not None or self._seek_byte(seek_point.offset)
        else:
            self._open()
            seekable = self._facts.seekable and self.trusts_keyframes
            entered = back is not None and seekable and self._seek_time(self._cut.start - back)
        if not entered:
            self._seek_point = None
        self._prefetcher = Prefetcher(self._reader, self._facts, self._cut, self._streams())
        self._prefetcher.begin(self._cut.start - back if entered and back is not None else Fraction(0))
        return entered

    def _open(self, splice: HeaderSplice | None = None) -> None:
        """Open the recording. Its decoder is configured by the first packet, wherever decoding will start."""
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
        """Seek to a keyframe at or before the recording time. False: stand at the start instead."""
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
            # Where seeking has made a fragment of the file known, the other streams stand too early: once more.
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
        if self._facts.container not in _ENTERED_BY_BYTE:
            return False
        try:
            self.container.seek(offset, unsupported_byte_offset=True)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._open()
            return False
        return True

    def _rewind(self) -> bool:
        """Where the pictures are found and sound alone is not: stand a little earlier, in the middle of other pictures.

        So a clip that starts on a keyframe does not read all that follows the keyframe before. False where it cannot
        be done.
        """
        if self._keyframe is None or self.video is None or self.at_start:
            return False
        if self._lacks_gop:
            return self._seek_time(self._keyframe - self._cut.tick)
        if self._seek_point is not None:
            back = int(self._reader.size / self._facts.duration * _REWOUND_SECONDS)
            return self._seek_byte(max(0, self._seek_point.offset - back))
        time = min(self._keyframe, self._cut.start) - _REWOUND_SECONDS
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

    def _gather(self, step: int) -> bool:
        """Read up to the clip's start, keeping what decoding needs. False: the landing was too late.

        Raises _Lost where the landmark is not what was noted of it.
        """
        start = self._cut.start
        self._demuxer = self._read()
        self._order = DisplayOrder() if self.decoding_times else None
        pictures = _Pictures(gops=2 if self.decoding_times else 1)
        latest = start - REORDERED_FRAMES * self._cut.frame_seconds if self.decoding_times else start
        sound: list[tuple[int, TimedPacket]] = []
        heard: set[int] = set()  # audio streams of which a packet before the start was seen
        held = 0
        covered = False
        found = self._seek_point is None
        for order, timed in enumerate(self._demuxer):
            packet = timed.packet
            found = found or self._is_seek_point(timed)
            if not found and self._seek_point and timed.time > self._seek_point.time + _SLACK_SECONDS:
                break
            if self.video is not None and packet.stream_index == self.video.index:
                # Pre-roll of an edit is decoded and never shown: no landing may rest on it.
                rests = packet.is_keyframe and self.trusts_keyframes and not packet.is_discard
                if rests and timed.time <= latest:
                    held = pictures.begin_gop()
                if pictures.packets or packet.is_keyframe or self.at_start:
                    pictures.packets.append((order, timed))
                    held += packet.size
                covered = covered or timed.dts > start
            else:
                sound.append((order, timed))
                held += packet.size
                if timed.time <= start - PREROLL_SECONDS:
                    heard.add(packet.stream_index)
                covered = covered or (self.video is None and timed.time > start)
            if covered or held > _HELD_BYTES:
                break
        if not found:
            raise _StaleSeekPoint
        gop = pictures.packets
        shown = (timed.time for _, timed in gop if timed.time <= start and not timed.packet.is_discard)
        self.on_screen = max(shown, default=None)
        sound_ok = step >= _AUDIO_STEPS or all(stream.index in heard for stream in self.audio)
        video_ok = self.video is None or (self.on_screen is not None and gop[0][1].time <= start)
        self._lacks_gop = video_ok and self.video is not None and not self._is_counted(pictures)
        if gop and self._decoder_state is not None:
            self._decoder_state.complete(gop[0][1].packet)
        warm_up = _since(sound, start - 4 * PREROLL_SECONDS)
        self.has_field_packets = self._has_fields([timed.time for _, timed in gop])
        self._held = [timed for _, timed in sorted([*gop, *warm_up], key=lambda entry: entry[0])]
        self._keyframe = gop[0][1].time if gop and video_ok and (self._lacks_gop or not sound_ok) else None
        return video_ok and sound_ok and not self._lacks_gop

    def _is_counted(self, pictures: _Pictures) -> bool:
        """Return True if the place of frames is known: a GOP is decoded before, or the first frame of all is."""
        first = self._facts.video.first_frame if self._facts.video is not None else None
        return not self.decoding_times or pictures.complete or pictures.packets[0][1].time <= (first or 0)

    def _is_seek_point(self, timed: TimedPacket) -> bool:
        """Whether the packet is the one that the landmark tells of, at its time: then all others are at theirs."""
        assert self._seek_point is not None
        assert self._seek_index is not None
        away = abs(timed.time - self._seek_point.time)
        if self._want_video != (self._facts.video is not None):
            return away < _SLACK_SECONDS  # landmarks are of the picture, which is not read
        leads = self.video or self.audio[0]
        if timed.packet.stream_index != leads.index or not timed.packet.is_keyframe:
            return False
        return away == 0 if self._seek_index.exact else away < _SLACK_SECONDS

    def _has_fields(self, times: Sequence[Fraction]) -> bool:
        """Whether packets follow each other faster than frames do: then some are second fields of a frame."""
        usual = self._cut.frame_seconds
        return any(0 < later - earlier < usual * Fraction(3, 4) for earlier, later in pairwise(times))

    def _read(self) -> Iterator[TimedPacket]:
        """Packets with their times, until every stream has passed the clip's end."""
        assert self.container is not None
        origin = self._facts.origin if self._seek_point is None else -self._seek_point.shift
        timeline = Timeline(origin, joins_discontinuities=not self._facts.seekable)
        open_streams = {stream.index for stream in self._streams()}
        # One frame more of the picture: its second field may be a packet of its own.
        reordered = (REORDERED_FRAMES if self.decoding_times else 0) * self._cut.frame_seconds
        picture_end, sound_end = self._cut.end + self._cut.frame_seconds + reordered, self._cut.end
        late = {index: stamps.late for index, stamps in self.stamps.items() if stamps is not None}
        far = sound_end + _SLACK_SECONDS + reordered
        last: dict[int, Fraction] = {}
        self.resume_times.clear()
        earliest = _Earliest()
        for packet in read_packets(self.container, self._streams(), self._reader):
            tick = as_fraction(packet.time_base)
            raw = packet_time(packet)
            if raw is None:  # a damaged timestamp: it follows on the packet before it
                if packet.stream_index not in last:
                    continue
                raw = last[packet.stream_index] + tick
            last[packet.stream_index] = raw
            raw_dts = packet.dts * tick if packet.dts is not None else earliest.after(packet, raw)
            time = timeline.add(packet.stream_index, raw, raw_dts, (packet.duration or 0) * tick)
            if not self._facts.seekable:  # the decoder's frames are to carry the joined timeline
                shift = round((time - raw) / tick)
                packet.pts = None if packet.pts is None else packet.pts + shift
                packet.dts = None if packet.dts is None else packet.dts + shift
            if self._prefetcher is not None:
                self._prefetcher.note(packet, time)
            dts = time if raw_dts == raw else raw_dts + time - raw
            end = picture_end if packet.stream is self.video else sound_end + late.get(packet.stream_index, 0)
            if time >= self._cut.end:
                resumes = time if dts < end else min(dts, time)
                self.resume_times[packet.stream_index] = min(
                    resumes, self.resume_times.get(packet.stream_index, resumes)
                )
            leaps = packet.stream_index in open_streams and dts >= far
            if min(dts, time) >= end:
                open_streams.discard(packet.stream_index)
                if not packet.is_discard:  # pre-roll of an edit, which lies wherever it was filmed
                    packet.stream.discard = Discard.all
            else:
                yield TimedPacket(packet, time, dts)
            if leaps:  # a hole in the file, and not in one stream alone
                self.resume_times |= dict.fromkeys(open_streams - self.resume_times.keys(), dts)
            if not open_streams or dts >= far:
                return


class _Pictures:
    """The video packets of the last GOPs, each with its place in the file's order."""

    def __init__(self, gops: int) -> None:
        self._gops = gops
        self._starts: list[int] = []
        self.packets: list[tuple[int, TimedPacket]] = []

    @property
    def complete(self) -> bool:
        return len(self._starts) >= self._gops

    def begin_gop(self) -> int:
        """Drop what lies before the last GOPs, of which the next packet begins one. Return the size of the rest."""
        self._starts = [*self._starts, len(self.packets)][-self._gops :]
        if self.complete:
            dropped = self._starts[0]
            self.packets = self.packets[dropped:]
            self._starts = [start - dropped for start in self._starts]
        return sum(timed.packet.size for _, timed in self.packets)


class _Earliest:
    """When a packet without a dts is decoded at the earliest: Matroska gives the first ones after a seek none."""

    def __init__(self) -> None:
        self._latest: list[Fraction] = []  # presentation times, a heap

    def after(self, packet: Packet[Any], time: Fraction) -> Fraction:
        """No packet of the picture that follows is presented before the time that is returned."""
        if not isinstance(packet.stream, VideoStream):
            return time
        heappush(self._latest, time)
        if len(self._latest) > REORDERED_FRAMES + 1:
            heappop(self._latest)
        return self._latest[0]


def _since(sound: Sequence[tuple[int, TimedPacket]], time: Fraction) -> list[tuple[int, TimedPacket]]:
    """Of each stream the packets from this time on, and the one before, which may last until then or longer."""
    first: dict[int, int] = {}
    for order, timed in sound:
        if timed.time <= time:
            first[timed.packet.stream_index] = order
    return [entry for entry in sound if entry[0] >= first.get(entry[1].packet.stream_index, 0)]
