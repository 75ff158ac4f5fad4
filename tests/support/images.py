"""Short animations with transparent parts, in the formats and codecs of images."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

SIDE = 64
# Format and codec.
IMAGES = (("gif", "gif"), ("apng", "apng"), ("mov", "jpeg2000"), ("mov", "qtrle"), ("mov", "png"), ("mov", "prores_ks"))
_PIXEL_FORMATS = {"gif": "rgb8", "qtrle": "argb", "prores_ks": "yuva444p10le"}


def animation(form: str, codec: str) -> bytes:
    """Return two seconds of 10 frames a second: a red square that moves by two pixels, see `_frame`."""
    made = io.BytesIO()
    with av.open(made, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, _PIXEL_FORMATS.get(codec, "rgba")
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(_frame(number), format="rgba").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


def _frame(number: int) -> npt.NDArray[np.uint8]:
    """Return a red square on transparent pixels; under those the color is a bright green."""
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[..., 1] = 255
    pixels[16:48, number * 2 : number * 2 + 16] = (255, 0, 0, 255)
    return pixels
