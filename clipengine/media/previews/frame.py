"""Still pictures of a recording: the frame that is on screen at a moment, and a strip of small ones for a timeline.

A frame is chosen by the rule of a clip's first frame, so that what is looked at is what a clip will begin with. A strip
is for finding one's way: where its tiles lie far apart, each shows the keyframe before its moment, which costs one
decoded picture instead of hundreds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.filter import Graph
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from clipengine.clips.facts import SourceFacts, VideoFacts
from clipengine.clips.plan import CutRange
from clipengine.clips.profiles import Profile
from clipengine.clips.seek_index import SeekIndex
from clipengine.errors import NoMediaInRange
from clipengine.media.input.container import (
    keep_only,
    media_errors,
    open_recording,
    packet_time,
    read_packets,
    video_stream,
)
from clipengine.media.input.decode import ClipDecoder, VideoFrameEvent
from clipengine.media.input.display_order import DisplayOrder, stores_decoding_times
from clipengine.media.input.first_packet import DecoderState, needs_first_packet, read_decoder_state
from clipengine.media.input.seek import STEPS_BACK, Seeker
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.input.timeline import as_fraction
from clipengine.media.video.convert import FrameConverter, jpeg
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.rotate import rotation_of

_LEAST_SECONDS = Fraction(1, 25)
# Tiles that lie closer than this are read in one go, each exact; farther ones are sought one by one.
_SEEK_SECONDS = Fraction(1)
_QUALITY = 5
_MAX_SIDE = 65_500  # of a JPEG

Shown = tuple[Fraction, av.VideoFrame]  # since when a frame is shown, in recording time


def frame_at(
    source: ByteSource,
    facts: SourceFacts,
    *,
    at: Fraction,
    width: int,
    threads: int,
    seek_index: SeekIndex | None = None,
) -> bytes:
    """A JPEG of the frame on screen at `at`, upright, at most `width` wide. Raises RecordingError and its kinds."""
    video = _video(facts)
    cut = CutRange(
        at, at + 2 * max(video.frame_seconds, _LEAST_SECONDS), frame_seconds=video.frame_seconds, tick=video.tick
    )
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        Seeker(reader, facts, cut, video=True, audio=(), seek_index=seek_index) as seeker,
    ):
        for event in deinterlace(ClipDecoder(seeker, cut, threads=threads).events()):
            if isinstance(event, VideoFrameEvent):
                return jpeg(_TileConverter(video, width).paint(event.frame), max_width=_MAX_SIDE, quality=_QUALITY)
    raise NoMediaInRange("the recording has no picture there")


def filmstrip(
    source: ByteSource,
    facts: SourceFacts,
    *,
    start: Fraction,
    end: Fraction,
    count: int,
    width: int,
    threads: int,
) -> bytes:
    """A JPEG of `count` tiles in one row, for the middles of as many equal parts of `[start, end)`.

    A tile is at most `width` wide, every one the same. Where nothing can be decoded a tile repeats the one before.
    """
    video = _video(facts)
    painter = _TileConverter(video, min(width, _MAX_SIDE // count))
    moments = [start + (end - start) * (2 * number + 1) / (2 * count) for number in range(count)]
    tiles: list[av.VideoFrame] = []
    with MediaReader(source) as reader, media_errors(reader):
        find = (
            _SeekingReader(reader, facts, threads).frames
            if facts.seekable
            else _SequentialReader(reader, facts, end).frames
        )
        for frame in find(moments):
            tiles.append(painter.paint(frame))
    if not tiles:
        raise NoMediaInRange("the recording has no picture there")
    tiles += tiles[-1:] * (count - len(tiles))
    return jpeg(_row(tiles), max_width=_MAX_SIDE, quality=_QUALITY)


def _video(facts: SourceFacts) -> VideoFacts:
    if facts.video is None:
        raise NoMediaInRange("the recording has no picture", hint="It is sound alone: look at its waveform.")
    return facts.video


class _SeekingReader:
    """Goes to each moment by the container's index."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, threads: int) -> None:
        self._reader = reader
        self._origin = facts.origin
        self._slack = _video(facts).frame_seconds / 2
        self._threads = threads
        self._decoding_times = stores_decoding_times(facts.container, _video(facts).codec)
        self._decoder_state: DecoderState | None = None

    def frames(self, moments: Sequence[Fraction]) -> Iterator[av.VideoFrame]:
        """Yield the frame on screen at each moment, or the keyframe before it if the moments lie far apart."""
        while True:
            with open_recording(self._reader) as container:
                stream = video_stream(container)
                if stream is None:
                    return
                if self._decoder_state is not None or not needs_first_packet(stream):
                    self._prepare(container, stream)
                    yield from self._shown(container, stream, moments)
                    return
            self._decoder_state = read_decoder_state(self._reader)

    def _prepare(self, container: InputContainer, stream: VideoStream) -> None:
        keep_only(container, [stream])
        stream.codec_context.thread_type, stream.codec_context.thread_count = ThreadType.SLICE, self._threads
        if self._decoder_state is not None:
            self._decoder_state.configure(stream)

    def _shown(
        self, container: InputContainer, stream: VideoStream, moments: Sequence[Fraction]
    ) -> Iterator[av.VideoFrame]:
        near = len(moments) < 2 or moments[1] - moments[0] <= _SEEK_SECONDS
        coming: Iterator[Shown] = iter(())
        ahead: Shown | None = None
        shown: Shown | None = None
        for number, moment in enumerate(moments):
            if number == 0 or not near:
                ahead, coming = self._landed(container, stream, moment)
                if ahead is not None and not near and (shown is None or ahead[0] > shown[0]):
                    shown = ahead
                    yield shown[1]
                    continue
            # No other keyframe since, or an exact tile is wanted: decode up to it.
            while ahead is not None and (shown is None or ahead[0] <= moment + self._slack):
                shown, ahead = ahead, next(coming, None)
            if shown is not None:
                yield shown[1]

    def _landed(
        self, container: InputContainer, stream: VideoStream, moment: Fraction
    ) -> tuple[Shown | None, Iterator[Shown]]:
        """The first frame that can be decoded from a place at or before the moment, and those that follow it."""
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        for back in STEPS_BACK:
            stream.codec_context.flush_buffers()
            container.seek(int((moment - back + self._origin) / tick // 1), stream=stream)
            coming = self._decoded(container, stream)
            first = next(coming, None)
            if first is not None and (first[0] <= moment + self._slack or back > moment):
                return first, coming
        return None, iter(())

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[Shown]:
        tick = as_fraction(stream.time_base or Fraction(1, 1000))
        order = DisplayOrder() if self._decoding_times else None
        for number, packet in enumerate(read_packets(container, [stream], self._reader)):
            if order is not None:
                order.add(packet)
            if number == 0 and self._decoder_state is not None:
                self._decoder_state.complete(packet)
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError:
                continue
            for frame in frames:
                stamp = frame.pts if order is None else order.stamp_of(frame)
                if stamp is not None:
                    yield stamp * tick - self._origin, frame


class _SequentialReader:
    """Reads a recording whose clock is not to be trusted from its start, and decodes its keyframes alone."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, end: Fraction) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = CutRange(Fraction(0), end, frame_seconds=_video(facts).frame_seconds)

    def frames(self, moments: Sequence[Fraction]) -> Iterator[av.VideoFrame]:
        waiting = iter(moments)
        moment = next(waiting, None)
        shown: av.VideoFrame | None = None
        with Seeker(self._reader, self._facts, self._cut, video=True, audio=()) as seeker:
            seeker.seek()
            stream = seeker.video
            if stream is None:
                return
            stream.codec_context.skip_frame = "NONKEY"
            for timed in seeker.packets():
                while moment is not None and shown is not None and timed.time > moment:
                    yield shown
                    moment = next(waiting, None)
                if moment is None:
                    return
                if packet_time(timed.packet) is None or not timed.packet.is_keyframe:
                    continue
                try:
                    shown = next(iter(stream.codec_context.decode(timed.packet)), shown)
                except av.FFmpegError:
                    continue
            while moment is not None and shown is not None:
                yield shown
                moment = next(waiting, None)


def _size(video: VideoFacts, width: int) -> tuple[int, int]:
    """Width and height of the upright picture as it is shown, at most `width` wide; even."""
    shape = video.width * video.sample_aspect_ratio / video.height
    wide = round(video.width * video.sample_aspect_ratio)
    if video.rotation % 180:
        shape, wide = 1 / shape, video.height
    wide = max(2, min(width, wide))
    high = max(2, round(wide / shape))
    return wide + wide % 2, high + high % 2


class _TileConverter:
    """Frames upright, small, and in colours that every screen shows. What it learns of their kind it keeps."""

    def __init__(self, video: VideoFacts, width: int) -> None:
        self._size = _size(video, width)
        self._reformatter = VideoReformatter()
        self._converter: FrameConverter | None = None
        self._shape: tuple[object, ...] = ()

    def paint(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if rotation_of(frame) % 180:
            width, height = height, width
        small = self._reformatter.reformat(frame, width, height)  # first: fewer pixels to convert
        shape = (small.width, small.height, small.format.name, small.color_trc, small.colorspace, small.color_range)
        if self._converter is None or shape != self._shape:
            self._converter, self._shape = FrameConverter(Profile(), small, None), shape
        return self._converter.convert(small)


def _row(tiles: Sequence[av.VideoFrame]) -> av.VideoFrame:
    """The tiles side by side."""
    first = tiles[0]
    graph = Graph()
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=Fraction(1, 25))
    tile = graph.add("tile", f"{len(tiles)}x1")
    source.link_to(tile)
    tile.link_to(graph.add("buffersink"))
    graph.configure()
    reformatter = VideoReformatter()
    for number, each in enumerate(tiles):
        if each.format.name != first.format.name:
            each = reformatter.reformat(each, format=first.format.name)
        each.pts, each.time_base = number, Fraction(1, 25)
        graph.push(each)
    graph.push(None)
    row = graph.pull()
    assert isinstance(row, av.VideoFrame)
    return row
