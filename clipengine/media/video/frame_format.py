"""Format of the frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


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
