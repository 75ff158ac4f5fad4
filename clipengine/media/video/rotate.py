"""Which way up a picture is: the display matrix of a frame, as turns and mirrorings that make it upright.

The matrix is 3x3 in 16.16 (the last column 2.30) fixed point, from the track header: ISO/IEC 14496-12, section 8.3.2.
"""

from __future__ import annotations

import struct

import av
from av.sidedata.sidedata import SideDataContainer

from clipengine.clips.facts import Rotation

# (a, b, c, d) signs of the matrix -> the filters that make the picture upright
_FILTERS: dict[tuple[int, int, int, int], tuple[str, ...]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): ("transpose=clock",),
    (-1, 0, 0, -1): ("hflip", "vflip"),
    (0, -1, 1, 0): ("transpose=cclock",),
    (-1, 0, 0, 1): ("hflip",),
    (1, 0, 0, -1): ("vflip",),
    (0, 1, 1, 0): ("transpose=cclock_flip",),
    (0, -1, -1, 0): ("transpose=clock_flip",),
}


def upright_filters(frame: av.VideoFrame) -> tuple[str, ...]:
    """The filters that turn the frame upright, none where it is, and none for angles that are no right angles."""
    return _FILTERS.get(_signs(frame), ())


def rotation_of(frame: av.VideoFrame) -> Rotation:
    """Return how many degrees clockwise a player turns the picture, without its mirrorings."""
    a, b, c, d = _signs(frame)
    if b > 0 and c < 0:
        return 90
    if b < 0 and c > 0:
        return 270
    if b and c:
        return 90
    return 180 if a < 0 and d < 0 else 0


def _signs(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    # Not `frame.side_data`: that is kept by the frame it refers to, and the picture with it until the garbage collector
    # comes by, 200 pictures later.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if data is None:
        return 1, 0, 0, 1
    matrix = struct.unpack("9i", bytes(data)[:36])
    size = max(abs(matrix[0]), abs(matrix[1]), 1)
    a, b, c, d = (round(value / size) for value in (matrix[0], matrix[1], matrix[3], matrix[4]))
    return a, b, c, d
