"""Decoding of a clip: from packets to video and audio frames on the clip's timeline.

It runs in a background thread, see `media.input.decoding.background_producer`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction

import av
from av.codec.context import Flags, ThreadType
from av.video.frame import PictureType
from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.frames import FrameSelector
from clipengine.media.input.decoding.audio_decode import AudioDecoder, raise_if_memory_ran_out
from clipengine.media.input.decoding.damage import Damage
from clipengine.media.input.decoding.events import BeginEvent, Event, VideoFrameEvent
from clipengine.media.input.decoding.shown_sizes import StreamSizes
from clipengine.media.input.seeking.seekers import AnySeeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.repeated_times import RepeatedTimes

SMALLEST_STEP = Fraction(1, 90_000)
# Decoders that apply changes of skip_frame; others (dav1d) read it once when they are opened.
_SKIPPING_DECODERS = {"h264", "hevc", "mpeg2video", "vp8", "vp9"}


class _SeekTooLate(Exception):
    """The first decodable frame is after the clip's start: seek further back."""


class _FalseKeyframe(Exception):
    """The first decoded frame is not a keyframe although the container says so: seeks cannot be trusted."""


class ClipDecoder:
    """Yields one BeginEvent, then video and audio frame events, each kind in order."""

    def __init__(self, seeker: AnySeeker, cut: CutRange, *, threads: int) -> None:
        self._seeker = seeker
        self._cut = cut
        self._threads = threads
        self._video: VideoStream | None = None  # whose decoder is open
        self._skips = False
        self._begun = False
        self._audio = AudioDecoder(seeker, cut.end)
        self.damage = Damage()
        self.last_time: Fraction | None = None  # recording time of the last decoded frame

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
        self.damage = Damage()
        self.last_time = None
        self._repeated = RepeatedTimes(self._cut.frame_seconds)
        self._begun = seeker.video is None
        self._prepare()
        if seeker.video is None:
            yield BeginEvent(self._cut.start, None)
            yield from self._audio.begin()
        for timed in seeker.packets():
            if timed.is_video:
                yield from self._video_events(self._video_frames(timed, selector), selector)
            else:
                yield from self._audio.events(timed)
        yield from self._video_events(self._last_video_frames(selector), selector)
        if not self._begun:
            self._step_back()
            yield BeginEvent(self._cut.start, None)
            yield from self._audio.begin()
        yield from self._audio.drain()

    def _video_events(
        self, frames: Iterator[tuple[Fraction, av.VideoFrame]], selector: FrameSelector[av.VideoFrame]
    ) -> Iterator[Event]:
        for time, frame in frames:
            if self._begun:
                yield VideoFrameEvent(time, frame)
                continue
            self._begun = True
            yield BeginEvent(selector.origin or Fraction(0), frame)
            yield VideoFrameEvent(time, frame)
            yield from self._audio.begin()

    def _prepare(self) -> None:
        self._video = None
        if self._seeker.video is not None:
            self._open(self._seeker.video)
        self._audio.prepare(self.damage)

    def _open(self, stream: VideoStream) -> None:
        """Decode the video with the decoder of this stream from now on."""
        self._video, context = stream, stream.codec_context
        context.thread_type = ThreadType.FRAME | ThreadType.SLICE
        context.thread_count = self._threads
        context.flags |= Flags.copy_opaque
        self._sizes = StreamSizes(stream)
        self._skips = context.name in _SKIPPING_DECODERS

    # ---- video

    def _video_frames(
        self, timed: TimedPacket, selector: FrameSelector[av.VideoFrame]
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        if selector.done:
            return
        if timed.packet.stream is not self._video:  # the codec changes
            yield from self._drain(selector)
            self._open(timed.packet.stream)
        assert self._video is not None
        context = self._video.codec_context
        on_screen = self._seeker.on_screen
        # Non-reference frames before the frame on screen at the clip's start are not needed.
        skips = self._skips and not self._seeker.has_field_packets and not self._seeker.decoding_times
        before_clip = skips and on_screen is not None and timed.time < on_screen
        context.skip_frame = "NONREF" if before_clip else "DEFAULT"
        self._sizes.note(timed.packet)
        try:
            frames = context.decode(timed.packet)
        except av.FFmpegError as error:
            self._skip_damaged(error)
            self.damage.lost_frames += self._in_range(timed.time)
            return
        yield from self._select(frames, selector)

    def _last_video_frames(self, selector: FrameSelector[av.VideoFrame]) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        if not selector.done:
            yield from self._drain(selector)
        yield from selector.finish()

    def _drain(self, selector: FrameSelector[av.VideoFrame]) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """Yield the frames that are still inside the decoder."""
        if self._video is None:
            return
        try:
            yield from self._select(self._video.codec_context.decode(None), selector)
        except av.FFmpegError as error:
            self._skip_damaged(error)

    def _select(
        self, frames: list[av.VideoFrame], selector: FrameSelector[av.VideoFrame]
    ) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        assert self._video is not None
        for frame in frames:
            time = self._seeker.time_of(frame, self._video)
            if time is None:
                time = Fraction(0) if self.last_time is None else self.last_time + self._cut.frame_seconds
            is_repeated = self._repeated.add(time, time)
            if self.last_time is None:
                self._check_first(frame, time)
            elif is_repeated:
                if self._in_range(self.last_time):
                    self.damage.add_repeated(self.last_time)
                continue
            elif time <= self.last_time:
                time = self.last_time + SMALLEST_STEP  # two frames with the same pts: keep both, in order
            self.last_time = time
            if self._in_range(time):
                self.damage.decoded_frames += 1
                self.damage.concealed_frames += frame.is_corrupt
            yield from selector.push(time, frame)

    def _check_first(self, frame: av.VideoFrame, time: Fraction) -> None:
        """Raise if decoding cannot begin with this frame: it is not a keyframe, or after the clip's start."""
        if self._seeker.trusts_keyframes and not frame.key_frame and frame.pict_type != PictureType.I:
            raise _FalseKeyframe
        if time > self._cut.start:
            self._step_back()

    def _in_range(self, time: Fraction) -> bool:
        return self._cut.first_moment <= time < self._cut.last_moment

    def _step_back(self) -> None:
        """Raise if packets say that a frame was on screen at the clip's start but none was decoded."""
        if self._seeker.on_screen is None:
            return
        if not self._seeker.at_start:
            raise _SeekTooLate
        if self._seeker.trusts_keyframes:
            raise _FalseKeyframe

    def _skip_damaged(self, error: av.FFmpegError) -> None:
        """Count a packet that does not decode. Raises MemoryError if memory ran out."""
        raise_if_memory_ran_out(error, self._seeker)
        self.damage.packets += 1
