"""Reading of GIF and WebP with Pillow, which shares no code with FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.films.picture import Seen, see

Pixels = npt.NDArray[np.uint8]


@dataclass
class Shown:
    """A frame, its start and duration in ms, and its pixels (RGB)."""

    start: int
    duration: int
    pixels: Pixels

    @property
    def seen(self) -> Seen:
        return see(av.VideoFrame.from_ndarray(self.pixels, format="rgb24"))


@dataclass
class AnimationReading:
    """`loops` is 0 if the animation repeats forever, None if it does not repeat."""

    size: tuple[int, int]
    loops: int | None
    frames: list[Shown]

    @property
    def milliseconds(self) -> int:
        return sum(frame.duration for frame in self.frames)

    def at(self, milliseconds: float) -> Shown:
        """Return the frame on screen at this time."""
        return [frame for frame in self.frames if frame.start <= milliseconds][-1]


def read_animation(path: Path) -> AnimationReading:
    with Image.open(path) as image:
        reading = AnimationReading(image.size, image.info.get("loop"), [])
        start = 0
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            pixels = np.asarray(image.convert("RGB"))
            duration = round(image.info["duration"])
            reading.frames.append(Shown(start, duration, pixels))
            start += duration
    return reading
