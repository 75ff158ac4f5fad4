"""Format of the frames of a clip, and the numbers that FFmpeg uses for it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# Code points of ITU-T H.273 (ISO/IEC 23091-2) for primaries, transfer and matrix, and the ranges of AVColorRange.
BT709, UNSPECIFIED = 1, 2
LIMITED, FULL = 1, 2
SWS_BICUBIC_ACCURATE = 4 | 0x40000  # SWS_BICUBIC | SWS_ACCURATE_RND


@dataclass(frozen=True)
class FrameFormat:
    """Properties shared by all frames of the clip; the encoder is opened with them."""

    width: int
    height: int
    pixel_format: str
    sample_aspect_ratio: Fraction
    color_range: int
    color_primaries: int
    color_trc: int
    colorspace: int
