"""Recordings of VP8 and VP9 with hidden frames. libvpx makes these in a second pass, which PyAV does not offer."""

from __future__ import annotations

from pathlib import Path

from tests.support.ffmpeg import run_ffmpeg

ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_OPTIONS = "-b:v 200k -g 60 -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 5 -c:a libopus"


def encode_in_two_passes(source: Path, output: Path, codec: str) -> None:
    """Encode the first 6 seconds of a recording into WebM. Skips the test if FFmpeg is missing, except in CI."""
    log = ["-passlogfile", str(output.with_suffix(""))]
    for number in ("1", "2"):
        options = ["-c:v", ENCODERS[codec], *_OPTIONS.split(), "-pass", number, *log]
        run_ffmpeg("-v", "error", "-y", "-i", source, "-t", "6", *options, output)
