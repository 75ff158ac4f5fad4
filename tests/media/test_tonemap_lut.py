"""Tone mapping: one reference white for PQ and HLG, a smooth roll-off above, and a comparison with zscale."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import VideoReformatter

from clipengine.media.video.tonemap_lut import HLG, PIXEL_FORMAT, PQ, ToneMapper, light_to_pq
from tests.films.cutting import cut_file
from tests.support.ffmpeg import run_ffmpeg
from tests.support.selection import cases

_FULL = 2
_BT2020 = 9
_HLG_WHITE = 0.75  # signal of 203 cd/m2 on the reference screen (ITU-R BT.2408)
_REAL = {
    "av1_hdr10_mastering.mp4": "defects",
    "av1_hdr10_phone_portrait.mp4": "recordings",
    "hevc_hlg10.mp4": "recordings",
    "iphone_hevc_hdr_editlist_rot90.mp4": "recordings",
}
# The plain reference: 203 cd/m2 is 1, primaries before the curve, a knee, the gamma of a standard screen.
_ZSCALE = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=tonemap=mobius:desat=0:peak=4.926,zscale=t=bt709:m=bt709:r=pc,format=rgb24,"
    "scale={width}:{height}:flags=area"
)

Levels = npt.NDArray[np.float64]


def _mapped(transfer: int, *signals: float | tuple[float, float, float]) -> Levels:
    """Return what the mapper makes of flat colours (grey for single numbers), as red, green and blue from 0 to 1."""
    colours = [signal if isinstance(signal, tuple) else (signal,) * 3 for signal in signals]
    frame: Any = av.VideoFrame(16, len(colours), PIXEL_FORMAT)
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        codes = np.array([round(65535 * colour[channel]) for colour in colours], np.uint16)
        plane.update(np.repeat(codes, plane.line_size // 2).tobytes())
    frame.color_trc, frame.color_primaries, frame.color_range = transfer, _BT2020, _FULL
    mapped = ToneMapper(frame).apply(frame)
    planes = [np.frombuffer(plane, np.uint16).reshape(len(colours), -1)[:, 0] for plane in mapped.planes]
    return np.stack([planes[2], planes[0], planes[1]], axis=1) / 65535


def test_reference_white_is_the_same_in_pq_and_hlg() -> None:
    pq, hlg = _mapped(PQ, light_to_pq(203))[0], _mapped(HLG, _HLG_WHITE)[0]
    assert np.abs(pq - hlg).max() < 0.01
    assert 0.87 < pq[0] < 0.93
    assert np.ptp(pq) < 0.005


def test_highlights_roll_off_and_shadows_keep_their_light() -> None:
    lights = [1, 5, 20, 50, 100, 203, 300, 400, 600, 800, 1000]
    levels = _mapped(PQ, *(light_to_pq(light) for light in lights))[:, 0]
    assert (np.diff(levels) > 0).all()
    assert levels[-1] > 0.99
    for light, level in zip(lights[:4], levels[:4], strict=True):
        assert abs(level - (light / 203) ** (1 / 2.4)) < 0.01


def test_hues_of_colours_that_bt709_has_are_kept() -> None:
    """Pure red, green and blue of BT.709 at 150 cd/m2, given in BT.2020."""
    columns = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    signals = [tuple(light_to_pq(150 * float(part)) for part in columns[:, at]) for at in range(3)]
    mapped = _mapped(PQ, *signals) ** 2.4  # type: ignore[arg-type]
    for at in range(3):
        assert mapped[at].argmax() == at
        assert np.sort(mapped[at])[1] < 0.06 * mapped[at].max()


@cache
def _has_zscale() -> bool:
    ffmpeg = shutil.which("ffmpeg")
    return ffmpeg is not None and b"zscale" in subprocess.run([ffmpeg, "-filters"], capture_output=True).stdout


@pytest.mark.parametrize("name", cases(_REAL, ["hevc_hlg10.mp4"]))
@pytest.mark.exhaustive
def test_clip_of_hdr_looks_like_zscale_would_show_it(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    path: Path = request.getfixturevalue(_REAL[name]) / name
    if not _has_zscale():
        pytest.skip("no ffmpeg command with zscale here")
    cut_file(path, Fraction(0), Fraction(1, 10), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frame = next(container.decode(video=0))
    width, height = 160, 160 * frame.height // frame.width
    shown = VideoReformatter().reformat(frame, width, height, "rgb24", interpolation=0x20).to_ndarray() / 255
    options = ["-vf", _ZSCALE.format(width=width, height=height), "-frames:v", "1", "-f", "rawvideo"]
    made = run_ffmpeg("-v", "error", "-i", path, *options, "-").stdout
    reference = np.frombuffer(made, np.uint8).reshape(height, width, 3) / 255
    # Measured: means 0.01 to 0.03 apart, pictures 0.01 to 0.04. Before: 0.11 darker (PQ), 0.06 brighter (HLG).
    assert abs(shown.mean() - reference.mean()) < 0.04
    assert np.abs(shown - reference).mean() < 0.05
