"""Recordings to cut, made once with the ffmpeg command and cached.

Video and audio come from a real recording if the folder has it, else from ffmpeg's test sources with noise. A unit of
some seconds is encoded once and repeated by copying packets, so that hours cost only disk space.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.benchmarks.figures import Bench

_SMALLEST_HEIGHT = 90
_UNIT_SECONDS = 25  # three GOPs of 250 frames, and whole milliseconds, so that repetitions stay on the frame grid
_COPIED_SECONDS = 600  # longer recordings repeat one of this length, including audio
_REAL = "hevc_1080p_fullrange_icc.mp4"  # ten seconds of 1080p30 with audio from a camera
_FILM = (
    ("-f", "lavfi", "-i", "mandelbrot=size=1920x1080:rate=30,noise=alls=12:allf=t,format=yuv420p"),
    ("-f", "lavfi", "-i", "anoisesrc=color=pink:sample_rate=48000"),
)
_SMALLEST_FILM = (("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30,format=yuv420p"), _FILM[1])
_AAC = ("-c:a", "aac", "-b:a", "128k")
_X264 = ("-c:v", "libx264", "-preset", "medium", "-g", "250", "-keyint_min", "250", "-sc_threshold", "0")


@dataclass(frozen=True)
class Kind:
    """A kind of recording: encoding of video and audio, and container."""

    name: str
    height: int
    video: tuple[str, ...]
    audio: tuple[str, ...]
    extension: str
    mux: tuple[str, ...] = ()


H264_1080 = Kind("h264-1080p30", 1080, (*_X264, "-b:v", "5M"), _AAC, "mp4")
H264_1080_SHORT_GOP = Kind("h264-1080p30-gop-60", 1080, (*_X264, "-g", "60", "-b:v", "5M"), _AAC, "mp4")
H264_720 = Kind("h264-720p30", 720, (*_X264, "-b:v", "2M"), _AAC, "mp4")
H264_360 = Kind("h264-360p30", 360, (*_X264, "-b:v", "1M"), _AAC, "mp4")
HEVC_1080 = Kind(
    "hevc-1080p30",
    1080,
    ("-c:v", "libx265", "-preset", "veryfast", "-b:v", "3M", "-x265-params", "keyint=250:scenecut=0:log-level=none"),
    _AAC,
    "mp4",
    ("-tag:v", "hvc1"),
)
# As recorded by browsers: no duration, no cues, a keyframe every hundred frames.
VP8_LIVE = Kind(
    "vp8-720p30-live",
    720,
    ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "6", "-b:v", "2500k", "-g", "100"),
    ("-c:a", "libopus", "-b:a", "96k"),
    "webm",
    ("-f", "webm", "-live", "1", "pipe:1"),
)


def lacking() -> str | None:
    """Return the reason why nothing can be made here, or None."""
    return None if shutil.which("ffmpeg") else "skipped: the ffmpeg command is not installed"


def scaled(bench: Bench, kind: Kind) -> Kind:
    """Return the kind as it is recorded in this run."""
    if bench.scale != "smallest" or kind.height == _SMALLEST_HEIGHT:
        return kind
    return replace(kind, name=f"{kind.name}-smallest", height=_SMALLEST_HEIGHT)


def recording(bench: Bench, kind: Kind, seconds: int) -> Path:
    """Return the cached recording of this kind and length, made on first use."""
    kind = scaled(bench, kind)
    made = bench.cache / f"{kind.name}-{seconds}s.{kind.extension}"
    if made.exists():
        return made
    if seconds > _COPIED_SECONDS:
        inputs = ["-stream_loop", "-1", "-i", str(recording(bench, kind, _COPIED_SECONDS)), "-c", "copy"]
    else:
        _, sound = _content(bench)
        inputs = ["-stream_loop", "-1", "-i", str(_unit(bench, kind)), *sound, "-map", "0:v", "-map", "1:a"]
        inputs += ["-c:v", "copy", "-ac", "2", *kind.audio]
    bench.say(f"  making {made.name}")
    _ffmpeg(made, [*inputs, "-t", str(seconds), *kind.mux])
    return made


def remuxed(bench: Bench, recording: Path, name: str, extension: str, mux: Sequence[str]) -> Path:
    """Return the recording's packets in another container, cached; `name` identifies the container."""
    made = bench.cache / f"{recording.stem}-{'-'.join(name.lower().replace(',', '').split())}.{extension}"
    if not made.exists():
        bench.say(f"  making {made.name}")
        _ffmpeg(made, ["-i", str(recording), "-map", "0", "-c", "copy", *mux])
    return made


def _unit(bench: Bench, kind: Kind) -> Path:
    unit = bench.cache / f"{kind.name}-unit.mkv"
    if not unit.exists():
        bench.say(f"  encoding {unit.name} once")
        picture, _ = _content(bench)
        fit = ("-an", "-vf", f"scale=-2:{kind.height}:out_range=limited,format=yuv420p")
        _ffmpeg(unit, [*picture, "-t", str(_UNIT_SECONDS), *fit, *kind.video])
    return unit


def _content(bench: Bench) -> tuple[Sequence[str], Sequence[str]]:
    """Return endless inputs for video and audio."""
    if bench.scale == "smallest":
        return _SMALLEST_FILM
    real = None if bench.media is None else bench.media / _REAL
    if real is not None and real.exists():
        endless = ("-stream_loop", "-1", "-i", str(real))
        return endless, endless
    return _FILM


def _ffmpeg(target: Path, arguments: Sequence[str]) -> None:
    """Run ffmpeg and put its complete output at `target` atomically."""
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
