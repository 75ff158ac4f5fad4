"""Deinterlacing with FFmpeg's bwdif filter. Browsers and phones would show combing.

Only frames flagged as interlaced are changed. The number and times of frames stay the same: the lines of the earlier
field are kept, the lines of the later field are interpolated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from fractions import Fraction

import av
from av.filter import Graph

from clipengine.media.input.decoding.events import Event, VideoFrameEvent
from clipengine.media.video.filter_graph import add_sink, add_source, shape_of

_TIME_BASE = Fraction(1, 25)  # the filter only counts frames; their times are kept in `_times`


def deinterlace(events: Generator[Event], *, apart: bool = False) -> Generator[Event]:
    """Yield the events with interlaced frames deinterlaced, one frame late from the first such frame on.

    Frames that are far `apart` in time are deinterlaced each without its neighbours.
    """
    graph: _DeinterlaceGraph | None = None
    for event in events:
        if not isinstance(event, VideoFrameEvent):
            yield event
            continue
        if graph is not None and (apart or not graph.fits(event.frame)):
            yield from graph.finish()
            graph = None
        if graph is None and event.frame.interlaced_frame:
            graph = _DeinterlaceGraph(event.frame)
        if graph is None:
            yield event
        else:
            yield from graph.push(event)
    if graph is not None:
        yield from graph.finish()


class _DeinterlaceGraph:
    """Filter graph for frames of one shape, with the times of the frames inside it."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._shape = shape_of(frame)
        self._times: deque[Fraction] = deque()
        self._count = 0
        self._graph = Graph()
        source = add_source(self._graph, self._shape, time_base=_TIME_BASE)
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        source.link_to(bwdif)
        add_sink(self._graph, bwdif, self._shape[-1])

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._shape == shape_of(frame)

    def push(self, event: VideoFrameEvent) -> Generator[VideoFrameEvent]:
        event.frame.pts, event.frame.time_base = self._count, _TIME_BASE
        self._count += 1
        self._times.append(event.time)
        self._graph.push(event.frame)
        yield from self._pull()

    def finish(self) -> Generator[VideoFrameEvent]:
        self._graph.push(None)
        yield from self._pull()

    def _pull(self) -> Generator[VideoFrameEvent]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            yield VideoFrameEvent(self._times.popleft(), frame)
