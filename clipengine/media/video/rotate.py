"""Rotation and mirroring of frames according to their display matrix (ISO/IEC 14496-12, section 8.3.2).

The matrix is 3x3 in 16.16 fixed point, its last column in 2.30.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import av
from av.sidedata.sidedata import SideDataContainer

if TYPE_CHECKING:  # it imports pydantic, which would slow down the start of the inspector
    from clipengine.recordings.facts import Rotation

# signs (a, b, c, d) of the matrix -> filters that make the frame upright
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
    """Return the filters that make the frame upright; empty if it is, or if its angle is not a right angle."""
    return _FILTERS.get(_signs(frame), ())


def rotation_of(frame: av.VideoFrame) -> Rotation:
    """Return the clockwise rotation in degrees that a player applies, ignoring mirroring."""
    a, b, c, d = _signs(frame)
    if b > 0 and c < 0:
        return 90
    if b < 0 and c > 0:
        return 270
    if b and c:
        return 90
    return 180 if a < 0 and d < 0 else 0


def _signs(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    # Not `frame.side_data`: it forms a reference cycle that keeps about 200 frames in memory until garbage collection.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(data)[:36])
    # The matrix may scale the two axes differently.
    horizontal, vertical = math.hypot(a, c) or 1, math.hypot(b, d) or 1
    return round(a / horizontal), round(b / vertical), round(c / horizontal), round(d / vertical)
