"""Recordings whose picture changes its size, as recorders of WebRTC write: runs of encoders in one stream."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet

FPS = 10
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none"},
}


class Run(NamedTuple):
    """Grey pictures of one size, with a white square of half their height in the middle if it is `squared`."""

    width: int
    height: int
    frames: int
    luma: int
    ratio: Fraction = Fraction(1)  # sample aspect ratio
    squared: bool = False


def write_changing(path: Path, codec: str, runs: Sequence[Run]) -> None:
    """Write the runs, one after the other, at 10 frames a second. The path's suffix names the container."""
    with av.open(str(path), "w") as container:
        stream, at = None, 0
        for run in runs:
            encoder = _encoder(codec, run)
            if stream is None:
                stream = _stream(container, codec, encoder)
            for packet in _packets(encoder, run):
                _mux(container, stream, packet, at)
            at += run.frames


def _encoder(codec: str, run: Run) -> Any:
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = run.width, run.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.sample_aspect_ratio = run.ratio
    encoder.options = _OPTIONS.get(codec, {})
    encoder.open()
    return encoder


def _stream(container: Any, codec: str, encoder: Any) -> Any:
    stream = container.add_stream(codec, rate=FPS)
    stream.width, stream.height, stream.pix_fmt = encoder.width, encoder.height, "yuv420p"
    stream.sample_aspect_ratio = encoder.sample_aspect_ratio
    stream.codec_context.options = _OPTIONS.get(codec, {})
    stream.time_base = Fraction(1, FPS)
    return stream


def _packets(encoder: Any, run: Run) -> list[Packet[Any]]:
    made: list[Packet[Any]] = []
    for number in range(run.frames):
        frame = av.VideoFrame.from_ndarray(_picture(run), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        made += encoder.encode(frame)
    return [*made, *encoder.encode(None)]


def _picture(run: Run) -> npt.NDArray[np.uint8]:
    """Return the planes of a picture, one below the other."""
    planes = np.full((run.height * 3 // 2, run.width), 128, np.uint8)
    luma = planes[: run.height]
    luma[:] = run.luma
    if run.squared:
        sides = round(run.height / 2), round(run.height / 2 / run.ratio)
        y, x = (run.height - sides[0]) // 2, (run.width - sides[1]) // 2
        luma[y : y + sides[0], x : x + sides[1]] = 235
    return planes


def _mux(container: Any, stream: Any, packet: Packet[Any], at: int) -> None:
    moved = Packet(bytes(packet))
    moved.pts, moved.dts, moved.duration = (packet.pts or 0) + at, (packet.dts or 0) + at, 1
    moved.time_base, moved.stream, moved.is_keyframe = Fraction(1, FPS), stream, packet.is_keyframe
    container.mux_one(moved)
