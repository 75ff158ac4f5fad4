"""The recordings that are cut: made once with the ffmpeg command and kept.

Their picture and sound are those of real recordings where the folder has them, else a film of ffmpeg's own with noise
in it. A unit of some seconds is encoded once and repeated by copying its packets, so that hours cost only disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from scripts.benchmarks.figures import Bench

_UNIT_SECONDS = 20
_REAL = "hevc_1080p_fullrange_icc.mp4"  # ten seconds of a camera's 1080p30 with sound
_FILM = (
    ("-f", "lavfi", "-i", "mandelbrot=size=1920x1080:rate=30,noise=alls=12:allf=t,format=yuv420p"),
    ("-f", "lavfi", "-i", "anoisesrc=color=pink:sample_rate=48000,pan=stereo|c0=c0|c1=c0"),
)
_AAC = ("-c:a", "aac", "-b:a", "128k")
_X264 = ("-c:v", "libx264", "-preset", "medium", "-g", "250", "-keyint_min", "250", "-sc_threshold", "0")


@dataclass(frozen=True)
class Kind:
    """How a unit is encoded, and how its repetition is muxed."""

    name: str
    height: int
    codecs: tuple[str, ...]
    unit: str  # the extension of the unit
    extension: str
    mux: tuple[str, ...] = ()


H264_1080 = Kind("h264-1080p30", 1080, (*_X264, "-b:v", "5M", *_AAC), "mkv", "mp4")
H264_720 = Kind("h264-720p30", 720, (*_X264, "-b:v", "2M", *_AAC), "mkv", "mp4")
# As browsers record: no duration, no cues, a keyframe every hundred frames or so.
VP8_LIVE = Kind(
    "vp8-720p30-live", 720,
    ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "6", "-b:v", "2500k", "-g", "100", "-c:a", "libopus",
     "-b:a", "96k"),
    "webm", "webm", ("-f", "webm", "-live", "1", "pipe:1"),
)  # fmt: skip
HEVC_1080 = Kind(
    "hevc-1080p30", 1080,
    ("-c:v", "libx265", "-preset", "fast", "-b:v", "3M", "-x265-params", "keyint=250:scenecut=0:log-level=none",
     "-tag:v", "hvc1", *_AAC),
    "mkv", "mp4", ("-tag:v", "hvc1"),
)  # fmt: skip


def lacking() -> str | None:
    """Why nothing can be made here; None where it can."""
    return None if shutil.which("ffmpeg") else "skipped: the ffmpeg command is not installed"


def recording(bench: Bench, kind: Kind, seconds: int) -> Path:
    """A recording of this kind and length, from the cache."""
    made = bench.cache / f"{kind.name}-{seconds}s.{kind.extension}"
    if not made.exists():
        unit = bench.cache / f"{kind.name}-unit.{kind.unit}"
        if not unit.exists():
            bench.say(f"  encoding {unit.name} once")
            scale = ("-vf", f"scale=-2:{kind.height}:in_range=full:out_range=limited,format=yuv420p")
            _ffmpeg(unit, [*_content(bench), "-t", str(_UNIT_SECONDS), *scale, "-ac", "2", *kind.codecs])
        bench.say(f"  making {made.name}")
        repeated = ["-stream_loop", "-1", "-i", str(unit), "-t", str(seconds), "-map", "0", "-c", "copy"]
        _ffmpeg(made, [*repeated, *kind.mux])
    return made


def seconds_of(frame: int, rate: int = 30) -> Fraction:
    """When a frame of a constant rate begins."""
    return Fraction(frame, rate)


def _content(bench: Bench) -> Sequence[str]:
    real = None if bench.media is None else bench.media / _REAL
    if real is not None and real.exists():
        return ["-stream_loop", "-1", "-i", str(real)]
    bench.say("  the real recordings are not here: a film of ffmpeg's own stands in for them")
    return [word for source in _FILM for word in source]


def _ffmpeg(target: Path, arguments: Sequence[str]) -> None:
    """Run ffmpeg into `target`, which appears when it is whole."""
    partial = target.with_name(f"partial-{os.getpid()}-{target.name}")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments]
    try:
        if arguments[-1] == "pipe:1":
            with partial.open("wb") as out:
                subprocess.run(command, check=True, stdout=out)
        else:
            subprocess.run([*command, str(partial)], check=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
