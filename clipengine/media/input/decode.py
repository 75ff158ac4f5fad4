"""Decoding a clip: from packets to pictures and sound on the clip's timeline, in the order they are needed.

What is decoded waits for the encoder in `media.input.background_producer`, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags2, ThreadType
from av.video.frame import PictureType

from clipengine.clips.plan import CutRange, FrameSelector
from clipengine.media.input.audio_timestamps import corrected
from clipengine.media.input.seek import Seeker, TimedPacket
from clipengine.media.memory import is_out_of_memory, raise_if_out_of_memory

_SMALLEST_STEP = Fraction(1, 90_000)
# Decoders that look at skip_frame anew for each packet; others (dav1d) take it once, when they are opened.
_SKIPPING_DECODERS = {"h264", "hevc", "mpeg2video", "vp8", "vp9"}


@dataclass(frozen=True)
class BeginEvent:
    """The clip's origin is known: recording time of its first moment. `picture` is its first frame, if it has one."""

    origin: Fraction
    frame: av.VideoFrame | None


@dataclass(frozen=True)
class VideoFrameEvent:
    """A frame that is shown from `time` (clip time) until the next one."""

    time: Fraction
    frame: av.VideoFrame


@dataclass(frozen=True)
class AudioFrameEvent:
    """A decoded piece of the audio stream `index`, presented at `time` (recording time)."""

    index: int
    time: Fraction
    frame: av.AudioFrame


Event = BeginEvent | VideoFrameEvent | AudioFrameEvent


class _SeekTooLate(Exception):
    """The first frame that could be decoded lies after the clip's start: step back."""


class _FalseKeyframe(Exception):
    """The first frame that was decoded is no keyframe, whatever the container says: no landing can be trusted."""


