"""Frames of a recording at given times.

A frame is selected by the rule of a clip's first frame. If the times are far apart, each has the keyframe before it
unless an earlier time already has it: one frame is decoded instead of hundreds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import (
    has_decoding_times,
    keep_only,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.decoding.damage import Damage
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import Event, VideoFrameEvent
from clipengine.media.input.decoding.shown_sizes import StreamSizes
from clipengine.media.input.seeking.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.seeking.seek import STEPS_BACK, Seeker
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.input.timing.display_order import DisplayOrder
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex
from clipengine.recordings.seek_index import SeekIndex

_MIN_SECONDS = Fraction(1, 25)
# Closer times are decoded in one pass and exact; for others each keyframe is found by seeking.
_SEEK_SECONDS = Fraction(1)
_ROUNDING = Fraction(1, 1000)  # of times in Matroska
# Formats whose index names all keyframes.
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")

TimedFrame = tuple[Fraction, av.VideoFrame]  # recording time and frame


def shown_frames(
    reader: MediaReader,
    facts: SourceFacts,
    moments: Sequence[Fraction],
    *,
    threads: int,
    seek_index: SeekIndex | None,
    damage: Damage | None = None,
) -> Iterator[TimedFrame]:
    """Yield each of the times, which are in order, with the frame that is shown, as far as one can be decoded.

    Packets that do not decode are counted in `damage`.
    """
    damage = Damage() if damage is None else damage
    frames: _PieceFrames | _SeekingReader | _SequentialReader
    if isinstance(seek_index, PieceSeekIndex):
        frames = _PieceFrames(reader, facts, seek_index, threads, damage)
    elif can_seek(facts):
        frames = _SeekingReader(reader, facts, threads, damage)
    else:
        frames = _SequentialReader(reader, facts, moments[-1])
    yield from frames.frames(moments)


def events_at(
    reader: MediaReader,
    facts: SourceFacts,
    at: Fraction,
    *,
    threads: int,
    seek_index: SeekIndex | None,
    damage: Damage | None = None,
) -> Generator[Event]:
    """Yield the events of the shortest range that shows the frame at a time.

    `damage.packets` becomes at least the number of packets that do not decode.
    """
    cut = _cut_at(facts.video, at)
    with open_seeker(reader, facts, cut, video=True, audio=(), seek_index=seek_index) as seeker:
        decoder = ClipDecoder(seeker, cut, threads=threads)
        try:
            yield from decoder.events()
        finally:
            if damage is not None:
                damage.packets = max(damage.packets, decoder.damage.packets)  # a packet may be read twice


def can_seek(facts: SourceFacts) -> bool:
    """Return True if each frame of a recording can be decoded without the packets before its keyframe."""
    return facts.seekable and not facts.header_changes


def _are_far_apart(moments: Sequence[Fraction]) -> bool:
    return len(moments) > 1 and moments[1] - moments[0] > _SEEK_SECONDS


def _cut_at(video: VideoFacts | None, at: Fraction) -> CutRange:
    """Return the shortest range that shows the frame at a time."""
    frame_seconds, tick = (Fraction(0), Fraction(0)) if video is None else (video.frame_seconds, video.tick)
    return CutRange(at, at + 2 * max(frame_seconds, _MIN_SECONDS), frame_seconds=frame_seconds, tick=tick)


def _decoded_alone(packet: Packet[Any]) -> av.VideoFrame | None:
    """Return the frame of a keyframe, or None if it does not decode."""
    context = packet.stream.codec_context
    try:
        return next(iter([*context.decode(packet), *context.decode(None)]), None)
    except av.FFmpegError:
        return None


class _PieceFrames:
    """Reads the frames at given times from the pieces of a recording."""

    def __init__(
        self, reader: MediaReader, facts: SourceFacts, pieces: PieceSeekIndex, threads: int, damage: Damage
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._pieces = pieces
        self._threads = threads
        self._damage = damage

    def frames(self, moments: Sequence[Fraction]) -> Iterator[TimedFrame]:
        far_apart = _are_far_apart(moments)
        for moment in moments:
            damage = Damage()
            frame = self._keyframe(moment, moments[1] - moments[0], damage) if far_apart else None
            if frame is None:
                frame = self._exact(moment, damage)
            self._damage.packets += damage.packets
            if frame is not None:
                yield moment, frame

    def _exact(self, moment: Fraction, damage: Damage) -> av.VideoFrame | None:
        facts, pieces, threads = self._facts, self._pieces, self._threads
        events = events_at(self._reader, facts, moment, threads=threads, seek_index=pieces, damage=damage)
        frames = [event.frame for event in events if isinstance(event, VideoFrameEvent)]  # all, to count the damage
        return frames[0] if frames else None

    def _keyframe(self, moment: Fraction, within: Fraction, damage: Damage) -> av.VideoFrame | None:
        """Return the keyframe at or at most `within` before a time, or None."""
        cut = _cut_at(self._facts.video, moment)
        with open_seeker(self._reader, self._facts, cut, video=True, audio=(), seek_index=self._pieces) as seeker:
            seeker.seek()
            timed = next(seeker.packets(), None)
            if timed is None or not timed.packet.is_keyframe or not moment - within <= timed.time <= moment:
                return None
            frame = _decoded_alone(timed.packet)
            damage.packets += frame is None
            return frame


class _SeekingReader:
    """Reads the frames at given times by seeking."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, threads: int, damage: Damage) -> None:
        self._reader = reader
        self._damage = damage
        self._facts = facts.video
        self._origin = facts.origin
        self._slack = Fraction(0) if facts.video is None else facts.video.frame_seconds / 2
        self._threads = threads
        self._decoder_state: DecoderState | None = None

    def frames(self, moments: Sequence[Fraction]) -> Iterator[TimedFrame]:
        while True:
            with open_recording(self._reader) as container:
                stream = video_stream(container)
                if stream is None:
                    return
                if self._decoder_state is not None or not needs_first_packet(stream):
                    self._prepare(container, stream)
                    yield from self._frames_at(container, stream, moments)
                    return
            self._decoder_state = read_decoder_state(self._reader)

    def _prepare(self, container: InputContainer, stream: VideoStream) -> None:
        keep_only(container, [stream])
        self._sizes = StreamSizes(stream)
        stream.codec_context.thread_type, stream.codec_context.thread_count = ThreadType.SLICE, self._threads
        stream.codec_context.flags |= Flags.copy_opaque
        if self._decoder_state is not None:
            self._decoder_state.configure(stream)

    def _frames_at(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[TimedFrame]:
        if _are_far_apart(moments):
            yield from self._keyframes(container, stream, moments)
        else:
            yield from self._exact_frames(container, stream, moments)

    def _exact_frames(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[TimedFrame]:
        following, frames = self._seek_before(container, stream, moments[0])
        shown: TimedFrame | None = None
        for moment in moments:
            shown, following = self._decode_to(moment, shown, following, frames)
            if shown is not None:
                yield moment, shown[1]

    def _keyframes(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[TimedFrame]:
        shown, within = None, moments[1] - moments[0]
        for moment in moments:
            keyframe = self._keyframe_before(container, stream, moment)
            oldest = moment - within if shown is None else shown[0]
            if keyframe is not None and keyframe[0] > oldest:
                shown = keyframe
            else:
                following, frames = self._seek_before(container, stream, moment)
                shown, _ = self._decode_to(moment, shown, following, frames)
            if shown is not None:
                yield moment, shown[1]

    def _keyframe_before(self, container: InputContainer, stream: VideoStream, moment: Fraction) -> TimedFrame | None:
        """Return the last keyframe at or before a time, or None if it cannot be found or decoded."""
        if has_decoding_times(container, stream, self._facts):
            return None
        found = None
        for back in STEPS_BACK:
            stream.codec_context.flush_buffers()
            self._seek(container, stream, moment - back)
            for number, (time, packet) in enumerate(self._timed_packets(container, stream)):
                if time > moment + _ROUNDING:
                    break
                if packet.is_keyframe:
                    found = time, packet
                    if number == 0 and back == 0 and container.format.name in _INDEXED:
                        break  # the index says that it is the last one
            if found is not None or back > moment:
                break
        if found is None:
            return None
        self._sizes.note(found[1])
        if self._decoder_state is not None:
            self._decoder_state.complete(found[1])
        frame = _decoded_alone(found[1])
        return None if frame is None or not frame.key_frame else (found[0], frame)

    def _decode_to(
        self, moment: Fraction, shown: TimedFrame | None, following: TimedFrame | None, frames: Iterator[TimedFrame]
    ) -> tuple[TimedFrame | None, TimedFrame | None]:
        """Decode up to the moment. Return the frame that is shown then, and the next frame."""
        while following is not None and (shown is None or following[0] <= moment + self._slack):
            shown, following = following, next(frames, None)
        return shown, following

    def _seek_before(
        self, container: InputContainer, stream: VideoStream, moment: Fraction
    ) -> tuple[TimedFrame | None, Iterator[TimedFrame]]:
        """Seek to the moment or earlier. Return the first decoded frame and an iterator over later frames."""
        for back in STEPS_BACK:
            stream.codec_context.flush_buffers()
            self._seek(container, stream, moment - back)
            frames = self._decode(container, stream)
            first = next(frames, None)
            if first is not None and (first[0] <= moment + self._slack or back > moment):
                return first, frames
        return None, iter(())

    def _seek(self, container: InputContainer, stream: VideoStream, time: Fraction) -> None:
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        container.seek(int((time + self._origin) / tick // 1), stream=stream)

    def _timed_packets(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[Fraction, Packet[Any]]]:
        for packet in read_packets(container, [stream], self._reader):
            time = packet_time(packet)
            if time is not None:
                yield time - self._origin, packet

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[TimedFrame]:
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        order = DisplayOrder() if has_decoding_times(container, stream, self._facts) else None
        for number, packet in enumerate(read_packets(container, [stream], self._reader)):
            if order is not None:
                order.add(packet)
            if number == 0 and self._decoder_state is not None:
                self._decoder_state.complete(packet)
            self._sizes.note(packet)
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError:
                self._damage.packets += 1
                continue
            for frame in frames:
                stamp = frame.pts if order is None else order.stamp_of(frame)
                if stamp is not None:
                    yield stamp * tick - self._origin, frame


class _SequentialReader:
    """Reads a recording with unreliable timestamps from its start and decodes only keyframes."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, end: Fraction) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = CutRange(Fraction(0), end, frame_seconds=facts.video.frame_seconds if facts.video else Fraction(0))

    def frames(self, moments: Sequence[Fraction]) -> Iterator[TimedFrame]:
        pending = deque(moments)
        shown: av.VideoFrame | None = None
        for time, frame in self._keyframes():
            while shown is not None and pending and time > pending[0]:
                yield pending.popleft(), shown
            if not pending:
                return
            shown = frame or shown
        if shown is not None:
            yield from ((moment, shown) for moment in pending)

    def _keyframes(self) -> Iterator[tuple[Fraction, av.VideoFrame | None]]:
        """Yield the time of each packet, with its frame if it is a keyframe that decodes."""
        with Seeker(self._reader, self._facts, self._cut, video=True, audio=()) as seeker:
            seeker.seek()
            stream = seeker.video
            if stream is None:
                return
            stream.codec_context.skip_frame = "NONKEY"
            for timed in seeker.packets():
                yield timed.time, self._decoded(stream, timed.packet)

    @staticmethod
    def _decoded(stream: VideoStream, packet: Packet[Any]) -> av.VideoFrame | None:
        if packet_time(packet) is None or not packet.is_keyframe:
            return None
        try:
            return next(iter(stream.codec_context.decode(packet)), None)
        except av.FFmpegError:
            return None
