"""Recordings of stripes in known colours with declared colour tags, and the colours that the ffmpeg command reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageSequence

from tests.films.film import BT601, BT709, BT2020, HLG, PQ, Tags
from tests.support.ffmpeg import run_ffmpeg

Pixels = npt.NDArray[np.uint8]

COLORS = (
    (254, 0, 0),
    (0, 254, 0),
    (0, 0, 254),
    (250, 250, 0),
    (128, 128, 128),
    (0, 200, 200),
    (200, 60, 140),
    (20, 20, 20),
)
WIDTH, HEIGHT = 320, 256
_RGB = Tags(1, 1, 0, True)
_SWS_MATRICES = {1: 1, 5: 5, 6: 5, 9: 9}
_FPS = 25


@dataclass(frozen=True)
class Source:
    """A kind of recording: its colour tags, its pixel format and its codec."""

    tags: Tags
    pixel_format: str = "yuv420p"
    codec: str = "libx264"
    container: str = "mp4"


SOURCES = {
    "709": Source(BT709),
    "601": Source(BT601),
    "601_625": Source(Tags(5, 6, 5, False)),
    "2020": Source(BT2020),
    "full": Source(Tags(1, 1, 1, True), "yuvj420p"),
    "full_601": Source(Tags(6, 6, 6, True), "yuvj420p"),
    "pq": Source(PQ, "yuv420p10le", "libx265"),
    "hlg": Source(HLG, "yuv420p10le", "libx265"),
    "rgb": Source(_RGB, "rgb24", "libx264rgb"),
    "10bit": Source(BT709, "yuv420p10le"),
    "444": Source(BT709, "yuv444p"),
    "untagged": Source(Tags()),
    "vp9": Source(BT709, codec="libvpx-vp9", container="webm"),
}


def write_patches(path: Path, source: Source, *, width: int = WIDTH, height: int = HEIGHT, frames: int = 25) -> None:
    """Write a recording of horizontal stripes, one for each of COLORS, from top to bottom."""
    tags = source.tags
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "8", "x265-params": "log-level=error"}
        stream: Any = container.add_stream(source.codec, rate=_FPS, options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, source.pixel_format
        context.color_primaries, context.color_trc, context.colorspace = tags.primaries, tags.transfer, tags.matrix
        context.color_range = 0 if tags.full_range is None else 1 + tags.full_range
        context.thread_count = 1
        frame = _frame(source, width, height)
        for number in range(frames):
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frame(source: Source, width: int, height: int) -> av.VideoFrame:
    rows = np.repeat(np.array(COLORS, np.uint8), height // len(COLORS), axis=0)
    pixels = np.broadcast_to(rows[:, None, :], (height, width, 3))
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    if source.pixel_format == "rgb24":
        return rgb
    return VideoReformatter().reformat(
        rgb,
        format=source.pixel_format,
        src_color_range=2,
        dst_colorspace=_SWS_MATRICES.get(source.tags.matrix, 5),
        dst_color_range=2 if source.tags.full_range else 1,
    )


def read_pixels(path: Path, *, at: float = 0.0) -> Pixels:
    """Return the RGB pixels of the frame that is shown at a time, as the ffmpeg command converts them.

    Pillow reads WebP, because ffmpeg does not decode its animations.
    """
    return _read_webp(path, at) if path.suffix == ".webp" else read_frames(path, [at])[0]


def read_frames(path: Path, times: Sequence[float]) -> Pixels:
    """Return the RGB pixels of the frames that are shown at some times, in their order, by one run of ffmpeg."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        width, height = video.width, video.height
    firsts = [f"gte(t\\,{at - 0.001})*not(gte(prev_t\\,{at - 0.001}))" for at in times]
    command = ["-v", "error", "-threads", "1", "-i", str(path), "-vf", f"select={'+'.join(firsts)}"]
    command += ["-fps_mode", "passthrough", "-frames:v", str(len(times))]
    command += ["-sws_flags", "accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = run_ffmpeg(*command).stdout
    return np.frombuffer(data, np.uint8).reshape(len(times), height, width, 3)


def _read_webp(path: Path, at: float) -> Pixels:
    with Image.open(path) as image:
        end = 0.0
        for frame in ImageSequence.Iterator(image):
            frame.load()  # sets the duration, which a file of one picture lacks
            end += frame.info.get("duration", math.inf)
            if at * 1000 < end:
                break
        return np.asarray(image.convert("RGB"))


def stripes(pixels: Pixels, *, bars: bool = False) -> npt.NDArray[np.float64]:
    """Return the colour in the middle of each stripe; the picture fills the frame or has bars above and below."""
    height, width = pixels.shape[:2]
    shown = width * HEIGHT / WIDTH if bars else height
    found = []
    for number in range(len(COLORS)):
        row = int((height - shown) / 2 + (number + 0.5) / len(COLORS) * shown)
        found.append(pixels[row - 1 : row + 1, width // 2 - 4 : width // 2 + 4].reshape(-1, 3).mean(axis=0))
    return np.array(found)
