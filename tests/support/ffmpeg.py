"""The commands ffmpeg and ffprobe, with which tests make and read files independently of PyAV."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_ffmpeg(
    *arguments: str | Path, program: str = "ffmpeg", check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg, or `program`, and return what it printed. Skips the test if it is missing, except in CI."""
    if shutil.which(program) is None:
        reason = f"missing: this test needs the command {program}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run(
        [program, *arguments], check=check, capture_output=True, stdin=subprocess.DEVNULL, timeout=300
    )


def run_ffprobe(*arguments: str | Path) -> bytes:
    """Return what ffprobe prints as JSON. Skips the test if it is missing, except in CI."""
    return run_ffmpeg("-v", "error", "-of", "json", *arguments, program="ffprobe").stdout
