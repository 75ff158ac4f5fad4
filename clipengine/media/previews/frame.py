"""JPEG previews of a recording: a single frame, and a filmstrip for a timeline.

A frame is selected by the rule of a clip's first frame, so the preview shows the frame that a clip will begin with. If
the tiles of a filmstrip are far apart, each shows the keyframe before its time: one frame is decoded instead of
hundreds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import repeat
from typing import Any

import av
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from clipengine.clips.options.framing import Size
from clipengine.clips.options.picture_size import unstated_ratio
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frames import CutRange
from clipengine.clips.plan.preview_pyramid import tile_moments
from clipengine.errors import NoMediaInRange
from clipengine.media.input.container import (
    has_decoding_times,
    keep_only,
    media_errors,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.decode import ClipDecoder
from clipengine.media.input.display_order import DisplayOrder
from clipengine.media.input.events import VideoFrameEvent
from clipengine.media.input.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seek import STEPS_BACK, Seeker
from clipengine.media.input.seekers import open_seeker
from clipengine.media.input.shown_sizes import StreamSizes
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.input.timeline import as_fraction
from clipengine.media.video.convert import FrameConverter, jpeg
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.filter_graph import TIME_BASE, FrameShape, linear_graph, pull_one, shape_of
from clipengine.media.video.flatten_alpha import AlphaFlattener
from clipengine.media.video.reframe import bars, fitted_size
from clipengine.media.video.rotate import rotation_of
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex
from clipengine.recordings.seek_index import SeekIndex

_MIN_SECONDS = Fraction(1, 25)
# Closer tiles are decoded in one pass and exact; for others each keyframe is found by seeking.
_SEEK_SECONDS = Fraction(1)
_QUALITY = 5
_MAX_SIDE = 65_500  # the limit of JPEG

_TimedFrame = tuple[Fraction, av.VideoFrame]  # recording time and frame


def read_frame(request: ReadRequest) -> bytes:
    """Return the JPEG of a frame: `width` is the largest."""
    return frame_at(
        request.source,
        request.facts,
        at=request.seconds("at"),
        width=request.values["width"],
        threads=request.threads,
        seek_index=request.seek_index,
    )


def read_filmstrip(request: ReadRequest) -> bytes:
    """Return the JPEG of `count` tiles of the range, each at most `width` wide."""
    start, end = request.range
    return filmstrip(
        request.source,
        request.facts,
        start=start,
        end=end,
        count=request.values["count"],
        width=request.values["width"],
        threads=request.threads,
        seek_index=request.seek_index,
    )


def frame_at(
    source: ByteSource,
    facts: SourceFacts,
    *,
    at: Fraction,
    width: int,
    threads: int,
    seek_index: SeekIndex | None = None,
) -> bytes:
    """Return a JPEG of the frame on screen at `at`, upright, at most `width` wide. Raises RecordingError."""
    video = _video(facts)
    cut = _cut_at(video, at)
    with MediaReader(source) as reader, media_errors(reader):
        frame = _shown_frame(reader, facts, cut, threads, seek_index)
    if frame is not None:
        return jpeg(
            _TileConverter(_shape_of(frame, video), width).convert(frame), max_width=_MAX_SIDE, quality=_QUALITY
        )
    raise NoMediaInRange("the recording has no video there")


def _cut_at(video: VideoFacts, at: Fraction) -> CutRange:
    """Return the shortest range that shows the frame at a time."""
    end = at + 2 * max(video.frame_seconds, _MIN_SECONDS)
    return CutRange(at, end, frame_seconds=video.frame_seconds, tick=video.tick)


def _shown_frame(
    reader: MediaReader, facts: SourceFacts, cut: CutRange, threads: int, seek_index: SeekIndex | None
) -> av.VideoFrame | None:
    """Return the first frame of a range, or None if it has none."""
    with open_seeker(reader, facts, cut, video=True, audio=(), seek_index=seek_index) as seeker:
        for event in deinterlace(ClipDecoder(seeker, cut, threads=threads).events()):
            if isinstance(event, VideoFrameEvent):
                return event.frame
    return None


def filmstrip(
    source: ByteSource,
    facts: SourceFacts,
    *,
    start: Fraction,
    end: Fraction,
    count: int,
    width: int,
    threads: int,
    seek_index: SeekIndex | None = None,
) -> bytes:
    """Return a JPEG of `count` tiles in a row, one for the middle of each equal part of `[start, end)`.

    All tiles have the same width of at most `width`. A tile that cannot be decoded repeats the one before.
    """
    video = _video(facts)
    converter = _TileConverter(video, min(width, _MAX_SIDE // count))
    moments = tile_moments(start, end, count)
    tiles: list[av.VideoFrame] = []
    with MediaReader(source) as reader, media_errors(reader):
        seeks = facts.seekable and not facts.header_changes
        frames: _PieceFrames | _SeekingReader | _SequentialReader
        if isinstance(seek_index, PieceSeekIndex):
            frames = _PieceFrames(reader, facts, seek_index, threads)
        else:
            frames = _SeekingReader(reader, facts, threads) if seeks else _SequentialReader(reader, facts, end)
        for frame in frames.frames(moments):
            tiles.append(converter.convert(frame))
    if not tiles:
        raise NoMediaInRange("the recording has no video there")
    tiles += tiles[-1:] * (count - len(tiles))
    return jpeg(_row(tiles), max_width=_MAX_SIDE, quality=_QUALITY)


def _video(facts: SourceFacts) -> VideoFacts:
    if facts.video is None:
        raise NoMediaInRange("the recording has no video", hint="It has audio only: request its waveform.")
    return facts.video


class _PieceFrames:
    """Reads the frames at given times from the pieces of a recording."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, pieces: PieceSeekIndex, threads: int) -> None:
        self._reader = reader
        self._facts = facts
        self._pieces = pieces
        self._threads = threads

    def frames(self, moments: Sequence[Fraction]) -> Iterator[av.VideoFrame]:
        """Yield the frame on screen at each time."""
        for moment in moments:
            cut = _cut_at(_video(self._facts), moment)
            frame = _shown_frame(self._reader, self._facts, cut, self._threads, self._pieces)
            if frame is not None:
                yield frame


