"""Smart render of a clip's video: packets of whole GOPs to copy, and decoded frames at the cuts to encode.

- The head, up to the first frame in the range that starts a GOP (an IDR frame, a random access picture of HEVC, or a
  keyframe of VP8 or VP9), is decoded. So are leading pictures of HEVC, which follow that frame but are shown before it.
- From there on packets are copied, up to the first packet with a frame at or after the clip's end. Any first part of a
  GOP, in decoding order, has all its references.
- If a GOP cannot be copied, the clip is encoded from there on.
- Otherwise the tail is decoded: B-frames before the clip's end that follow that packet in decoding order.
- At both ends of the copied packets some are decoded too, by the decoder that has decoded the head: the clip must show
  the same pictures.

It raises CannotCopy if the recording does not allow this; whatever can be known is checked before the head is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain

import av
from av.video.frame import PictureType

from clipengine.clips.plan.frames import CutRange, FrameSelector
from clipengine.clips.plan.segments import CannotCopy, Segment, plan_segments
from clipengine.media.bitstream.bits import SETS_CHANGE, BitstreamError
from clipengine.media.bitstream.copied_stream import StreamParameters, copied_stream
from clipengine.media.bitstream.hevc_stream import HevcStream
from clipengine.media.bitstream.packets import CopiedPacket
from clipengine.media.input.audio_decode import AudioDecoder
from clipengine.media.input.codec_headers import new_header
from clipengine.media.input.container import codec_name, is_presented
from clipengine.media.input.copied_decoder import DAMAGED, CopiedDecoder, TimedFrame
from clipengine.media.input.copied_tail import MAX_KEPT_BYTES, SEAM_FRAMES, CopiedTail, Reordering, reordered_frames
from clipengine.media.input.damage import Damage
from clipengine.media.input.events import BeginEvent, CopiedVideo, Event, SeamEvent, VideoFrameEvent, VideoPacketEvent
from clipengine.media.input.packet_timestamps import TimedPacket
from clipengine.media.input.seekers import AnySeeker
from clipengine.media.input.timeline import as_fraction

# Packets after the first copied one that are checked before anything is decoded.
_CHECKED_PACKETS = 64


class PacketCopier:
    """Yields one BeginEvent, then frames to encode, packets to copy and audio frames. Call `begin` and `plan` first.

    With `full_proof` all copied packets are decoded too.
    """

    def __init__(self, seeker: AnySeeker, cut: CutRange, *, threads: int, full_proof: bool = False) -> None:
        self._seeker = seeker
        self._cut = cut
        self._threads = threads
        self._full_proof = full_proof
        self._reordering = Reordering()  # of the copied packets
        self._audio = AudioDecoder(seeker, cut.end)
        self._selector: FrameSelector[av.VideoFrame | TimedPacket] = FrameSelector(cut)
        self._ahead: deque[TimedPacket] = deque()  # packets that were read before the head is decoded
        self._leading: list[TimedPacket] = []  # those after the first copied one that are decoded for the head
        self._begun = False
        self._keyframe_id = 0  # of the first copied packet
        self._refusal: CannotCopy | None = None  # why no packet can be copied
        # The time of the clip from which on nothing is copied, and the reason.
        self.rest_encoded: tuple[Fraction, str] | None = None
        self.damage = Damage()
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
        packets = self._from_key()
        refused = yield from self._copy_all(packets, tail)
        yield from self._prove_end(tail, is_last=refused is None)
        if refused is None:
            yield from self._encode_tail(tail)
        else:
            yield from self._encode_rest(chain((refused,), packets))
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
            self._decoder = CopiedDecoder(seeker, self._video, threads=self._threads)
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    # ---- what is known before anything is decoded

    def _read_ahead(self, packets: Iterator[TimedPacket]) -> None:
        """Read up to the first packet to copy, and some packets more, and check them."""
        found: TimedPacket | None = None
        size = checked = 0
        lasting: dict[int, int] = {}  # messages for decoders that apply after the packets which are not copied
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
                lasting |= self._lasting(timed)
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
        own = self._lasting(found)
        if any(own.get(kind, 0) != message for kind, message in lasting.items()):
            raise CannotCopy("messages before the first copied frame change how it is decoded")

    def _lasting(self, timed: TimedPacket) -> dict[int, int]:
        try:
            return self._bitstream.lasting(bytes(timed.packet))
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

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

    def _count_proven_reordering(self) -> int:
        """Return the number of reordered frames among the first copied ones, which are decoded to prove the clip."""
        return reordered_frames([timed.time for timed, expected in self._first_packets() if expected])

    def _count_reordered_frames(self) -> int:
        """Return the number of frames by which packets are decoded earlier than they are shown."""
        times = [timed.time for timed in self._ahead if timed.is_video]
        known = max(self._bitstream.stated_reordering or 0, reordered_frames(times))
        return min(known, self._bitstream.most_reordering)

    # ---- head

    def _head(self) -> Iterator[Event]:
        """Decode the frames before the first copied one, and begin the clip."""
        needed = self._needs_head()
        self._first = next(timed for timed in self._ahead if timed.is_video)
        while (timed := self._ahead.popleft()) is not self._key:
            if not timed.is_video:
                yield from self._audio.events(timed)
            elif needed:
                yield from self._select(self._decoder.decode(timed, skips=self._is_before_clip(timed)))
        self._proven_reordering = self._count_proven_reordering()
        for timed, expected in self._first_packets():
            before = self._decoder.decode(timed, expected=expected)
            yield from self._select(before if needed else ())
        before = self._decoder.flush()
        yield from self._select(before if needed else ())
        if needed:
            self._check_leading()
        chosen = list(self._selector.push(self._key.time, self._key))
        if self._selector.origin is None:
            chosen += self._selector.finish()
        if not chosen or chosen[-1][1] is not self._key:
            raise CannotCopy("the clip does not reach its first keyframe")
        yield from self._chosen(chosen)
        yield from self._seams()

    def _first_packets(self) -> Iterator[tuple[TimedPacket, bool]]:
        """Yield the packets that are copied first, whose frames are expected, and leading ones between them."""
        left = SEAM_FRAMES + self._copied.reordered_frames
        for timed in (self._key, *self._ahead):
            leading = any(timed is each for each in self._leading)
            if not timed.is_video:
                continue
            if not leading and (not left or timed.time >= self._cut.last_moment):
                return
            left -= not leading
            yield timed, not leading

    def _seams(self, *, all_of_them: bool = True) -> Iterator[SeamEvent]:
        """Yield the pictures of copied packets. Raises CannotCopy if one has not come out of the decoder."""
        yield from (self._seam(time, picture) for time, picture in self._decoder.pictures(all_of_them=all_of_them))

    def _seam(self, time: Fraction, picture: int = 0) -> SeamEvent:
        return SeamEvent(time - (self._selector.origin or Fraction(0)), picture)

    def _check_leading(self) -> None:
        """Raise unless the last leading picture was decoded. A decoder skips them if their references are missing."""
        shown = [timed.time for timed in self._leading if not self._is_before_clip(timed)]
        if shown and (self.last_time is None or self.last_time < max(shown)):
            raise CannotCopy(DAMAGED)

    def _is_before_clip(self, timed: TimedPacket) -> bool:
        on_screen = self._seeker.on_screen
        return on_screen is not None and timed.time < on_screen

    def _needs_head(self) -> bool:
        """Return True unless the clip begins on the first copied frame."""
        start, distance = self._cut.start, abs(self._key.time - self._cut.start)
        before = (timed for timed in self._ahead if timed.is_video)
        nearer = any(abs(timed.time - start) <= distance for timed in before if timed.time < self._key.time)
        return nearer or self._key.time > start + self._cut.half_frame

    def _select(self, frames: Sequence[TimedFrame]) -> Iterator[Event]:
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
        frames = self._decoder.decode(self._key) + self._decoder.flush()
        if not frames:
            raise CannotCopy("its keyframes do not decode")
        return frames[0][1]

    # ---- copied packets

    def _from_key(self) -> Iterator[TimedPacket]:
        yield self._key
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._packets

    def _copy_all(self, packets: Iterator[TimedPacket], tail: CopiedTail) -> Generator[Event, None, TimedPacket | None]:
        """Yield the packets to copy. Return the first one of a GOP that cannot be copied, or None."""
        for timed in packets:
            if not timed.is_video:
                yield from self._audio.events(timed)
            elif not any(timed is each for each in self._leading):
                try:
                    copied = self._checked(timed, tail)
                except CannotCopy as refusal:
                    self._end_copy(timed, str(refusal))
                    return timed
                if copied is not None:
                    yield from self._copy(timed, copied, tail)
        return None

    def _checked(self, timed: TimedPacket, tail: CopiedTail) -> CopiedPacket | None:
        """Return the packet to copy, or None if it is shown after the clip. Raises CannotCopy."""
        self._check_header(timed)
        self._check(timed)
        if tail.takes(timed):
            self._check_sets(timed)
            return None
        return self._copied_packet(timed)

    def _end_copy(self, timed: TimedPacket, reason: str) -> None:
        """Encode the clip from the packet on. Raises CannotCopy with the reason if all of it is to be encoded."""
        copied, length = timed.time - self._key.time, self._cut.end - self._cut.start
        whole = timed.packet.stream is not self._video or not self._starts_gop(timed)
        if whole or 2 * copied < length or timed.time >= self._cut.last_moment:
            raise CannotCopy(reason)
        self.rest_encoded = timed.time - (self._selector.origin or Fraction(0)), reason

    def _copy(
        self, timed: TimedPacket, copied: CopiedPacket, tail: CopiedTail
    ) -> Iterator[VideoPacketEvent | SeamEvent]:
        tail.add_copied(
            timed, starts_gop=copied.keyframe_id is not None, leading=self._bitstream.is_leading(bytes(timed.packet))
        )
        self.damage.decoded_frames += 1
        self.damage.copied_packets += timed.packet.is_corrupt
        self.last_time = max(self.last_time or timed.time, timed.time)
        packet = timed.packet
        duration = (packet.duration or 0) * as_fraction(packet.time_base) or self._cut.frame_seconds
        time = timed.time - (self._selector.origin or Fraction(0))
        yield VideoPacketEvent(time, copied.data, copied.checksum, duration, copied.keyframe_id)
        if self._full_proof:
            self._decoder.decode(timed, expected=True)
            yield from self._seams(all_of_them=False)

    def _check(self, timed: TimedPacket) -> None:
        start, key = self._cut.start, self._key.time
        never_shown = not is_presented(timed.packet) and timed.time < self._cut.last_moment
        if never_shown or (timed.packet.is_corrupt and self._full_proof):
            raise CannotCopy("packets of the range are damaged, or are never shown")
        if timed.time < key:
            raise CannotCopy("frames after a keyframe are shown before it")
        if self._bitstream.stated_reordering is None and self._reordering.add(timed.time) > self._proven_reordering:
            raise CannotCopy("it reorders frames farther than at the first copied ones, and does not state how far")
        if key < timed.time <= start + self._cut.half_frame and abs(timed.time - start) < abs(key - start):
            raise CannotCopy("two frames begin near the start")

    # ---- tail

    def _prove_end(self, tail: CopiedTail, *, is_last: bool) -> Iterator[SeamEvent]:
        """Decode the packets that begin the last copied GOP, unless all packets are decoded, or these already were."""
        if self._full_proof:
            self._decoder.flush()
        elif tail.seam and tail.seam[0] is not self._key:
            for timed in tail.seam:
                self._decoder.decode(timed, expected=True)
            self._decoder.flush()
        yield from self._seams()
        if not is_last or tail.wanted(self.last_time):
            yield from (self._seam(time) for time in tail.rest)

    def _encode_rest(self, packets: Iterable[TimedPacket]) -> Iterator[Event]:
        """Decode the frames from the first of the packets on, which begins a GOP."""
        wanted: set[Fraction] = set()
        shape = self._decoder.sample_aspect_ratio
        for timed in packets:
            if not timed.is_video:
                yield from self._audio.events(timed)
                continue
            if timed.packet.stream is not self._video:
                raise CannotCopy(SETS_CHANGE)
            if timed.time < self._cut.last_moment:
                wanted.add(timed.time)
            yield from self._rest(self._decoder.decode(timed), wanted)
            if self._decoder.sample_aspect_ratio != shape:
                raise CannotCopy("the shape of its pictures changes")
        yield from self._rest(self._decoder.flush(), wanted)
        if wanted:
            raise CannotCopy("the last frames cannot be decoded")

    def _rest(self, frames: Sequence[TimedFrame], wanted: set[Fraction]) -> Iterator[VideoFrameEvent]:
        for time, frame in frames:
            if time in wanted and self.last_time is not None and time > self.last_time:
                wanted.remove(time)
                self.last_time = time
                yield VideoFrameEvent(time - (self._selector.origin or Fraction(0)), frame)

    def _encode_tail(self, tail: CopiedTail) -> Iterator[VideoFrameEvent]:
        """Decode the frames before the clip's end that no copied packet has."""
        wanted = tail.wanted(self.last_time)
        if not wanted:
            return
        frames = []
        for timed, skips in tail.packets():
            frames += [each for each in self._decoder.decode(timed, skips=skips) if each[0] in wanted]
        frames += [each for each in self._decoder.flush() if each[0] in wanted]
        if len(frames) != len(wanted):
            raise CannotCopy("the last frames cannot be decoded")
        for time, frame in frames:
            self.last_time = time
            yield VideoFrameEvent(time - (self._selector.origin or Fraction(0)), frame)
