"""Transparent video as opaque video: the clip's codecs have no alpha channel.

Without this the colors that a decoder leaves under transparent pixels would be seen, which may be anything. GIF and
APNG are flattened onto white, as they appear on a web page; other formats onto black, as players show them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import lru_cache

import av
from av.filter import Graph

from clipengine.clips.warnings import warning
from clipengine.media.input.decoding.events import BeginEvent, Event, VideoFrameEvent
from clipengine.media.video.filter_graph import FrameShape, linear_graph, pull_one, shape_of
from clipengine.media.video.frame_format import FULL, Colors

_ON_WHITE = frozenset({"gif", "apng"})


class AlphaFlattener:
    """Flattens the frames of one video stream, encoded as `codec`. `frames` counts changed frames."""

    def __init__(self, codec: str) -> None:
        self.frames = 0
        self._white = codec in _ON_WHITE
        self._shape: FrameShape | None = None
        self._alpha: Graph | None = None
        self._flat: Graph | None = None
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None  # a frame may be in several events in a row

    def events(self, events: Generator[Event]) -> Generator[Event]:
        """Yield the events with opaque frames."""
        for event in events:
            if isinstance(event, BeginEvent | VideoFrameEvent) and event.frame is not None:
                frame = self.apply(event.frame)
                yield event if frame is event.frame else event._replace(frame=frame)
            else:
                yield event

    def warnings(self) -> Iterator[str]:
        if self.frames:
            color = "white" if self._white else "black"
            yield warning("alpha_flattened", f"transparent parts of {self.frames} frames are {color}")

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return an opaque frame; the same one if its format has no alpha channel."""
        if not _has_alpha(frame.format.name):
            return frame
        if self._last is None or self._last[0] is not frame:
            self._last = frame, self._flattened(frame)
        return self._last[1]

    def _flattened(self, frame: av.VideoFrame) -> av.VideoFrame:
        shape = shape_of(frame)
        if shape != self._shape:
            self._shape, self._flat = shape, linear_graph(frame, self._filters(frame))
            self._alpha = linear_graph(frame, ("alphaextract",), colors=Colors(range=FULL))
        assert self._alpha is not None
        assert self._flat is not None
        self.frames += not _is_opaque(pull_one(self._alpha, frame))
        return pull_one(self._flat, frame)

    def _filters(self, frame: av.VideoFrame) -> tuple[str, ...]:
        deep = frame.format.components[0].bits > 8
        name = frame.format.name
        if not name.startswith(("yuva", "gbrap")):  # the filter takes planar formats only
            name = "gbrap16le" if deep else "gbrap"
        onto_black = (f"format={name}", "premultiply=inplace=1")
        flat = f"format={name.replace('yuva', 'yuv').replace('gbrap', 'gbrp')}"
        if self._white:  # white is the negative of black
            return (f"format={name}", "negate", "premultiply=inplace=1", "negate", flat)
        return (*onto_black, flat)


@lru_cache(maxsize=64)
def _has_alpha(pixel_format: str) -> bool:
    return av.VideoFormat(pixel_format).components[-1].is_alpha


def _is_opaque(alpha: av.VideoFrame) -> bool:
    plane = alpha.planes[0]
    bits = alpha.format.components[0].bits
    full = ((1 << bits) - 1).to_bytes((bits + 7) // 8, "little")
    row, line = alpha.width * len(full), plane.line_size
    data, opaque = bytes(plane), full * alpha.width
    return all(data[at : at + row] == opaque for at in range(0, alpha.height * line, line))
