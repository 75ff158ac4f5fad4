"""Recordings of VP8 and VP9 with hidden frames. libvpx makes these in a second pass, which PyAV does not offer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_OPTIONS = "-b:v 200k -g 60 -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 5 -c:a libopus"


def encode_in_two_passes(source: Path, output: Path, codec: str) -> None:
    """Encode the first 6 seconds of a recording into WebM. Skips the test if FFmpeg is missing, except in CI."""
    if shutil.which("ffmpeg") is None:
        if os.environ.get("CI"):
            pytest.fail("missing: ffmpeg")
        pytest.skip("this test needs ffmpeg")
    log = ["-passlogfile", str(output.with_suffix(""))]
    for number in ("1", "2"):
        options = ["-c:v", ENCODERS[codec], *_OPTIONS.split(), "-pass", number, *log]
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), "-t", "6", *options, str(output)]
        subprocess.run(command, check=True, timeout=300)
