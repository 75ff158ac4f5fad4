"""Smart render of a clip's video: packets of whole GOPs to copy, and decoded frames at the cuts to encode.

Frames in the order in which they are shown (K starts a GOP: an IDR frame, a random access picture of HEVC, or a
keyframe of VP8 or VP9):

    recording   K . . . . . . . K . . . . . . . K . . . . . . .
    clip                [                                  )
                        | head  | copied packets      |tail|

- The head is decoded: all frames before the first K in the range. Leading pictures of HEVC belong to it. They follow K
  in the file but are shown before it.
- Packets are copied from K on, in decoding order, up to the first packet whose frame is shown at or after the clip's
  end. A decoder needs no packet after that: references precede the frames that use them.
- The tail is decoded: B-frames that are shown before the clip's end, but follow that first packet in decoding order.

      packets       K0 P4 b1 b2 b3   P8 b5 b6 b7    (numbered as they are shown; the clip ends before frame 7)
                    copied           P8 is decoded as a reference, b5 and b6 are the tail, b7 is not needed

- A GOP that cannot be copied is decoded and encoded. Copying continues with the next GOP that can be copied.
- The first packets of the first and of the last GOP of each copied stretch are decoded as well. `SeamEvent`s have the
  checksums of their pictures: a decoder of the clip's file must later return the same pictures.

CannotCopy is raised if the recording does not allow this. The checks that need no decoding are made before the head is
decoded.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
from av.video.frame import PictureType

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.frames import FrameSelector
from clipengine.clips.plan.segments import CannotCopy, RefusedStretch, Segment, plan_segments
from clipengine.media.bitstream.bits import SETS_CHANGE, BitstreamError
from clipengine.media.bitstream.copied_stream import StreamParameters, copied_stream
from clipengine.media.bitstream.hevc_stream import HevcStream
from clipengine.media.bitstream.packets import CopiedPacket
from clipengine.media.input.containers.container import codec_name, is_presented
from clipengine.media.input.copying.copied_decoder import DAMAGED, CopiedDecoder, TimedFrame
from clipengine.media.input.copying.copied_tail import CopiedTail, reordered_frames
from clipengine.media.input.copying.copyable_gops import CopyableGops
from clipengine.media.input.decoding.audio_decode import AudioDecoder
from clipengine.media.input.decoding.damage import Damage
from clipengine.media.input.decoding.events import (
    BeginEvent,
    CopiedVideo,
    Event,
    NextKeyframeEvent,
    SeamEvent,
    VideoFrameEvent,
    VideoPacketEvent,
)
from clipengine.media.input.seeking.seekers import AnySeeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.timeline import as_fraction


class PacketCopier:
    """Yields one BeginEvent, then frames to encode, packets to copy and audio frames. Call `begin` and `plan` first.

    With `full_proof` all copied packets are decoded too. With `only_plans`, for the plan of a range that is
    too long to read, nothing is copied and only the first packets of each GOP are checked.
    """

    def __init__(
        self, seeker: AnySeeker, cut: CutRange, *, threads: int, full_proof: bool = False, only_plans: bool = False
    ) -> None:
        self._seeker = seeker
        self._cut = cut
        self._threads = threads
        self._full_proof, self._only_plans = full_proof, only_plans
        self._audio = AudioDecoder(seeker, cut.end)
        self._selector: FrameSelector[av.VideoFrame | TimedPacket] = FrameSelector(cut)
        self._begun = False
        self._refusal: CannotCopy | None = None  # why no packet can be copied
        self._encoded = Fraction(0)  # seconds of the clip whose packets are not copied
        # Stretches of the clip that are encoded because a GOP cannot be copied.
        self.refused: list[RefusedStretch] = []
        self.damage = Damage()
        self.last_time: Fraction | None = None  # recording time of the latest frame

    def begin(self) -> CopiedVideo:
        """Read the recording up to the first packets to copy, and return its stream. Raises CannotCopy."""
        self._seeker.seek()
        self._open()
        self._gops = CopyableGops(
            self._packets(),
            self._video,
            self._bitstream,
            self._cut,
            full_proof=self._full_proof,
            only_first=self._only_plans,
        )
        try:
            self._gops.find()
        except CannotCopy as refusal:
            self._refusal = refusal
        reordered = self._count_reordered_frames()
        self._copied = CopiedVideo(self._video, self._bitstream, reordered, self._gops.keyframe_id)
        return self._copied

    def plan(self) -> tuple[Segment, ...]:
        """Return the segments of the clip as known from its first GOPs. Call it after `begin`.

        Raises CannotCopy if no packet, or too little of the clip, can be copied.
        """
        if self._refusal is not None:
            raise self._refusal
        key, segments = self._gops.key.time, plan_segments(self._cut, self._gops.key.time)
        before = (timed for timed in self._gops.ahead if timed.is_video and timed.time < key)
        if not any(is_presented(timed.packet) for timed in before):  # then nothing is encoded before it
            return (replace(segments[-1], start=self._cut.start),)
        return segments

    @property
    def only_frame(self) -> str | None:
        """The keyframe id of a range that is one copied frame, which must not follow a frame with the same id.

        It is None if the range has more frames, or if its frame may follow any other. Read it after `plan`. The id is
        the picture order count of an HEVC picture that is no IDR picture: FFmpeg's decoder refuses two with the same
        count in a row.
        """
        keyframe_id, time = self._gops.keyframe_id, self._gops.key.time
        if not self.begins_like(keyframe_id) or time + self._cut.frame_seconds < self._cut.last_moment:
            return None
        return str(keyframe_id)

    def begins_like(self, keyframe_id: int | None) -> bool:
        """Return True if the clip begins on a copied keyframe that must not follow another with this id."""
        own = self._gops.keyframe_id
        numbered = isinstance(self._bitstream, HevcStream) and own > 0
        return numbered and own == keyframe_id and not self._needs_head()

    def events(self) -> Generator[Event]:
        """Yield the events of the clip. Raises CannotCopy."""
        self._audio.prepare(self.damage)
        refused_gop = self._gops.refused_gop
        yield from self._head()
        self._begin_encoded(refused_gop)
        while True:
            tail = CopiedTail(self._cut, self._copied.reordered_frames)
            yield from self._copy_all(tail)
            refused_gop = self._gops.refused_gop
            yield from self._prove_end(tail, is_last=refused_gop is None)
            if refused_gop is None:
                yield from self._encode_tail(tail)
                break
            if not (yield from self._encode_refused(*refused_gop)):
                break
        yield from self._audio.drain()

    @property
    def _origin(self) -> Fraction:
        """The recording time at which the clip begins."""
        return self._selector.origin or Fraction(0)

    def _begin_encoded(self, refused_gop: tuple[Fraction, str] | None) -> None:
        """Count the seconds that are encoded before the first copied frame.

        If GOPs before it were refused, the seconds from the first of them on are also a stretch in `refused`.
        """
        key = self._gops.key.time
        self._encoded = max(Fraction(0), (key if refused_gop is None else refused_gop[0]) - self._cut.start)
        if refused_gop is not None:
            self._note_refused(refused_gop[0], key, refused_gop[1])

    def _packets(self) -> Iterator[TimedPacket]:
        return self._seeker.packets()

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
            given = StreamParameters(context.extradata or b"", context.width, context.height)
            self._bitstream = copied_stream(codec_name(self._video), given)
            self._decoder = CopiedDecoder(seeker, self._video, threads=self._threads)
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _count_reordered_frames(self) -> int:
        """Return the number of frames by which packets must be decoded before they are shown."""
        times = [timed.time for timed in self._gops.ahead if timed.is_video]
        known = max(self._bitstream.stated_reordering or 0, reordered_frames(times))
        return min(known, self._bitstream.most_reordering)

    # ---- head

    def _head(self) -> Iterator[Event]:
        """Decode the frames before the first copied frame, and begin the clip.

        The decoder goes on with the first copied packets. It returns leading pictures among the frames, and keeps the
        checksums of the copied pictures, which `_seams` then yields.
        """
        needed = self._needs_head()
        self._first = next(timed for timed in self._gops.ahead if timed.is_video)
        for timed in self._gops.head():
            if not timed.is_video:
                yield from self._audio.events(timed)
            elif needed:
                yield from self._select(self._decoder.decode(timed, skips=self._is_before_clip(timed)))
        for timed, expected in self._gops.proven(self._copied.reordered_frames):
            before = self._decoder.decode(timed, expected=expected)
            yield from self._select(before if needed else ())
        before = self._decoder.flush()
        yield from self._select(before if needed else ())
        if needed:
            self._check_leading()
        key = self._gops.key
        chosen = list(self._selector.push(key.time, key))
        if self._selector.origin is None:
            chosen += self._selector.finish()
        if not chosen or chosen[-1][1] is not key:
            raise CannotCopy("the clip does not reach its first keyframe")
        yield from self._chosen(chosen)
        yield from self._seams()

    def _seams(self, *, all_of_them: bool = True) -> Iterator[SeamEvent]:
        """Yield the checksums of copied pictures. Raises CannotCopy if the decoder has not returned one."""
        yield from (self._seam(time, picture) for time, picture in self._decoder.pictures(all_of_them=all_of_them))

    def _seam(self, time: Fraction, picture: int = 0) -> SeamEvent:
        return SeamEvent(time - self._origin, picture)

    def _check_leading(self) -> None:
        """Raise CannotCopy unless the last leading picture was decoded.

        A decoder skips leading pictures if their references are missing.
        """
        shown = [timed.time for timed in self._gops.leading if not self._is_before_clip(timed)]
        if shown and (self.last_time is None or self.last_time < max(shown)):
            raise CannotCopy(DAMAGED)

    def _is_before_clip(self, timed: TimedPacket) -> bool:
        on_screen = self._seeker.on_screen
        return on_screen is not None and timed.time < on_screen

    def _needs_head(self) -> bool:
        """Return True if frames before the first copied frame are shown in the clip."""
        start, key = self._cut.start, self._gops.key.time
        before = (timed for timed in self._gops.ahead if timed.is_video)
        nearer = any(abs(timed.time - start) <= abs(key - start) for timed in before if timed.time < key)
        return nearer or key > self._cut.latest_start

    def _select(self, frames: Sequence[TimedFrame]) -> Iterator[Event]:
        for time, frame in frames:
            if self.last_time is None and not self._begins_decoding(time, frame):
                raise CannotCopy("the frame on screen at the start could not be decoded")
            if (self.last_time is not None and time <= self.last_time) or time >= self._gops.key.time:
                raise CannotCopy("frames are not shown in the order of their times")
            self.last_time = time
            self.damage.decoded_frames += 1
            yield from self._chosen(self._selector.push(time, frame))

    def _begins_decoding(self, time: Fraction, frame: av.VideoFrame) -> bool:
        """Return True if decoding may begin with this frame.

        It must be intact, and must not be after the clip's start if a frame is on screen there.
        Frames of an edit list's pre-roll are decoded but not returned, so the first frame may not be the keyframe.
        """
        intact = frame.key_frame or frame.pict_type == PictureType.I or self._gops.starts_gop(self._first)
        return intact and (self._seeker.on_screen is None or time <= self._cut.start)

    def _chosen(self, chosen: Iterable[tuple[Fraction, av.VideoFrame | TimedPacket]]) -> Iterator[Event]:
        for time, item in chosen:
            if not self._begun:
                self._begun = True
                frame = item if isinstance(item, av.VideoFrame) else self.first_copied_frame()
                yield BeginEvent(self._origin, frame)
                yield from self._audio.begin()
            if isinstance(item, av.VideoFrame):
                yield VideoFrameEvent(time, item)

    def first_copied_frame(self) -> av.VideoFrame:
        """Decode the first frame whose packet is copied. Call it after `plan`, before or instead of `events`."""
        frames = self._decoder.decode(self._gops.key) + self._decoder.flush()
        if not frames:
            raise CannotCopy("its keyframes do not decode")
        return frames[0][1]

    # ---- copied packets

    def _copy_all(self, tail: CopiedTail) -> Iterator[Event]:
        """Yield the packets to copy, up to the first GOP that cannot be copied."""
        for timed, copied in self._gops.copied():
            if not timed.is_video:
                yield from self._audio.events(timed)
            elif copied is not None:
                yield from self._copy(timed, copied, tail)
            else:
                tail.add_after(timed)

    def _copy(
        self, timed: TimedPacket, copied: CopiedPacket, tail: CopiedTail
    ) -> Iterator[VideoPacketEvent | SeamEvent]:
        self._add_copied(timed, copied, tail)
        self.damage.decoded_frames += 1
        self.damage.copied_packets += timed.packet.is_corrupt
        packet = timed.packet
        duration = (packet.duration or 0) * as_fraction(packet.time_base) or self._cut.frame_seconds
        time = timed.time - self._origin
        if copied.follows_gap:
            self.damage.copied_gaps.append(time)
        yield VideoPacketEvent(time, copied.data, copied.checksum, duration, copied.keyframe_id)
        if self._full_proof:
            self._decoder.decode(timed, expected=True)
            yield from self._seams(all_of_them=False)

    def _add_copied(self, timed: TimedPacket, copied: CopiedPacket, tail: CopiedTail) -> None:
        tail.add_copied(
            timed, starts_gop=copied.keyframe_id is not None, leading=self._bitstream.is_leading(bytes(timed.packet))
        )
        self.last_time = max(self.last_time or timed.time, timed.time)

    # ---- tail

    def _prove_end(self, tail: CopiedTail, *, is_last: bool) -> Iterator[SeamEvent]:
        """Yield the checksums of the first pictures of the last copied GOP, for which its first packets are decoded.

        They were decoded before with `full_proof`, which decodes all copied packets, and if copying began with this
        GOP. If encoded frames follow, the times of its other pictures (`tail.rest`) follow without a checksum: the
        clip's decoder must return any picture then.
        """
        if self._full_proof:
            self._decoder.flush()
        elif tail.seam and tail.seam[0] is not self._gops.key:
            for timed in tail.seam:
                self._decoder.decode(timed, expected=True)
            self._decoder.flush()
        yield from self._seams()
        if not is_last or tail.wanted(self.last_time):
            yield from (self._seam(time) for time in tail.rest)

    def _encode_refused(self, start: Fraction, reason: str) -> Generator[Event, None, bool]:
        """Decode the frames from a refused GOP to the next GOP to copy. Return False if there is none."""
        end = self._next_copied(start, reason)
        if end is not None:
            yield NextKeyframeEvent(self._gops.keyframe_id)
        try:
            yield from self._decode_refused(is_last=end is None)
        except CannotCopy:
            raise CannotCopy(reason) from None
        return end is not None

    def _next_copied(self, start: Fraction, reason: str) -> Fraction | None:
        """Find the next GOP that can be copied, and return the time of its keyframe, or None.

        The frames from `start` up to it, or up to the clip's end, become a stretch in `refused`.
        """
        try:
            self._gops.find(after_copied=True)
            end = self._gops.key.time
        except CannotCopy:
            end = None
        if self.last_time is not None:  # repeated frames up to the latest time are left out
            start = max(start, self.last_time + self._cut.frame_seconds)
        if end is None or end > start:
            self._note_refused(start, end, reason)
        return end

    def _note_refused(self, start: Fraction, end: Fraction | None, reason: str) -> None:
        """Note that the clip is encoded in this stretch.

        Raises CannotCopy with the reason if more than half of the clip would be encoded.
        """
        self._encoded += (self._cut.end if end is None else end) - start
        if 2 * self._encoded > self._cut.end - self._cut.start:
            raise CannotCopy(reason)
        until = None if end is None else end - self._origin
        self.refused.append(RefusedStretch(start - self._origin, until, reason))

    def _decode_refused(self, *, is_last: bool) -> Iterator[Event]:
        wanted: set[Fraction] = set()
        shape = self._decoder.sample_aspect_ratio
        for timed in self._gops.head():
            if not timed.is_video:
                yield from self._audio.events(timed)
                continue
            if timed.packet.stream is not self._video:
                raise CannotCopy(SETS_CHANGE)
            if timed.is_repeated and self.last_time is not None:
                self.damage.add_repeated(self.last_time)
            elif timed.time < self._cut.last_moment:
                wanted.add(timed.time)
            yield from self._wanted(self._decoder.decode(timed), wanted)
            if self._decoder.sample_aspect_ratio != shape:
                raise CannotCopy("the shape of its pictures changes")
        for timed, expected in () if is_last else self._gops.proven(self._copied.reordered_frames):
            if not expected:
                wanted.add(timed.time)
            yield from self._wanted(self._decoder.decode(timed, expected=expected), wanted)
        yield from self._wanted(self._decoder.flush(), wanted)
        if wanted:
            raise CannotCopy("frames that are not copied cannot be decoded")
        yield from self._seams()

    def _wanted(self, frames: Sequence[TimedFrame], wanted: set[Fraction]) -> Iterator[VideoFrameEvent]:
        for time, frame in frames:
            if time in wanted and self.last_time is not None and time > self.last_time:
                wanted.remove(time)
                self.last_time = time
                yield VideoFrameEvent(time - self._origin, frame)

    def _encode_tail(self, tail: CopiedTail) -> Iterator[VideoFrameEvent]:
        """Decode the tail: the frames before the clip's end whose packets were not copied."""
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
            yield VideoFrameEvent(time - self._origin, frame)
