"""Interlaced pictures, two moments in one frame, as pictures of one moment: browsers and phones show the teeth else.

Only frames that say that they are interlaced are changed. One picture comes out for each that goes in, and each keeps
its time: the lines of the earlier field stay as they are, those of the later one are interpolated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from fractions import Fraction

import av
from av.filter import Graph

from clipengine.media.input.decode import Event, VideoFrameEvent

_TIME_BASE = Fraction(1, 25)  # the filter only counts frames; their times wait outside


def deinterlace(events: Generator[Event]) -> Generator[Event]:
    """The events, interlaced pictures deinterlaced. From the first one on a picture comes one picture late."""
    fields: _DeinterlaceGraph | None = None
    for event in events:
        if not isinstance(event, VideoFrameEvent):
            yield event
            continue
        if fields is not None and not fields.fits(event.frame):
            yield from fields.finish()
            fields = None
        if fields is None and event.frame.interlaced_frame:
            fields = _DeinterlaceGraph(event.frame)
        if fields is None:
            yield event
        else:
            yield from fields.push(event)
    if fields is not None:
        yield from fields.finish()


class _DeinterlaceGraph:
    """A filter graph for pictures of one size and format, and the times of those inside it."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._shape = _shape(frame)
        self._times: deque[Fraction] = deque()
        self._count = 0
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_TIME_BASE
        )
        fields = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        source.link_to(fields)
        fields.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._shape == _shape(frame)

    def push(self, picture: VideoFrameEvent) -> Generator[VideoFrameEvent]:
        picture.frame.pts, picture.frame.time_base = self._count, _TIME_BASE
        self._count += 1
        self._times.append(picture.time)
        self._graph.push(picture.frame)
        yield from self._done()

    def finish(self) -> Generator[VideoFrameEvent]:
        self._graph.push(None)
        yield from self._done()

    def _done(self) -> Generator[VideoFrameEvent]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            yield VideoFrameEvent(self._times.popleft(), frame)


def _shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
