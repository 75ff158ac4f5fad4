"""Format and colours of frames, and the numbers that FFmpeg uses for them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av

# Code points of ITU-T H.273 (ISO/IEC 23091-2) for primaries, transfer and matrix, and the ranges of AVColorRange.
RGB_MATRIX, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 5
_RESERVED = (0, 3)  # of primaries and transfer
UNSPECIFIED_RANGE, LIMITED, FULL = 0, 1, 2
SWS_BICUBIC_ACCURATE = 4 | 0x40000  # SWS_BICUBIC | SWS_ACCURATE_RND
# The numbers of matrices in swscale, by code point. SMPTE 170M and BT.601 have the same matrix.
_SWS_MATRICES = {BT709: 1, 4: 4, BT601: 5, 6: 5, 7: 7, 9: 9}
_BT601_LINES = 576  # players take an unspecified matrix of pictures up to this height for BT.601


class Colors(NamedTuple):
    """Matrix, range, primaries and transfer of frames."""

    matrix: int = UNSPECIFIED
    range: int = UNSPECIFIED_RANGE
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def tag(self, frame: av.VideoFrame) -> None:
        """Set the tags of a frame whose pixels have these colours."""
        frame.colorspace, frame.color_range = self.matrix, self.range
        frame.color_primaries, frame.color_trc = self.primaries, self.transfer

    def known(self, height: int) -> Colors:
        """Return the colours that players assume for pictures of this height if the matrix is unspecified."""
        if self.matrix != UNSPECIFIED:
            return self
        return self._replace(matrix=BT709 if height > _BT601_LINES else BT601)

    @property
    def sws_matrix(self) -> int | None:
        """Number of the matrix in swscale, if it has one."""
        return _SWS_MATRICES.get(self.matrix)


BT709_COLORS = Colors(BT709, LIMITED, BT709, BT709)


def is_full_range_format(pixel_format: str) -> bool:
    """Return True for FFmpeg's deprecated formats that imply full range."""
    return pixel_format.startswith("yuvj")


def colors_of(frame: av.VideoFrame) -> Colors:
    """Return the colours of a frame. Its pixel format takes precedence over tags that contradict it.

    RGB and FFmpeg's deprecated formats imply full range, and samples of luma and chroma have a matrix.
    """
    matrix, range = frame.colorspace, frame.color_range
    if frame.format.is_rgb:
        matrix, range = RGB_MATRIX, FULL
    elif is_full_range_format(frame.format.name):
        range = FULL
    if matrix == RGB_MATRIX and _has_chroma(frame.format):
        matrix = UNSPECIFIED
    primaries, transfer = (
        UNSPECIFIED if code in _RESERVED else code for code in (frame.color_primaries, frame.color_trc)
    )
    return Colors(matrix, range, primaries, transfer)


def _has_chroma(format: av.VideoFormat) -> bool:
    return any(component.is_chroma for component in format.components)


@dataclass(frozen=True)
class FrameFormat:
    """Properties shared by all frames of the clip; the encoder is opened with them."""

    width: int
    height: int
    pixel_format: str
    sample_aspect_ratio: Fraction
    colors: Colors
