"""Changes of scene, found by FFmpeg's `scdet`."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph

from clipengine.media.video.filter_graph import FrameShape, linear_graph, pull_one, shape_of

# A frame is compared with the previous frame, and their difference with the previous difference: the score of a frame
# is right if so many frames precede it.
FRAMES_BEFORE = 3
_THRESHOLD = 10  # percent, FFmpeg's default
_TIME_BASE = Fraction(1, 25)  # the filter only counts frames


class SceneDetector:
    """Detects the first frame of each scene but the first. Call `begins_scene` with all frames in order."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: FrameShape | None = None
        self._count = 0

    def begins_scene(self, frame: av.VideoFrame) -> bool:
        shape = shape_of(frame)
        resized = self._shape is not None and self._shape[:2] != shape[:2]
        if self._graph is None or shape != self._shape:
            self._graph, self._shape = linear_graph(frame, [f"scdet=threshold={_THRESHOLD}"]), shape
        frame.pts, frame.time_base = self._count, _TIME_BASE
        self._count += 1
        return "lavfi.scd.time" in pull_one(self._graph, frame).metadata or resized
