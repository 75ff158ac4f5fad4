"""Seeking: read a recording from a position at which the whole clip can be decoded.

The container's index is not trusted. A seek must land on a keyframe presented at or before the clip's start, and before
the pre-roll of audio decoders. Otherwise the seeker steps back, finally to the recording's first byte. Packets before
the clip are read but not decoded; only the packets since the last keyframe are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import has_decoding_times, read_packets
from clipengine.media.input.containers.header_splice import HeaderSplice, splice_at
from clipengine.media.input.containers.prefetch import Prefetcher
from clipengine.media.input.seeking.clip_end import SLACK_SECONDS, ClipEnd
from clipengine.media.input.seeking.demuxer import Demuxer
from clipengine.media.input.seeking.preroll import PREROLL_SECONDS, Preroll
from clipengine.media.input.timing.display_order import REORDERED_FRAMES, DisplayOrder
from clipengine.media.input.timing.packet_timestamps import TimedPacket, joined_packets, timed_packets
from clipengine.media.input.timing.timeline import Clock, Timeline, as_fraction
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import KeyframeIndex, SeekPoint

# Seconds before the clip's start to seek to, one after the other; then the start of the recording.
STEPS_BACK = (Fraction(0), Fraction(1), Fraction(5), Fraction(30), Fraction(120))
# Distance before a keyframe at which to look for audio pre-roll.
_AUDIO_SEEK_SECONDS = 4 * PREROLL_SECONDS
# After this many steps without audio before the start, the stream is assumed to have a gap.
_AUDIO_STEPS = 3


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
        seek_index: KeyframeIndex | None = None,
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = cut
        self._want_video = video
        self._demuxer = Demuxer(reader, facts, video=video, audio=frozenset(audio))
        self._seek_index = seek_index
        self._seek_point: SeekPoint | None = None  # where reading started
        self._prefetcher: Prefetcher | None = None
        self._preroll: Preroll | None = None
        self._following: Iterator[TimedPacket] = iter(())  # packets after the pre-roll
        self.decoding_times = False  # packets have dts only
        self._order: DisplayOrder | None = None
        self._clocks: dict[int, Clock] = {}  # of the frames, by stream index
        self.tracks = {track.index: track for track in facts.audio}
        self.at_start = False
        self.header_changed = False  # the video does not begin with the codec header of the container
        self.trusts_keyframes = True  # False: decode from the recording's first packet
        self.has_field_packets = False  # a frame may consist of two packets, one per field
        self.resume_times: dict[int, Fraction] = {}  # stream index -> earliest time after the clip
        self.on_screen: Fraction | None = None  # pts of the frame on screen at the clip's start

    def __enter__(self) -> Seeker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._demuxer.close()

    @property
    def video(self) -> VideoStream | None:
        return self._demuxer.video

    @property
    def audio(self) -> list[AudioStream]:
        return self._demuxer.audio

    def seek(self, step: int = 0) -> int:
        """Seek with `step` (an index into STEPS_BACK) or a later one, and return the step that succeeded."""
        tried: SeekPoint | None = None
        while True:
            back = STEPS_BACK[step] if step < len(STEPS_BACK) else None
            seek_point = None if back is None else self._seek_point_before(self._cut.start - back)
            try:
                if (seek_point is None or seek_point != tried) and self._seek(step, back, seek_point):
                    return step
            except _StaleSeekPoint:
                self._seek_index = None
                continue
            tried = seek_point
            step += 1

    def _seek(self, step: int, back: Fraction | None, seek_point: SeekPoint | None) -> bool:
        """Seek once. Return True if the whole clip can be decoded from there, or if it is the recording's start."""
        self.at_start = not self._open_at(back, seek_point)
        found = self._read_preroll(step) or (self._seek_before_keyframe() and self._read_preroll(step))
        return found or self.at_start

    def packets(self) -> Iterator[TimedPacket]:
        """Yield the packets from the seek position to the clip's end, in file order."""
        if self._preroll is not None:
            preroll, self._preroll = self._preroll.packets(), None
            yield from self._in_order(preroll)
            del preroll  # up to 64 MiB
        yield from self._in_order(self._following)

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
        clock = self._clocks.get(stream.index)
        if clock is None:  # flushed frames have no time base
            shift = -self._facts.origin if self._facts.seekable else Fraction(0)
            clock = self._clocks[stream.index] = Clock(as_fraction(stream.time_base or 1), shift)
        return clock.time(stamp)

    # ---- position

    def _seek_point_before(self, time: Fraction) -> SeekPoint | None:
        if self._seek_index is None or not self.trusts_keyframes:
            return None
        return self._seek_index.before(time if self._want_video else time - PREROLL_SECONDS)

    def _open_at(self, back: Fraction | None, seek_point: SeekPoint | None) -> bool:
        """Open the recording at the seek point or `back` seconds before the clip; return False if at its start."""
        if seek_point is not None and self._seek_index is not None:
            positioned = self._open_at_point(seek_point, self._seek_index.head_bytes)
        else:
            positioned = self._open_at_time(None if back is None else self._cut.start - back)
        self._seek_point = seek_point if positioned else None
        self._prefetcher = self._new_prefetcher()
        self._prefetcher.start(self._cut.start - back if positioned and back is not None else Fraction(0))
        return positioned

    def _open_at_point(self, seek_point: SeekPoint, head_bytes: int) -> bool:
        splice = splice_at(self._facts.container, head_bytes, seek_point.offset)
        self._open(splice)
        return splice is not None or self._demuxer.seek_byte(seek_point.offset)

    def _open_at_time(self, time: Fraction | None) -> bool:
        self._open()
        seekable = self._facts.seekable and self.trusts_keyframes
        return time is not None and seekable and self._demuxer.seek_time(time)

    def _open(self, splice: HeaderSplice | None = None) -> None:
        self._demuxer.open(splice)
        self.decoding_times = self.video is not None and has_decoding_times(
            self._demuxer.container, self.video, self._facts.video
        )
        if self._demuxer.palette_changes:
            self.trusts_keyframes = False

    def _new_prefetcher(self) -> Prefetcher:
        return Prefetcher(self._reader, self._facts, self._cut, self._demuxer.streams)

    def _seek_before_keyframe(self) -> bool:
        """Seek slightly before the keyframe, for missing packets or headers. Return False if this fails.

        This avoids reading the whole previous GOP for the audio pre-roll of a clip that starts on a keyframe.
        """
        if self.video is None or self.at_start or self._preroll is None or not self._preroll.has_video:
            return False
        keyframe = self._preroll.gop[0].time
        if self._preroll.has_new_header:
            self._open()  # a demuxer returns a new header only once
            self._prefetcher = self._new_prefetcher()
        if not self._preroll.knows_display_order:
            return self._demuxer.seek_time(keyframe - self._cut.tick)
        if self._seek_point is not None:
            back = int(self._reader.size / self._facts.duration * _AUDIO_SEEK_SECONDS)
            return self._demuxer.seek_byte(max(0, self._seek_point.offset - back))
        return self._demuxer.seek_any_frame(min(keyframe, self._cut.start) - _AUDIO_SEEK_SECONDS)

    # ---- packets

    def _read_preroll(self, step: int) -> bool:
        """Read up to the clip's start. Return False if the seek was too late.

        Raises _StaleSeekPoint if the seek point does not match the recording.
        """
        first_frame = self._facts.video.first_frame if self._facts.video is not None else None
        preroll = self._preroll = Preroll(
            self._cut,
            self.video is not None,
            [stream.index for stream in self.audio],
            decoding_times=self.decoding_times,
            first_frame=first_frame or Fraction(0),
            trusts_keyframes=self.trusts_keyframes,
            any_packet=self.at_start,
        )
        self._order = DisplayOrder() if self.decoding_times else None
        self._following = self._read()
        self._read_into(preroll)
        self.on_screen = preroll.on_screen
        self.has_field_packets = preroll.has_field_packets
        if preroll.gop:
            self._demuxer.complete(preroll.gop[0].packet)
        self._set_headers(preroll)
        has_audio = preroll.has_audio or step >= _AUDIO_STEPS
        return preroll.has_video and preroll.knows_display_order and has_audio

    def _set_headers(self, preroll: Preroll) -> None:
        """Give the decoders the codec headers that apply where they begin."""
        self.header_changed = False
        if not preroll.has_new_header and not self._facts.header_changes:
            return
        first: dict[int, Fraction] = {}
        for timed in preroll.packets():
            first.setdefault(timed.stream, timed.time)
        for stream in self._demuxer.streams:
            at = first.get(stream.index)
            header = preroll.video_header if stream is self.video else preroll.audio_header(stream.index)
            header = None if at is None else header or self._facts.header_at(stream.index, at)
            if header is not None and header != stream.codec_context.extradata:
                stream.codec_context.extradata = header
                self.header_changed |= stream is self.video

    def _read_into(self, preroll: Preroll) -> None:
        confirmed = self._seek_point is None
        for timed in self._following:
            confirmed = confirmed or self._is_at_seek_point(timed)
            if not confirmed and self._is_past_seek_point(timed):
                break
            preroll.add(timed)
            if preroll.complete:
                break
        if not confirmed:
            raise _StaleSeekPoint

    def _is_at_seek_point(self, timed: TimedPacket) -> bool:
        """Return True if the packet matches the seek point; then all following timestamps are right."""
        assert self._seek_point is not None
        assert self._seek_index is not None
        distance = abs(timed.time - self._seek_point.time)
        if self._want_video != (self._facts.video is not None):
            return distance < SLACK_SECONDS  # seek points are video keyframes, and video is not read
        if timed.stream != self._demuxer.streams[0].index or not timed.packet.is_keyframe:
            return False
        return distance == 0 if self._seek_index.exact else distance < SLACK_SECONDS

    def _is_past_seek_point(self, timed: TimedPacket) -> bool:
        return self._seek_point is not None and timed.time > self._seek_point.time + SLACK_SECONDS

    def _read(self) -> Iterator[TimedPacket]:
        """Yield timed packets until every stream has passed the clip's end."""
        assert self._prefetcher is not None
        streams = self._demuxer.streams
        origin = self._facts.origin if self._seek_point is None else -self._seek_point.shift
        read = read_packets(self._demuxer.container, streams, self._reader)
        if self._facts.seekable:
            packets = timed_packets(read, origin)
        else:
            packets = joined_packets(read, Timeline(origin, joins_discontinuities=True))
        # Seconds between the dts of a packet and the last one presented before it.
        reordered = (REORDERED_FRAMES if self.decoding_times else 0) * self._cut.frame_seconds
        video = None if self.video is None else self.video.index
        audio = [stream.index for stream in self.audio]
        end = ClipEnd(self._facts, self._cut, video, audio, self.resume_times, reordered)
        return end.before(self._prefetcher.follow(packets))
