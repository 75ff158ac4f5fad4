"""VP8 and VP9 streams that are copied in part.

They have no parameter sets and no reordering, and a keyframe replaces all that a decoder keeps. So packets of an
encoder fit as they are if their frames have the size and format of the recording's.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.packets import CopiedPacket

EARLIER_SEGMENTS = "a frame needs the segments of frames before its keyframe"
Segments = Literal["own", "earlier"]


class FrameFormat(NamedTuple):
    """Size and format of frames. VP8 has only the first values of the others."""

    width: int
    height: int
    profile: int = 0
    bit_depth: int = 8
    color_space: int = 0
    full_range: bool = False
    subsampling: tuple[bool, bool] = (True, True)


class VpxPacket(NamedTuple):
    """A packet that shows one frame: the format if it begins with a keyframe, and all sizes that its headers state.

    `segments` says whether a frame of VP8 states the segments of its macroblocks or uses the segments of an earlier
    frame, None if it has none.
    """

    keyframe: FrameFormat | None
    sizes: frozenset[tuple[int, int]]
    segments: Segments | None = None


class VpxStream:
    """The frames of a recording. `read` parses a packet, or raises BitstreamError if it does not show one frame."""

    stated_reordering = most_reordering = 0
    coded_size = None
    extradata = b""

    def __init__(self, read: Callable[[bytes], VpxPacket], width: int, height: int) -> None:
        self._read = read
        self._size = width, height
        self._format: FrameFormat | None = None  # of the first copied keyframe
        self._has_segments = False  # a frame since the latest copied keyframe has stated its segments

    @property
    def parameters(self) -> tuple[object, ...]:
        """The size only: keyframes state the rest."""
        return self._size

    def starts_gop(self, packet: bytes) -> bool:
        """Return True if the packet begins with a keyframe: nothing after it needs anything before it."""
        return self._read(packet).keyframe is not None

    def is_leading(self, packet: bytes) -> bool:
        return False

    def renumbered(self, packet: bytes, keyframe_id: int) -> None:
        return None

    def check_sets(self, packet: bytes) -> None:
        """Accept every packet: the codecs have no parameter sets."""

    def has_all_sets(self, packet: bytes) -> bool:
        return True

    def lasting(self, packet: bytes) -> dict[int, int]:
        """Return nothing: keyframes reset everything but VP8's segments."""
        return {}

    def copied(self, packet: bytes, *, first: bool = False) -> CopiedPacket:
        """Return the packet unchanged. Raises BitstreamError if its size or format differs from earlier packets.

        Keyframes do not reset the segments of VP8, so a frame must not need the segments of frames before its keyframe.
        """
        found = self._read(packet)
        self._has_segments = found.segments == "own" or (self._has_segments and found.keyframe is None)
        if found.segments == "earlier" and not self._has_segments:
            raise BitstreamError(EARLIER_SEGMENTS)
        return self._fitting(packet, found)

    def _fitting(self, packet: bytes, found: VpxPacket) -> CopiedPacket:
        if found.keyframe is not None:
            self._format = self._format or found.keyframe
        if (found.keyframe or self._format) != self._format or found.sizes - {self._size}:
            raise BitstreamError("the size or format of its frames changes")
        return CopiedPacket(packet, zlib.crc32(packet), None if found.keyframe is None else 0)

    def rewriter(self, encoder_extradata: bytes) -> VpxStream:
        return self

    def rewritten(self, packet: bytes, *, number: int, keyframe_id: int) -> bytes:
        """Return an encoder's packet unchanged. Raises BitstreamError if its frames are of another kind."""
        if (self._fitting(packet, self._read(packet)).keyframe_id is not None) != (number == 0):
            raise BitstreamError("the encoder's first frame must be its only keyframe")
        return packet
