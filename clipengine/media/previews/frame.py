"""JPEG previews of a recording: a single frame, and a filmstrip for a timeline.

A frame is selected by the rule of a clip's first frame, so the preview shows the frame that a clip will begin with. The
tiles of a filmstrip show the frames of `shown_frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
from av.video.reformatter import VideoReformatter

from clipengine.clips.options.framing import Size
from clipengine.clips.options.picture_size import unstated_ratio
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.preview_pyramid import tile_moments
from clipengine.errors import NoMediaInRange
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.decoding.events import VideoFrameEvent
from clipengine.media.input.decoding.shown_frames import events_at, shown_frames
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.video.convert import FrameConverter, jpeg
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.filter_graph import TIME_BASE, FrameShape, linear_graph, pull_one, shape_of
from clipengine.media.video.flatten_alpha import AlphaFlattener
from clipengine.media.video.reframe import bars, fitted_size
from clipengine.media.video.rotate import rotation_of
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.seek_index import SeekIndex

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
    with MediaReader(source) as reader, media_errors(reader):
        for event in deinterlace(events_at(reader, facts, at, threads=threads, seek_index=seek_index)):
            if isinstance(event, VideoFrameEvent):
                tile = _TileConverter(_shape_of(event.frame, video), width).convert(event.frame)
                return jpeg(tile, max_width=_MAX_SIDE, quality=_QUALITY)
    raise NoMediaInRange("the recording has no video there")


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

    All tiles have the same width of at most `width`. Tiles that cannot be decoded repeat the last decoded tile.
    """
    video = _video(facts)
    converter = _TileConverter(video, min(width, _MAX_SIDE // count))
    tiles: list[av.VideoFrame] = []
    with MediaReader(source) as reader, media_errors(reader):
        moments = tile_moments(start, end, count)
        for _, frame in shown_frames(reader, facts, moments, threads=threads, seek_index=seek_index):
            tiles.append(converter.convert(frame))
    if not tiles:
        raise NoMediaInRange("the recording has no video there")
    tiles += tiles[-1:] * (count - len(tiles))
    return jpeg(_row(tiles), max_width=_MAX_SIDE, quality=_QUALITY)


def _video(facts: SourceFacts) -> VideoFacts:
    if facts.video is None:
        raise NoMediaInRange("the recording has no video", hint="It has audio only: request its waveform.")
    return facts.video


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