class _SeekingReader:
    """Reads the frames at given times by seeking."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, threads: int) -> None:
        self._reader = reader
        self._origin = facts.origin
        self._slack = _video(facts).frame_seconds / 2
        self._threads = threads
        self._decoder_state: DecoderState | None = None

    def frames(self, moments: Sequence[Fraction]) -> Iterator[av.VideoFrame]:
        """Yield the frame on screen at each time, or the keyframe before it if the times are far apart."""
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
        stream.codec_context.thread_type, stream.codec_context.thread_count = ThreadType.SLICE, self._threads
        stream.codec_context.flags |= Flags.copy_opaque
        if self._decoder_state is not None:
            self._decoder_state.configure(stream)

    def _frames_at(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[av.VideoFrame]:
        if len(moments) < 2 or moments[1] - moments[0] <= _SEEK_SECONDS:
            yield from self._exact_frames(container, stream, moments)
        else:
            yield from self._keyframes(container, stream, moments)

    def _exact_frames(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[av.VideoFrame]:
        following, frames = self._seek_before(container, stream, moments[0])
        shown: _TimedFrame | None = None
        for moment in moments:
            shown, following = self._decode_to(moment, shown, following, frames)
            if shown is not None:
                yield shown[1]

    def _keyframes(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[av.VideoFrame]:
        shown: _TimedFrame | None = None
        for moment in moments:
            found, frames = self._seek_before(container, stream, moment)
            if found is not None and (shown is None or found[0] > shown[0]):
                shown = found
            else:  # no later keyframe
                shown, _ = self._decode_to(moment, shown, found, frames)
            if shown is not None:
                yield shown[1]

    def _decode_to(
        self, moment: Fraction, shown: _TimedFrame | None, following: _TimedFrame | None, frames: Iterator[_TimedFrame]
    ) -> tuple[_TimedFrame | None, _TimedFrame | None]:
        """Decode up to the moment. Return the frame that is shown then, and the one after it."""
        while following is not None and (shown is None or following[0] <= moment + self._slack):
            shown, following = following, next(frames, None)
        return shown, following

    def _seek_before(
        self, container: InputContainer, stream: VideoStream, moment: Fraction
    ) -> tuple[_TimedFrame | None, Iterator[_TimedFrame]]:
        """Seek to the moment or earlier. Return the first decoded frame and an iterator over those after it."""
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        for back in STEPS_BACK:
            stream.codec_context.flush_buffers()
            container.seek(int((moment - back + self._origin) / tick // 1), stream=stream)
            frames = self._decode(container, stream)
            first = next(frames, None)
            if first is not None and (first[0] <= moment + self._slack or back > moment):
                return first, frames
        return None, iter(())

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[_TimedFrame]:
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        order = DisplayOrder() if has_decoding_times(container, stream) else None
        sizes = StreamSizes(stream)
        for number, packet in enumerate(read_packets(container, [stream], self._reader)):
            if order is not None:
                order.add(packet)
            if number == 0 and self._decoder_state is not None:
                self._decoder_state.complete(packet)
            sizes.note(packet)
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError:
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
        self._cut = CutRange(Fraction(0), end, frame_seconds=_video(facts).frame_seconds)

    def frames(self, moments: Sequence[Fraction]) -> Iterator[av.VideoFrame]:
        pending = deque(moments)
        shown: av.VideoFrame | None = None
        for time, frame in self._keyframes():
            while shown is not None and pending and time > pending[0]:
                yield shown
                pending.popleft()
            if not pending:
                return
            shown = frame or shown
        if shown is not None:
            yield from repeat(shown, len(pending))

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


def _shape_of(frame: av.VideoFrame, video: VideoFacts) -> VideoFacts:
    """Return the facts with the size of the frame, and with its sample aspect ratio if headers have stated it."""
    size, facts = (frame.width, frame.height), (video.width, video.height)
    ratio = frame.opaque if isinstance(frame.opaque, Fraction) else None
    if ratio is None:
        ratio = unstated_ratio(size, facts, video.sample_aspect_ratio)
    return video.model_copy(update={"width": size[0], "height": size[1], "sample_aspect_ratio": ratio})


def _size(video: VideoFacts, width: int) -> Size:
    """Return the display size of the upright frame, at most `width` wide, both even."""
    shape = video.width * video.sample_aspect_ratio / video.height
    wide = round(video.width * video.sample_aspect_ratio)
    if video.rotation % 180:
        shape, wide = 1 / shape, video.height
    wide = max(2, min(width, wide))
    high = max(2, round(wide / shape))
    return Size(wide + wide % 2, high + high % 2)


class _TileConverter:
    """Scales and rotates frames and converts them to SDR. Reuses the converter while the format stays the same.

    Frames of another shape than the recording's get black bars.
    """

    def __init__(self, video: VideoFacts, width: int) -> None:
        self._video = video
        self._canvas = _size(video, width)
        self._flattener = AlphaFlattener(video.codec)
        self._reformatter = VideoReformatter()
        self._converter: FrameConverter | None = None
        self._shape: FrameShape | None = None

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        own = _shape_of(frame, self._video)
        inner = self._canvas
        if own != self._video:
            inner = fitted_size(Fraction(*_size(own, _MAX_SIDE)), self._canvas)
        width, height = inner[::-1] if rotation_of(frame) % 180 else inner
        small = self._reformatter.reformat(frame, width, height)  # scale first: fewer pixels to convert
        small = self._flattener.apply(small)
        shape = shape_of(small)
        if self._converter is None or shape != self._shape:
            self._converter, self._shape = FrameConverter(Profile(), small, None), shape
        converted = self._converter.convert(small)
        steps = bars(inner, self._canvas)
        return pull_one(linear_graph(converted, steps), converted) if steps else converted


def _row(tiles: Sequence[av.VideoFrame]) -> av.VideoFrame:
    """Return one frame with the tiles side by side."""
    first = tiles[0]
    graph = linear_graph(first, (f"tile={len(tiles)}x1",))
    reformatter = VideoReformatter()
    for number, each in enumerate(tiles):
        if each.format.name != first.format.name:
            each = reformatter.reformat(each, format=first.format.name)
        each.pts, each.time_base = number, TIME_BASE
        graph.push(each)
    graph.push(None)
    row = graph.pull()
    assert isinstance(row, av.VideoFrame)
    return row
