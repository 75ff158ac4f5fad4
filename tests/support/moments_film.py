"""A film with keyframes, changes of scene and silences at known times, whose frames show their number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.films.picture import _cell_map, draw, to_frame
from tests.films.sound import sound

SECONDS, FPS, GOP, RATE = 12, 25, 50, 48_000
# (start, luma of the background)
SCENES = ((Fraction(0), 0.15), (Fraction("3.2"), 0.85), (Fraction("6.4"), 0.3), (Fraction("9.6"), 0.9))
SILENCES = ((Fraction(2), Fraction(3)), (Fraction("5"), Fraction("5.2")), (Fraction(7), Fraction("9.5")))
_WIDTH, _HEIGHT = 160, 90


def make_moments_film(path: Path) -> Path:
    """Write the film. The second silence is too short to count."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "22"})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        video.codec_context.gop_size, video.codec_context.max_b_frames = GOP, 0
        video.options |= {"sc_threshold": "0"}
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(SECONDS * FPS):
            frame = to_frame(_picture(number), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        samples = sound(1, RATE, 0, SECONDS * RATE).copy()
        for start, end in SILENCES:
            samples[int(start * RATE) : int(end * RATE)] = 0
        for first in range(0, len(samples), 1024):
            piece = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, first, Fraction(1, RATE)
            container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def _picture(number: int) -> Any:
    luma = [level for start, level in SCENES if start * FPS <= number][-1]
    picture = draw(number, _WIDTH, _HEIGHT).copy()
    between = _cell_map(_WIDTH, _HEIGHT) < 0
    picture[0][between] = luma
    picture[1:, between] = np.float32(0)
    return picture
