"""Recordings whose pictures show where each pixel is from, and the reading of such pictures.

In the upright picture, luma rises from left to right and the first chroma plane from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.float64]

_LOW, _SPAN = 40, 160
FPS = Fraction(25)
# Quarter turns of the coded picture that its display matrix undoes.
_MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def write_ramp(
    path: Path,
    width: int,
    height: int,
    *,
    seconds: int = 1,
    fps: Fraction = FPS,
    sample_aspect_ratio: Fraction = Fraction(1),
    rotation: int = 0,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    gop: int = 25,
    change: Callable[[Levels, int], Levels] = lambda levels, plane: levels,
) -> None:
    """Write a recording of an upright size of `width` x `height` pixels, coded so that a player rotates it.

    `sample_aspect_ratio` is that of the coded picture. `change` returns other levels for a plane of the upright one.
    """
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options={"preset": "ultrafast", "crf": "4"})
        context = stream.codec_context
        sideways = rotation % 180 != 0
        context.width, context.height = (height, width) if sideways else (width, height)
        context.pix_fmt, context.sample_aspect_ratio = pixel_format, sample_aspect_ratio
        context.gop_size, context.thread_count = gop, 1
        if rotation:
            a, b, c, d = (value << 16 for value in _MATRICES[rotation])
            stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
        frame = _frame(width, height, rotation, pixel_format, change)
        for number in range(int(seconds * fps)):
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frame(
    width: int, height: int, rotation: int, pixel_format: str, change: Callable[[Levels, int], Levels]
) -> av.VideoFrame:
    shift = 2 if "10" in pixel_format else 0
    frame = av.VideoFrame(*((height, width) if rotation % 180 else (width, height)), pixel_format)
    for index, plane in enumerate(frame.planes):
        wide, high = (width, height) if index == 0 else (width // 2, height // 2)
        levels = np.full((high, wide), 128.0)
        if index == 0:
            levels[:] = _LOW + _SPAN * (np.arange(wide) + 0.5)[None, :] / wide
        elif index == 1:
            levels[:] = _LOW + _SPAN * (np.arange(high) + 0.5)[:, None] / high
        coded = np.rot90(change(levels, index), rotation // 90)
        kind: Any = np.uint16 if shift else np.uint8
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        rows[:, : plane.width] = np.rint(coded * (1 << shift))
    return frame


class Picture:
    """One decoded picture of a clip."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self.width, self.height = frame.width, frame.height
        planes: tuple[Any, ...] = frame.planes
        deep = frame.format.components[0].bits > 8
        kind: Any = np.uint16 if deep else np.uint8
        self._planes: list[npt.NDArray[np.float64]] = [
            np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width] / (4.0 if deep else 1.0)
            for plane in planes
        ]

    def source(self, x: float, y: float) -> tuple[float, float]:
        """Return the position in the recording's picture that is seen at this position, both as fractions."""
        luma, chroma = self.levels(x, y)[:2]
        return (luma - _LOW) / _SPAN, (chroma - _LOW) / _SPAN

    def levels(self, x: float, y: float) -> tuple[float, ...]:
        """Return the mean level of each plane around a position, given as fractions."""
        found = []
        for plane in self._planes:
            row, column = int(y * plane.shape[0]), int(x * plane.shape[1])
            found.append(float(plane[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].mean()))
        return tuple(found)


def read_pictures(path: Path) -> list[tuple[Fraction, Picture]]:
    """Decode a file and return its pictures with their times."""
    with av.open(str(path)) as container:
        return [
            (Fraction(frame.pts or 0) * Fraction(frame.time_base or 1), Picture(frame))
            for frame in container.decode(video=0)
        ]
