"""AVI with a colour palette, which the container stores once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_palette_avi(path: Path, *, changes_at: int | None = None) -> None:
    """Write moving stripes in 256 colours; AVI stores the palette once, and again if it changes."""
    ramp, palette = np.arange(256), np.full((256, 4), 255, np.uint8)
    palette[:, 1], palette[:, 2], palette[:, 3] = ramp, 255 - ramp, ramp // 2
    stripes = np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "pal8"
        for number in range(30):
            if number == changes_at:
                palette[:, 1:] = palette[::-1, 1:] // 2
            frame = av.VideoFrame.from_ndarray((np.roll(stripes, number * 3, axis=1), palette), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
