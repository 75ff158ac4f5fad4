"""Recordings whose picture changes its size, as recorders of WebRTC write: runs of encoders in one stream."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.packet import Packet

FPS = 10
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none"},
}


class Run(NamedTuple):
    """Grey pictures of one size."""

    width: int
    height: int
    frames: int
    luma: int


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
    encoder.options = _OPTIONS.get(codec, {})
    encoder.open()
    return encoder


def _stream(container: Any, codec: str, encoder: Any) -> Any:
    stream = container.add_stream(codec, rate=FPS)
    stream.width, stream.height, stream.pix_fmt = encoder.width, encoder.height, "yuv420p"
    stream.codec_context.options = _OPTIONS.get(codec, {})
    stream.time_base = Fraction(1, FPS)
    return stream


def _packets(encoder: Any, run: Run) -> list[Packet[Any]]:
    made: list[Packet[Any]] = []
    for number in range(run.frames):
        frame = av.VideoFrame(run.width, run.height, "yuv420p")
        for plane, value in zip(frame.planes, (run.luma, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        made += encoder.encode(frame)
    return [*made, *encoder.encode(None)]


def _mux(container: Any, stream: Any, packet: Packet[Any], at: int) -> None:
    moved = Packet(bytes(packet))
    moved.pts, moved.dts, moved.duration = (packet.pts or 0) + at, (packet.dts or 0) + at, 1
    moved.time_base, moved.stream, moved.is_keyframe = Fraction(1, FPS), stream, packet.is_keyframe
    container.mux_one(moved)
