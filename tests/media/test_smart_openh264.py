"""Clips of smart render in another decoder: openh264, with GStreamer's demuxer and parser."""

from __future__ import annotations

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.films.catalogue import Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import SMART, cut
from tests.media.test_smart_render import planes

_TOOLS = "gst-launch-1.0 with qtdemux, h264parse and openh264dec"
FILMS = ("mp4_25", "mp4_2997", "mp4_bframes", "mp4_gop_10s", "mp4_open_gop", "mp4_vfr_jitter", "sar_wide", "ts_bframes")


@pytest.fixture(scope="module")
def openh264() -> None:
    found = shutil.which("gst-inspect-1.0") is not None and all(
        subprocess.run(["gst-inspect-1.0", "--exists", element], check=False).returncode == 0
        for element in ("qtdemux", "h264parse", "openh264dec")
    )
    if not found and os.environ.get("CI"):
        pytest.fail(f"missing: {_TOOLS}")
    if not found:
        pytest.skip(f"no other decoder: these tests need {_TOOLS}")


def _decode(path: Path, size: int) -> list[bytes]:
    """Return the samples of the frames that openh264 decodes, in the order in which it shows them."""
    output = path.with_suffix(".yuv")
    pipeline = f"filesrc location={path} ! qtdemux ! h264parse ! openh264dec ! video/x-raw,format=I420"
    # Lines without padding.
    steps = f"{pipeline} ! videoconvert ! filesink location={output}"
    subprocess.run(["gst-launch-1.0", "-q", *steps.split()], check=True, timeout=60, capture_output=True)
    data = output.read_bytes()
    assert len(data) % size == 0
    return [data[at : at + size] for at in range(0, len(data), size)]


def _expected(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [planes(frame) for frame in container.decode(video=0)]


@pytest.mark.usefixtures("openh264")
@pytest.mark.parametrize("name", FILMS)
def test_openh264_decodes_the_same_frames(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film, copied = shelf.get(name), 0
    seams = Cut("seams", Fraction(1107, 1000), min(film.duration, Fraction(1402, 100)))
    for each in [seams, *cuts_of(film)]:
        clip = cut(film, each.start, each.end, tmp_path / "clip.mp4", SMART)
        if clip.made.render != "smart" or clip.made.frames < 3:  # GStreamer's element needs more than one frame
            continue
        copied += 1
        expected = _expected(clip.path)
        decoded = _decode(clip.path, len(expected[0]))
        assert len(decoded) == len(expected), str(each)
        assert decoded == expected, f"{each}: {[a == b for a, b in zip(decoded, expected, strict=True)].index(False)}"
    assert copied
