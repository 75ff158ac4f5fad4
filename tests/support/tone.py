"""A plain reference for HDR on SDR displays, written from the standards and independent of the tested code.

PQ (SMPTE ST 2084) and HLG (BT.2100, display of 1000 cd/m2) to light, 203 cd/m2 (BT.2408) as reference white, the
extended Reinhard curve on luminance, BT.2020 to BT.709 primaries, and the BT.1886 curve. Tone mapping is a matter of
taste, so only brightness, contrast, colourfulness and shapes are compared with this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float64]
_PQ, _HLG = 16, 18
_PEAK, _WHITE = 1000.0, 203.0
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMA_2020, _LUMA_709 = np.array([0.2627, 0.6780, 0.0593]), np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Look:
    """A frame at half its size: luma from 0 to 1 and the distance of each pixel from grey."""

    luma: Plane
    saturation: Plane

    @property
    def mean(self) -> float:
        return float(self.luma.mean())

    @property
    def contrast(self) -> float:
        return float(self.luma.std())

    @property
    def colourfulness(self) -> float:
        return float(self.saturation.mean())

    def turned(self, quarters: int) -> Look:
        """Rotate anticlockwise by this number of right angles."""
        return Look(np.rot90(self.luma, quarters), np.rot90(self.saturation, quarters))

    def likeness(self, other: Look) -> float:
        """Return the correlation of the two lumas: 1 for the same shapes at any brightness."""
        return float(np.corrcoef(self.luma.ravel(), other.luma.ravel())[0, 1])


def look(frame: av.VideoFrame) -> Look:
    """Return the look of a frame of limited range."""
    luma, cb, cr = _levels(frame)
    return Look(luma, np.hypot(cb, cr))


def reference_look(frame: av.VideoFrame) -> Look:
    """Return the approximate look that a BT.2020 frame in PQ or HLG should have on an SDR display."""
    luma, cb, cr = _levels(frame)
    red, blue = luma + 1.4746 * cr, luma + 1.8814 * cb
    green = (luma - _LUMA_2020[0] * red - _LUMA_2020[2] * blue) / _LUMA_2020[1]
    light = _light(np.clip(np.stack([red, green, blue], axis=-1), 0, 1), int(frame.color_trc)) / _WHITE
    bright = np.maximum(light @ _LUMA_2020, 1e-9)
    mapped = bright * (1 + bright / (_PEAK / _WHITE) ** 2) / (1 + bright)
    shown = np.clip((light * (mapped / bright)[..., None]) @ _TO_709.T, 0, 1) ** (1 / 2.4)
    luma = shown @ _LUMA_709
    return Look(luma, np.hypot((shown[..., 2] - luma) / 1.8556, (shown[..., 0] - luma) / 1.5748))


def _light(signal: Plane, transfer: int) -> Plane:
    """Convert a signal to cd/m2 on the display."""
    if transfer == _PQ:
        root = signal ** (1 / 78.84375)
        return np.asarray(
            10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578)
        )
    assert transfer == _HLG
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    bright = np.maximum(scene @ _LUMA_2020, 1e-9)
    return np.asarray(_PEAK * bright[..., None] ** 0.2 * scene)


def _levels(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return luma 0 to 1, and Cb and Cr -0.5 to 0.5, of a limited-range 4:2:0 frame, all at the size of the chroma."""
    unit = 4 if frame.format.name == "yuv420p10le" else 1
    planes: Any = frame.planes
    codes = []
    for plane in planes:
        rows = np.frombuffer(plane, np.uint8 if unit == 1 else np.dtype("<u2")).reshape(plane.height, -1)
        codes.append(rows[:, : plane.width].astype(np.float64) / unit)
    height, width = codes[1].shape
    luma = codes[0][: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    return (luma - 16) / 219, (codes[1] - 128) / 224, (codes[2] - 128) / 224
