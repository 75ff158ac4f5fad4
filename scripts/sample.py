"""The recording of the demo: moving video that displays its own time, and a tone with a beep every second."""

from __future__ import annotations

import array
import math
from fractions import Fraction
from pathlib import Path

import av

FPS = 25
_WIDTH, _HEIGHT = 640, 360
_RATE = 48_000
_DOT = 10  # pixels per dot of a character

# 3 x 5 dots, row by row.
_FONT = {
    "0": "###|#.#|#.#|#.#|###",
    "1": ".#.|##.|.#.|.#.|###",
    "2": "###|..#|###|#..|###",
    "3": "###|..#|.##|..#|###",
    "4": "#.#|#.#|###|..#|..#",
    "5": "###|#..|###|..#|###",
    "6": "###|#..|###|#.#|###",
    "7": "###|..#|..#|.#.|.#.",
    "8": "###|#.#|###|#.#|###",
    "9": "###|#.#|###|..#|###",
    ":": "...|.#.|...|.#.|...",
}


def make_sample(path: Path, seconds: int = 20) -> None:
    """Write `path`, an MP4 of this many seconds, 640x360 at 25 fps, H.264 and AAC."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "26"})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=_RATE, layout="mono")
        for number in range(seconds * FPS):
            container.mux(video.encode(_picture(number)))
            if number % FPS == 0:
                container.mux(audio.encode(_sound(number // FPS)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _picture(number: int) -> av.VideoFrame:
    """Draw slanted bars that move left by two pixels per frame, and the time as `SS:FF`."""
    ramp = bytes(40 + (column % 128) for column in range(_WIDTH + 256))
    luma = bytearray(b"".join(ramp[(2 * number + row) % 128 :][:_WIDTH] for row in range(_HEIGHT)))
    _write(luma, f"{number // FPS:02d}:{number % FPS:02d}")
    frame = av.VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
    planes = [bytes(luma)] + [bytes([level]) * (_WIDTH * _HEIGHT // 4) for level in (140, 110)]
    for plane, data in zip(frame.planes, planes, strict=True):
        plane.update(data)
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def _write(luma: bytearray, text: str) -> None:
    left = (_WIDTH - len(text) * 4 * _DOT) // 2
    top = (_HEIGHT - 5 * _DOT) // 2
    for place, character in enumerate(text):
        for row, dots in enumerate(_FONT[character].split("|")):
            for column, dot in enumerate(dots):
                if dot == "#":
                    _square(luma, left + (place * 4 + column) * _DOT, top + row * _DOT)


def _square(luma: bytearray, left: int, top: int) -> None:
    for line in range(top, top + _DOT):
        at = line * _WIDTH + left
        luma[at : at + _DOT] = b"\xeb" * _DOT


def _sound(second: int) -> av.AudioFrame:
    """Return a soft tone with a beep in the first tenth of each second."""
    samples = array.array("h")
    for index in range(_RATE):
        pitch, level = (880, 9000) if index < _RATE // 10 else (220, 2500)
        samples.append(round(level * math.sin(2 * math.pi * pitch * index / _RATE)))
    frame = av.AudioFrame("s16", "mono", _RATE)
    frame.planes[0].update(samples.tobytes())
    frame.sample_rate, frame.pts, frame.time_base = _RATE, second * _RATE, Fraction(1, _RATE)
    return frame
