"""Smart render of a clip's video: packets of whole GOPs to copy, and decoded frames at the cuts to encode.

- The head, up to the first frame in the range that starts a GOP (an IDR frame, a random access picture of HEVC, or a
  keyframe of VP8 or VP9), is decoded. So are leading pictures of HEVC, which follow that frame but are shown before it.
- From there on packets are copied, up to the first packet with a frame at or after the clip's end. Any first part of a
  GOP, in decoding order, has all its references.
- The tail is decoded: B-frames before the clip's end that follow that packet in decoding order.

It raises CannotCopy if the recording does not allow this; whatever can be known is checked before the head is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction

import av
from av.codec.context import ThreadType
from av.video.frame import PictureType

from clipengine.clips.plan.frames import CutRange, FrameSelector
from clipengine.clips.plan.segments import CannotCopy, Segment, plan_segments, seam_threads
from clipengine.media.bitstream.bits import SETS_CHANGE, BitstreamError
from clipengine.media.bitstream.copied_stream import StreamParameters, copied_stream
from clipengine.media.bitstream.hevc_stream import HevcStream
from clipengine.media.bitstream.packets import CopiedPacket
from clipengine.media.input.audio_decode import AudioDecoder, raise_if_memory_ran_out
from clipengine.media.input.codec_headers import new_header
from clipengine.media.input.container import codec_name, is_presented
from clipengine.media.input.copied_tail import MAX_KEPT_BYTES, CopiedTail, reordered_frames
from clipengine.media.input.damage import Damage
from clipengine.media.input.events import BeginEvent, CopiedVideo, Event, VideoFrameEvent, VideoPacketEvent
from clipengine.media.input.packet_timestamps import TimedPacket
from clipengine.media.input.seekers import AnySeeker
from clipengine.media.input.timeline import as_fraction

# Packets after the first copied one that are checked before anything is decoded.
_CHECKED_PACKETS = 64


class PacketCopier:
    """Yields one BeginEvent, then frames to encode, packets to copy and audio frames. Call `begin` and `plan` first."""

    def __init__(self, seeker: AnySeeker, cut: CutRange, *, threads: int) -> None:
        self._seeker = seeker
        self._cut = cut
        self._threads = threads
        self._audio = AudioDecoder(seeker)
        self._selector: FrameSelector[av.VideoFrame | TimedPacket] = FrameSelector(cut)
        self._ahead: deque[TimedPacket] = deque()  # packets that were read before the head is decoded
        self._leading: list[TimedPacket] = []  # those after the first copied one that are decoded for the head
        self._begun = False
        self._keyframe_id = 0  # of the first copied packet
        self._refusal: CannotCopy | None = None  # why no packet can be copied
        self.damage = Damage()  # of audio; recordings with damaged frames are encoded
        self.last_time: Fraction | None = None  # recording time of the latest frame

    def begin(self) -> CopiedVideo:
        """Read the recording up to the first packets to copy, and return its stream. Raises CannotCopy."""
        self._seeker.seek()
        self._open()
        self._packets = self._seeker.packets()
        try:
            self._read_ahead(self._packets)
        except CannotCopy as refusal:
            self._refusal = refusal
        reordered = self._count_reordered_frames()
        self._copied = CopiedVideo(self._video, self._bitstream, reordered, self._keyframe_id)
        return self._copied

    def plan(self) -> tuple[Segment, ...]:
        """Return the segments. Call it after `begin`. Raises CannotCopy if frames of the stream can be encoded only."""
        if self._refusal is not None:
            raise self._refusal
        return plan_segments(self._cut, self._key.time)

    @property
    def only_frame(self) -> str | None:
        """The number of the only frame of the range if it is copied and must not follow itself. Ask after `plan`.

        FFmpeg refuses a picture of HEVC that counts as much as the one before it, except IDR pictures.
        """
        if not self.begins_like(self._keyframe_id) or self._key.time + self._cut.frame_seconds < self._cut.last_moment:
            return None
        return str(self._keyframe_id)

    def begins_like(self, keyframe_id: int | None) -> bool:
        """Return True if the clip begins on a copied keyframe that must not follow one of this id."""
        numbered = isinstance(self._bitstream, HevcStream) and self._keyframe_id > 0
        return numbered and self._keyframe_id == keyframe_id and not self._needs_head()

    def events(self) -> Generator[Event]:
        """Yield the events of the clip. Raises CannotCopy."""
        tail = CopiedTail(self._cut, self._copied.reordered_frames)
        self._audio.prepare(self.damage)
        yield from self._head()
        for timed in self._from_key():
            if timed.is_video:
                yield from self._copy(timed, tail)
            else:
                yield from self._audio.events(timed)
        yield from self._encode_tail(tail)
        yield from self._audio.drain()

    def _open(self) -> None:
        seeker = self._seeker
        if seeker.video is None:
            raise CannotCopy("the recording has no video in the range")
        if seeker.decoding_times:
            raise CannotCopy("its packets have no presentation times")
        self._video = seeker.video
        if seeker.header_changed:
            raise CannotCopy(SETS_CHANGE)
        try:
            context = self._video.codec_context
            self._header = context.extradata
            given = StreamParameters(context.extradata or b"", context.width, context.height)
            self._bitstream = copied_stream(codec_name(self._video), given)
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    # ---- what is known before anything is decoded

    def _read_ahead(self, packets: Iterator[TimedPacket]) -> None:
        """Read up to the first packet to copy, and some packets more, and check them."""
        found: TimedPacket | None = None
        size = checked = 0
        for timed in packets:
            self._ahead.append(timed)
            size += timed.packet.size
            if size > MAX_KEPT_BYTES:
                raise CannotCopy("its keyframes are too far apart")
            if not timed.is_video:
                continue
            self._check_header(timed)
            if found is None and self._starts_copy(timed):
                found = self._key = timed
            elif found is None or self._is_leading(timed):
                self._check_sets(timed)
                self._leading += [timed] if found else []
                continue
            copied = self._copied_packet(timed)
            if timed is found:
                self._keyframe_id = copied.keyframe_id or 0
            checked += 1
            if checked > _CHECKED_PACKETS:
                break
        if found is None:
            raise CannotCopy("no GOP begins in the range")

    def _check_header(self, timed: TimedPacket) -> None:
        """Raise CannotCopy if the codec header changes with the packet."""
        if timed.packet.stream is not self._video or new_header(timed.packet) not in (None, self._header):
            raise CannotCopy(SETS_CHANGE)

    def _check_sets(self, timed: TimedPacket) -> None:
        """Raise CannotCopy if a packet that is not copied changes a parameter set that copied ones may use."""
        try:
            self._bitstream.check_sets(bytes(timed.packet))
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _starts_copy(self, timed: TimedPacket) -> bool:
        """Return True if the packet is the first that can be copied. Container flags alone are not trusted."""
        if not timed.packet.is_keyframe or timed.time < self._cut.start - self._cut.half_frame:
            return False
        return self._starts_gop(timed)

    def _starts_gop(self, timed: TimedPacket) -> bool:
        try:
            return self._bitstream.starts_gop(bytes(timed.packet))
        except BitstreamError:
            return False

    def _is_leading(self, timed: TimedPacket) -> bool:
        try:
            return timed.time < self._key.time and self._bitstream.is_leading(bytes(timed.packet))
        except BitstreamError:
            return False

    def _copied_packet(self, timed: TimedPacket) -> CopiedPacket:
        try:
            return self._bitstream.copied(bytes(timed.packet), first=timed is self._key)
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _count_reordered_frames(self) -> int:
        """Return the number of frames by which packets are decoded earlier than they are shown."""
        times = [timed.time for timed in self._ahead if timed.is_video]
        known = max(self._bitstream.stated_reordering, reordered_frames(times))
        return min(known, self._bitstream.most_reordering)

    # ---- head

    def _head(self) -> Iterator[Event]:
        """Decode the frames before the first copied one, and begin the clip."""
        context = self._video.codec_context
        context.thread_type, context.thread_count = ThreadType.FRAME | ThreadType.SLICE, seam_threads(self._threads)
        needed = self._needs_head()
        self._first = next(timed for timed in self._ahead if timed.is_video)
        while (timed := self._ahead.popleft()) is not self._key:
            if not timed.is_video:
                yield from self._audio.events(timed)
            elif needed:
                yield from self._select(self._decode(timed, skips=self._is_before_clip(timed)))
        if needed and self._leading:
            for timed in (self._key, *self._leading):
                yield from self._select(self._before_key(self._decode(timed, skips=False)))
        if needed:
            yield from self._select(self._before_key(self._flush()))
            self._check_leading()
        chosen = list(self._selector.push(self._key.time, self._key))
        if self._selector.origin is None:
            chosen += self._selector.finish()
        if not chosen or chosen[-1][1] is not self._key:
            raise CannotCopy("the clip does not reach its first keyframe")
        yield from self._chosen(chosen)

    def _check_leading(self) -> None:
        """Raise unless the last leading picture was decoded. A decoder skips them if their references are missing."""
        shown = [timed.time for timed in self._leading if not self._is_before_clip(timed)]
        if shown and (self.last_time is None or self.last_time < max(shown)):
            raise CannotCopy("frames at the cut are damaged")

    def _is_before_clip(self, timed: TimedPacket) -> bool:
        on_screen = self._seeker.on_screen
        return on_screen is not None and timed.time < on_screen

    def _before_key(self, frames: Sequence[tuple[Fraction, av.VideoFrame]]) -> list[tuple[Fraction, av.VideoFrame]]:
        """Return the frames without the first copied one, which is decoded for its leading pictures."""
        return [(time, frame) for time, frame in frames if not self._leading or time < self._key.time]

    def _needs_head(self) -> bool:
        """Return True unless the clip begins on the first copied frame."""
        start, distance = self._cut.start, abs(self._key.time - self._cut.start)
        before = (timed for timed in self._ahead if timed.is_video)
        nearer = any(abs(timed.time - start) <= distance for timed in before if timed.time < self._key.time)
        return nearer or self._key.time > start + self._cut.half_frame

    def _decode(self, timed: TimedPacket, *, skips: bool) -> list[tuple[Fraction, av.VideoFrame]]:
        context = self._video.codec_context
        context.skip_frame = "NONREF" if skips else "DEFAULT"
        try:
            return self._timed(context.decode(timed.packet))
        except av.FFmpegError as error:
            raise_if_memory_ran_out(error, self._seeker)
            raise CannotCopy("frames at the cut are damaged") from None

    def _flush(self) -> list[tuple[Fraction, av.VideoFrame]]:
        """Return the frames inside the decoder, and make it ready for another GOP."""
        context = self._video.codec_context
        try:
            return self._timed(context.decode(None))
        except av.FFmpegError as error:
            raise_if_memory_ran_out(error, self._seeker)
            raise CannotCopy("frames at the cut are damaged") from None
        finally:
            context.flush_buffers()

    def _timed(self, frames: Sequence[av.VideoFrame]) -> list[tuple[Fraction, av.VideoFrame]]:
        timed = []
        for frame in frames:
            time = self._seeker.time_of(frame, self._video)
            if time is None or frame.is_corrupt:
                raise CannotCopy("frames at the cut are damaged")
            timed.append((time, frame))
        return timed

    def _select(self, frames: Sequence[tuple[Fraction, av.VideoFrame]]) -> Iterator[Event]:
        for time, frame in frames:
            if self.last_time is None and not self._begins_decoding(time, frame):
                raise CannotCopy("the frame on screen at the start could not be decoded")
            if (self.last_time is not None and time <= self.last_time) or time >= self._key.time:
                raise CannotCopy("frames are not shown in the order of their times")
            self.last_time = time
            self.damage.decoded_frames += 1
            yield from self._chosen(self._selector.push(time, frame))

    def _begins_decoding(self, time: Fraction, frame: av.VideoFrame) -> bool:
        """Return True if decoding may begin with this frame: intact, and before the clip if any frame is.

        Frames of an edit list's pre-roll are decoded but not returned, so the first frame may not be the keyframe.
        """
        intact = frame.key_frame or frame.pict_type == PictureType.I or self._starts_gop(self._first)
        return intact and (self._seeker.on_screen is None or time <= self._cut.start)

    def _chosen(self, chosen: Iterable[tuple[Fraction, av.VideoFrame | TimedPacket]]) -> Iterator[Event]:
        for time, item in chosen:
            if not self._begun:
                self._begun = True
                frame = item if isinstance(item, av.VideoFrame) else self.first_copied_frame()
                yield BeginEvent(self._selector.origin or Fraction(0), frame)
                yield from self._audio.begin()
            if isinstance(item, av.VideoFrame):
                yield VideoFrameEvent(time, item)

    def first_copied_frame(self) -> av.VideoFrame:
        """Decode the first frame whose packet is copied. Call it after `plan`, before or instead of `events`."""
        frames = self._decode(self._key, skips=False) + self._flush()
        if not frames:
            raise CannotCopy("its keyframes do not decode")
        return frames[0][1]

    # ---- copied packets

    def _from_key(self) -> Iterator[TimedPacket]:
        yield self._key
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._packets

    def _copy(self, timed: TimedPacket, tail: CopiedTail) -> Iterator[VideoPacketEvent]:
        self._check_header(timed)
        if any(timed is each for each in self._leading):
            return
        self._check(timed)
        if tail.takes(timed):
            self._check_sets(timed)
            return
        copied = self._copied_packet(timed)
        tail.add_copied(timed, starts_gop=copied.keyframe_id is not None)
        self.damage.decoded_frames += 1
        self.last_time = max(self.last_time or timed.time, timed.time)
        packet = timed.packet
        duration = (packet.duration or 0) * as_fraction(packet.time_base) or self._cut.frame_seconds
        time = timed.time - (self._selector.origin or Fraction(0))
        yield VideoPacketEvent(time, copied.data, copied.checksum, duration, copied.keyframe_id)

    def _check(self, timed: TimedPacket) -> None:
        start, key = self._cut.start, self._key.time
        never_shown = not is_presented(timed.packet) and timed.time < self._cut.last_moment
        if timed.packet.is_corrupt or never_shown:
            raise CannotCopy("packets of the range are damaged, or are never shown")
        if timed.time < key:
            raise CannotCopy("frames after a keyframe are shown before it")
        if key < timed.time <= start + self._cut.half_frame and abs(timed.time - start) < abs(key - start):
            raise CannotCopy("two frames begin near the start")

    # ---- tail

    def _encode_tail(self, tail: CopiedTail) -> Iterator[VideoFrameEvent]:
        """Decode the frames before the clip's end that no copied packet has."""
        wanted = tail.wanted(self.last_time)
        if not wanted:
            return
        frames = []
        for timed, skips in tail.packets():
            frames += [each for each in self._decode(timed, skips=skips) if each[0] in wanted]
        frames += [each for each in self._flush() if each[0] in wanted]
        if len(frames) != len(wanted):
            raise CannotCopy("the last frames cannot be decoded")
        for time, frame in frames:
            self.last_time = time
            yield VideoFrameEvent(time - (self._selector.origin or Fraction(0)), frame)