class ClipDecoder:
    """Yields one Begin, then Pictures in order and Sounds in order, for a landing and a range."""

    def __init__(self, seeker: Seeker, cut: CutRange, *, threads: int) -> None:
        self._seeker = seeker
        self._cut = cut
        self._threads = threads
        self._skips = False
        self.damaged_packets = 0
        self.damaged_frames = self.decoded_frames = self.concealed_frames = 0  # that begin in the range
        self.last_time: Fraction | None = None  # recording time of the last frame that was decoded

    def events(self) -> Generator[Event]:
        step = 0
        while True:
            step = self._seeker.seek(step)
            try:
                yield from self._decode()
                return
            except _SeekTooLate:
                step += 1
            except _FalseKeyframe:
                self._seeker.trusts_keyframes = False

    def _decode(self) -> Iterator[Event]:
        seeker = self._seeker
        selector: FrameSelector[av.VideoFrame] = FrameSelector(self._cut)
        begun = False
        waiting: list[TimedPacket] = []  # sound that came before the origin was known
        self.damaged_packets = self.damaged_frames = self.decoded_frames = self.concealed_frames = 0
        self.last_time = None
        self._prepare()
        if seeker.video is None:
            begun = True
            yield BeginEvent(self._cut.start, None)
        for timed in seeker.packets():
            if seeker.video is not None and timed.packet.stream_index == seeker.video.index:
                for time, frame in self._pictures(timed, selector):
                    if not begun:
                        begun = True
                        yield BeginEvent(selector.origin or Fraction(0), frame)
                        yield VideoFrameEvent(time, frame)
                        for held in waiting:
                            yield from self._sounds(held)
                        waiting = []
                    else:
                        yield VideoFrameEvent(time, frame)
            elif begun:
                yield from self._sounds(timed)
            else:
                waiting.append(timed)
        for time, frame in self._last_pictures(selector):
            if not begun:
                begun = True
                yield BeginEvent(selector.origin or Fraction(0), frame)
            yield VideoFrameEvent(time, frame)
        if not begun:
            self._step_back()
            yield BeginEvent(self._cut.start, None)
        for held in waiting:
            yield from self._sounds(held)
        for stream in seeker.audio:
            yield from self._drain_sound(stream)

    def _prepare(self) -> None:
        seeker = self._seeker
        if seeker.video is not None:
            context = seeker.video.codec_context
            context.thread_type = ThreadType.FRAME | ThreadType.SLICE
            context.thread_count = self._threads
            self._skips = context.name in _SKIPPING_DECODERS
        for stream in seeker.audio:
            stream.codec_context.thread_count = 1
            # Some versions drop an edit's whole lead from wherever decoding starts; the timeline trims by time.
            stream.codec_context.flags2 |= Flags2.skip_manual

    # ---- picture

    def _pictures(
        self, timed: TimedPacket, selector: FrameSelector[av.VideoFrame]
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        video = self._seeker.video
        assert video is not None
        if selector.done:
            return
        on_screen = self._seeker.on_screen
        # Before the frame that is on screen at the start nothing is shown: what no other frame needs is not decoded.
        skips = self._skips and not self._seeker.has_field_packets and not self._seeker.decoding_times
        rolling_up = skips and on_screen is not None and timed.time < on_screen
        video.codec_context.skip_frame = "NONREF" if rolling_up else "DEFAULT"
        try:
            frames = video.codec_context.decode(timed.packet)
        except av.FFmpegError as error:
            self._pass_over(error)
            self.damaged_frames += self._in_range(timed.time)
            return
        yield from self._select(frames, selector)

    def _last_pictures(self, selector: FrameSelector[av.VideoFrame]) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        if self._seeker.video is not None and not selector.done:
            try:
                yield from self._select(self._seeker.video.codec_context.decode(None), selector)
            except av.FFmpegError as error:
                self._pass_over(error)
        yield from selector.finish()

    def _select(
        self, frames: list[av.VideoFrame], selector: FrameSelector[av.VideoFrame]
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        stream = self._seeker.video
        assert stream is not None
        for frame in frames:
            time = self._seeker.time_of(frame, stream)
            if time is None:
                time = Fraction(0) if self.last_time is None else self.last_time + self._cut.frame_seconds
            if self.last_time is None:
                if self._seeker.trusts_keyframes and not frame.key_frame and frame.pict_type != PictureType.I:
                    raise _FalseKeyframe
                if time > self._cut.start:
                    self._step_back()
            elif time <= self.last_time:
                time = self.last_time + _SMALLEST_STEP  # two frames at one moment: both are kept, in order
            self.last_time = time
            if self._in_range(time):
                self.decoded_frames += 1
                self.concealed_frames += frame.is_corrupt
            yield from selector.push(time, frame)

    def _in_range(self, time: Fraction) -> bool:
        return self._cut.start - self._cut.half_frame <= time < self._cut.last_moment

    def _step_back(self) -> None:
        """No frame that is decoded was on screen at the clip's start, but a packet says that one was."""
        if self._seeker.on_screen is None:
            return
        if not self._seeker.at_start:
            raise _SeekTooLate
        if self._seeker.trusts_keyframes:
            raise _FalseKeyframe

    def _pass_over(self, error: av.FFmpegError) -> None:
        """Count a packet that does not decode. Raises MemoryError where that is not the packet's fault."""
        if is_out_of_memory(error):
            raise error
        video = self._seeker.video
        raise_if_out_of_memory(video.codec_context.width * video.codec_context.height if video is not None else 0)
        self.damaged_packets += 1

    # ---- sound

    def _sounds(self, timed: TimedPacket) -> Iterator[AudioFrameEvent]:
        stream = timed.packet.stream
        try:
            frames = stream.codec_context.decode(timed.packet)
        except av.FFmpegError as error:
            self._pass_over(error)
            return
        if timed.packet.is_discard:  # decoded for what follows, never heard
            return
        reached: Fraction | None = None
        for frame in frames:
            time = self._seeker.time_of(frame, stream)
            time = timed.time if time is None else time
            time = corrected(self._seeker.stamps.get(stream.index), time, timed.packet, frame)
            # Several frames of one packet (AMR) may all carry the packet's time: they follow on each other.
            time = time if reached is None else max(time, reached)
            reached = time + Fraction(frame.samples, frame.sample_rate)
            yield AudioFrameEvent(stream.index, time, frame)

    def _drain_sound(self, stream: AudioStream) -> Iterator[AudioFrameEvent]:
        try:
            frames = stream.codec_context.decode(None)
        except MemoryError:
            raise
        except av.FFmpegError:
            return
        for frame in frames:
            time = self._seeker.time_of(frame, stream)
            if time is not None:
                yield AudioFrameEvent(stream.index, time, frame)


class EventSizes:
    """How much memory an event takes, in bytes; pictures of one size and format are measured once."""

    def __init__(self) -> None:
        self._pictures: dict[tuple[int, int, str], int] = {}

    def __call__(self, event: Event) -> int:
        if isinstance(event, VideoFrameEvent):
            frame = event.frame
            shape = frame.width, frame.height, frame.format.name
            if shape not in self._pictures:
                self._pictures[shape] = sum(plane.buffer_size for plane in frame.planes)
            return self._pictures[shape]
        if isinstance(event, AudioFrameEvent):
            return event.frame.samples * event.frame.layout.nb_channels * event.frame.format.bytes
        return 0  # its picture comes again as a Picture
