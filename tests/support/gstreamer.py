"""Other decoders than FFmpeg's, with GStreamer's demuxer and parser."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def need_elements(*elements: str) -> None:
    """Skip the test if GStreamer or one of its elements is missing, except in CI."""
    found = shutil.which("gst-inspect-1.0") is not None and all(
        subprocess.run(["gst-inspect-1.0", "--exists", element], check=False).returncode == 0 for element in elements
    )
    if not found and os.environ.get("CI"):
        pytest.fail(f"missing: gst-launch-1.0 with {', '.join(elements)}")
    if not found:
        pytest.skip(f"no other decoder: this test needs gst-launch-1.0 with {', '.join(elements)}")


_DEMUXERS = {".mp4": "qtdemux", ".mkv": "matroskademux"}


def decode(path: Path, size: int, *elements: str) -> list[bytes]:
    """Return the samples of the frames, of `size` bytes, in the order in which the parser and decoder show them."""
    output = path.with_suffix(".yuv")
    # Converted to lines without padding.
    steps = [_DEMUXERS[path.suffix], *elements, "video/x-raw,format=I420", "videoconvert"]
    pipeline = f"filesrc location={path} ! {' ! '.join(steps)} ! filesink location={output}"
    subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True, timeout=300, capture_output=True)
    data = output.read_bytes()
    assert len(data) % size == 0
    return [data[at : at + size] for at in range(0, len(data), size)]
