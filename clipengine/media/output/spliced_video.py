"""Video track of a smart render: copied packets and encoded frames in one stream, with one decoder configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.codec.context import Flags
from av.filter import Graph
from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.plan.segments import CannotCopy, seam_threads
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.copied_stream import Rewriter
from clipengine.media.bitstream.h264_slices import MAX_IDR_IDS
from clipengine.media.input.decoding.events import CopiedVideo, VideoPacketEvent
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.output.decoding_times import DecodedTooLate, DecodingTimes
from clipengine.media.output.segment_encoder import StoredFrames, segment_encoder
from clipengine.media.output.spliced_track import EncoderPacket
from clipengine.media.video.filter_graph import linear_graph, pull_one

_MOST_FRAMES = 250  # that one encoder encodes: its first one is the only keyframe
_PROVEN_FRAMES = 24  # at the start of an encoder, whose pictures the clip must show


class SplicedPacket(NamedTuple):
    """A packet to mux. `checksum` is None if the packet was encoded, see `CopiedPacket`.

    The first packets of an encoder come with their `original`, which must show the same picture.
    """

    packet: Packet[Any]
    checksum: int | None
    original: EncoderPacket | None


class SplicedVideo:
    """Turns copied packets and frames into the packets of one stream, in decoding order.

    They may come from several parts, each of which begins with a keyframe. The stream has the codec parameters of
    `copied`.
    """

    def __init__(
        self,
        stream: VideoStream,
        copied: CopiedVideo,
        *,
        preset: str,
        rate: Fraction,
        threads: int,
        unit: int,
    ) -> None:
        self.stream = stream
        self._stored = StoredFrames.of(copied)
        self._preset = preset
        self._rate = rate
        self._threads = seam_threads(threads)
        self._tick, self._unit = as_fraction(stream.time_base or 1), unit
        self._encoder: Any = None
        self._given = self._encoded = 0  # frames that the current encoder got, and returned since its latest keyframe
        self._encoder_id = 0  # of the current encoder's latest keyframe
        self._keyframe_id = copied.keyframe_id  # of the copied keyframe that is nearest
        self.last_keyframe: int | None = None  # the id of the latest packet if it is a keyframe
        self._begins = True  # the next packet is the first one of a part
        self._clock = DecodingTimes(copied.reordered_frames, max(unit, self.ticks(1 / rate)), unit)
        self._held: list[SplicedPacket] = []  # from the packet whose frame is shown last on
        self._latest: int | None = None
        self._enlarger: Graph | None = None
        self._rewriter = self._open()
        if self._rewriter.extradata:
            stream.codec_context.extradata = self._rewriter.extradata

    def encode(self, frame: av.VideoFrame | None) -> Iterator[SplicedPacket]:
        """Encode a frame with pts and duration, and yield the packets that are ready; None ends the segment."""
        if frame is not None and self._given == _MOST_FRAMES:
            yield from self.encode(None)
        if self._encoder is None:
            if frame is None:
                return
            if self._open().extradata != self._rewriter.extradata:
                raise CannotCopy("the encoder's parameter sets differ between segments")
        if frame is not None:
            self._check(frame)
            frame = self._enlarge(frame)
            self._given += 1
        for packet in self._encoder.encode(frame):
            if packet.is_keyframe:
                self._encoded, self._encoder_id = 0, self._free_id()
            original = EncoderPacket(bytes(packet), self._encoder.extradata or b"")
            data, keyframe_id = self._rewritten(original.data), self._encoder_id if packet.is_keyframe else None
            yield from self._add(data, packet.pts, packet.duration, keyframe_id=keyframe_id, original=original)
            self._encoded += 1
        if frame is None:
            self._encoder, self._given = None, 0

    def copy(self, event: VideoPacketEvent) -> Iterator[SplicedPacket]:
        """End an encoded segment, and yield the packets that are ready after the copied one."""
        if self._encoder is not None:
            yield from self.encode(None)
        if event.keyframe_id is not None:
            event = self._distinct(event, event.keyframe_id)
            self._keyframe_id = event.keyframe_id or 0
        pts, duration = self.ticks(event.time), self.ticks(event.duration)
        yield from self._add(event.data, pts, duration, keyframe_id=event.keyframe_id, checksum=event.checksum)

    def expect_keyframe(self, keyframe_id: int) -> None:
        """Encode frames to be followed by a copied keyframe with this id."""
        self._keyframe_id = keyframe_id

    def end_part(self, end: Fraction) -> Iterator[SplicedPacket]:
        """Yield the remaining packets of a part. The frame that is shown last lasts until its end, in clip time."""
        yield from self.encode(None)
        if self._held:
            last = self._held[0].packet
            last.duration = max(self._unit, self.ticks(end) - (last.pts or 0))
        yield from self._held
        self._held = []
        self._begins = True

    def _distinct(self, event: VideoPacketEvent, keyframe_id: int) -> VideoPacketEvent:
        """Return the first keyframe of a part with another id than a keyframe right before it.

        In a recording the ids of adjacent keyframes differ, mostly by one. So the next one has not this id either.
        """
        if not self._begins or keyframe_id != self.last_keyframe:
            return event
        try:
            other = self._stored.bitstream.renumbered(event.data, (keyframe_id + 2) % MAX_IDR_IDS)
        except BitstreamError as error:
            raise CannotCopy(f"its header cannot be written: {error}") from None
        if other is None:
            return event
        return replace(event, data=other.data, checksum=other.checksum, keyframe_id=other.keyframe_id)

    def _free_id(self) -> int:
        """Return an id for an encoded keyframe that the keyframes before and after it do not have."""
        after, later = ((self._keyframe_id + number) % MAX_IDR_IDS for number in (1, 3))
        return later if after == self.last_keyframe else after

    def _open(self) -> Rewriter:
        """Open an encoder for one segment: its first frame is a keyframe."""
        self._encoder, self._encoded = self._open_encoder(), 0
        try:
            return self._stored.bitstream.rewriter(self._encoder.extradata or b"")
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _open_encoder(self) -> Any:
        encoder: Any = segment_encoder(self._stored, self._preset, self._threads)
        encoder.time_base, encoder.framerate = self._tick, self._rate.limit_denominator(100_000)
        encoder.flags |= Flags.global_header | Flags.frame_duration
        encoder.open()
        return encoder

    def _check(self, frame: av.VideoFrame) -> None:
        stored = self._stored
        if (frame.format.name, frame.width, frame.height) != (stored.pixel_format, stored.width, stored.height):
            raise CannotCopy("the size or format of its frames changes")

    def _enlarge(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame in the coded size, with its last lines and columns repeated."""
        width, height = self._encoder.width, self._encoder.height
        right, bottom = width - frame.width, height - frame.height
        if not right and not bottom:
            return frame
        if self._enlarger is None:
            smeared = f"fillborders=right={right}:bottom={bottom}:mode=smear"
            self._enlarger = linear_graph(frame, (f"pad={width}:{height}", smeared))
        large = pull_one(self._enlarger, frame)
        large.pts, large.time_base, large.duration = frame.pts, frame.time_base, frame.duration
        return large

    def _rewritten(self, data: bytes) -> bytes:
        try:
            return self._rewriter.rewritten(data, number=self._encoded, keyframe_id=self._encoder_id)
        except BitstreamError as error:
            raise CannotCopy(f"its header cannot be written: {error}") from None

    def _add(
        self,
        data: bytes,
        pts: int,
        duration: int | None,
        *,
        keyframe_id: int | None,
        checksum: int | None = None,
        original: EncoderPacket | None = None,
    ) -> list[SplicedPacket]:
        """Hold the packet, and return the packets held before it if its frame is shown after all of theirs."""
        packet: Packet[Any] = Packet(data)
        try:
            packet.pts, packet.dts, packet.time_base = pts, self._clock.dts(pts), self._tick
        except DecodedTooLate as error:
            raise CannotCopy(str(error)) from None
        packet.duration = duration or 0
        packet.is_keyframe = keyframe_id is not None
        self.last_keyframe, self._begins = keyframe_id, False
        packet.stream = self.stream
        ready: list[SplicedPacket] = []
        if self._latest is None or pts > self._latest:
            self._latest = pts
            ready, self._held = self._held, []
        self._held.append(SplicedPacket(packet, checksum, original if self._encoded < _PROVEN_FRAMES else None))
        return ready

    def ticks(self, seconds: Fraction) -> int:
        return round(seconds / self._tick)
