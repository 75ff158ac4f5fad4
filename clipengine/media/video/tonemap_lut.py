"""Tone mapping of HDR frames (PQ, HLG) to BT.709 with a lookup table.

Reference white, 203 cd/m2 (ITU-R BT.2408), maps to SDR white for PQ and HLG alike; brighter light is rolled off with
the curve of ITU-R BT.2390. The table is computed once for each clip.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import av
from av.filter import Graph
from av.sidedata.sidedata import SideData

from clipengine.media.video.filter_graph import add_sink, add_source, shape_of
from clipengine.media.video.frame_format import BT709, FULL, RGB_MATRIX, Colors

# ITU-T H.273 / ISO/IEC 23091-2 code points, as FFmpeg numbers them.
PQ, HLG = 16, 18
BT709_PRIMARIES, P3_PRIMARIES = 1, 12

# Input format of the lookup; FFmpeg has vector code for it.
PIXEL_FORMAT = "gbrp16le"

_REFERENCE_WHITE = 203.0  # cd/m2, ITU-R BT.2408
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2  # ITU-R BT.2100, on its reference screen
_DEFAULT_PEAK, _MAX_PEAK = 1000.0, 4000.0  # cd/m2; higher metadata is wrong or describes highlights only
_SCREEN_GAMMA = 2.4  # ITU-R BT.1886

_LEVEL = 6  # of the Hald table
_STEPS = _LEVEL**2  # of each of red, green and blue
_TIME_BASE = Fraction(1, 25)  # the filters only count frames
_MAPPED = Colors(RGB_MATRIX, FULL, BT709, BT709)

# Constants of SMPTE ST 2084 (PQ) and ITU-R BT.2100 (HLG).
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 32
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073

# AVContentLightMetadata, and AVMasteringDisplayMetadata from max_luminance on (behind 9 rationals).
_CONTENT_LIGHT = struct.Struct("=I")
_MASTERING_DISPLAY = struct.Struct("=72x4i")

_Triple = tuple[float, float, float]
_LUMA_2020 = (0.2627, 0.6780, 0.0593)
_BT2020_TO_709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
_P3_TO_709 = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))
_SAME = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def is_hdr(frame: av.VideoFrame) -> bool:
    """Return True if the frame's transfer function is PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


class ToneMapper:
    """Maps HDR frames to BT.709. The first frame decides transfer function, primaries and peak."""

    def __init__(self, first: av.VideoFrame) -> None:
        self._table = _table(int(first.color_trc), int(first.color_primaries), _peak(first))
        self._lut_graph: _LutGraph | None = None

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame mapped to and tagged as BT.709. It must be in PIXEL_FORMAT, full range."""
        if self._lut_graph is None or not self._lut_graph.fits(frame):
            order = _plane_order()
            self._lut_graph = _LutGraph(_hald(_LEVEL, [self._table[order[plane]] for plane in range(3)]), frame)
        return self._lut_graph.apply(frame)


class _LutGraph:
    """Filter graph that applies a Hald lookup table to frames of one size."""

    def __init__(self, table: av.VideoFrame, first: av.VideoFrame) -> None:
        self._size = (first.width, first.height)
        self._count = 0
        self._graph = Graph()
        self._source, colours = (
            add_source(self._graph, shape_of(each), time_base=_TIME_BASE) for each in (first, table)
        )
        lookup = self._graph.add("haldclut", "clut=first")
        self._source.link_to(lookup, 0, 0)
        colours.link_to(lookup, 0, 1)
        add_sink(self._graph, lookup, _MAPPED)
        table.pts, table.time_base = 0, _TIME_BASE
        colours.push(table)
        colours.push(None)

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._size == (frame.width, frame.height)

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        frame.pts, frame.time_base = self._count, _TIME_BASE
        self._count += 1
        self._source.push(frame)
        mapped = self._graph.pull()
        assert isinstance(mapped, av.VideoFrame)
        return mapped


@lru_cache(maxsize=1)
def _plane_order() -> tuple[int, ...]:
    """Return the output plane of each plane of a Hald table.

    FFmpeg 8 reads the green, blue and red planes of a planar table as red, green and blue.
    """
    level, size, order = 2, 2**3, []
    for plane in range(3):
        codes = [bytes([255 * (each == plane)]) * (2 * size * size) for each in range(3)]
        frame = _hald(level, codes)
        mapped = _LutGraph(_hald(level, codes), frame).apply(frame)
        order.append(max(range(3), key=lambda each: bytes(mapped.planes[each])[0]))
    return tuple(order)


def _peak(frame: av.VideoFrame) -> float:
    """Return the peak luminance of the recording in cd/m2, from its metadata or by convention."""
    if frame.color_trc == HLG:
        return _HLG_PEAK
    light = _side_data(frame, "CONTENT_LIGHT_LEVEL", _CONTENT_LIGHT.size)
    peak = float(_CONTENT_LIGHT.unpack(light)[0]) if light else 0.0
    mastering = _side_data(frame, "MASTERING_DISPLAY_METADATA", _MASTERING_DISPLAY.size)
    if not peak and mastering:
        numerator, denominator, _, has_luminance = _MASTERING_DISPLAY.unpack(mastering)
        peak = numerator / denominator if has_luminance and denominator else 0.0
    return min(max(peak, _REFERENCE_WHITE), _MAX_PEAK) if peak > 0 else _DEFAULT_PEAK


def _side_data(frame: av.VideoFrame, name: str, size: int) -> bytes:
    found = frame.side_data.get(name)
    return bytes(found)[:size] if isinstance(found, SideData) and found.buffer_size >= size else b""


@lru_cache(maxsize=2)
def _table(transfer: int, primaries: int, peak: float) -> tuple[bytes, bytes, bytes]:
    """Return the mapped green, blue and red planes of the colour grid, 16 bits each; red varies fastest, then green.

    The tone curve is applied to the largest BT.709 component and the others are scaled by the same factor, which keeps
    hues. Colours outside BT.709 are clipped.
    """
    steps = [step / (_STEPS - 1) for step in range(_STEPS)]
    lights = [_hlg_scene_light(step) if transfer == HLG else pq_to_light(step) for step in steps]
    gain = _gains(peak)
    to_red, to_green, to_blue = {BT709_PRIMARIES: _SAME, P3_PRIMARIES: _P3_TO_709}.get(primaries, _BT2020_TO_709)
    greens, blues, reds = array("H"), array("H"), array("H")
    for blue in lights:
        for green in lights:
            for red in lights:
                light = red, green, blue
                screen = _hlg_gain(light) if transfer == HLG else 1.0
                shown = _dot(to_red, light) * screen, _dot(to_green, light) * screen, _dot(to_blue, light) * screen
                factor = gain(max(shown))
                reds.append(_code(shown[0] * factor))
                greens.append(_code(shown[1] * factor))
                blues.append(_code(shown[2] * factor))
    return greens.tobytes(), blues.tobytes(), reds.tobytes()


def _dot(weights: _Triple, light: _Triple) -> float:
    return weights[0] * light[0] + weights[1] * light[1] + weights[2] * light[2]


def _code(light: float) -> int:
    """Return the 16-bit code of SDR light from 0 to 1."""
    return round(65535 * float(min(max(light, 0.0), 1.0) ** (1 / _SCREEN_GAMMA)))


def pq_to_light(signal: float) -> float:
    """Return the light of a PQ signal in cd/m2 (SMPTE ST 2084)."""
    root = signal ** (1 / _PQ_M2)
    return float(10_000 * (max(root - _PQ_C1, 0.0) / (_PQ_C2 - _PQ_C3 * root)) ** (1 / _PQ_M1))


def light_to_pq(light: float) -> float:
    """Return the PQ signal of light in cd/m2."""
    power = (light / 10_000) ** _PQ_M1
    return float(((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2)


def _hlg_scene_light(signal: float) -> float:
    """Return the scene light of an HLG signal, 0 to 1 (ITU-R BT.2100)."""
    if signal <= 0.5:
        return signal**2 / 3
    return (math.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12


def _hlg_gain(light: _Triple) -> float:
    """Return the display light in cd/m2 of one unit of scene light in this colour, on the reference display."""
    luminance = _dot(_LUMA_2020, light)
    return float(_HLG_PEAK * luminance ** (_HLG_GAMMA - 1)) if luminance > 0 else 0.0


def _gains(peak: float) -> Callable[[float], float]:
    """Return a function from light in cd/m2 to the factor that converts it to SDR light, where white is 1.

    It follows ITU-R BT.2390: linear up to the knee, then a spline to the peak.
    """
    top = light_to_pq(peak)
    white = light_to_pq(_REFERENCE_WHITE) / top
    knee = 1.5 * white - 0.5

    def gain(light: float) -> float:
        signal = min(light_to_pq(max(light, 0.0)) / top, 1.0)
        if knee >= 1 or signal <= knee:
            return 1 / _REFERENCE_WHITE
        t = (signal - knee) / (1 - knee)
        spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
        return pq_to_light(spline * top) / _REFERENCE_WHITE / light

    return gain


def _hald(level: int, codes: Sequence[bytes]) -> av.VideoFrame:
    """Return a frame for the haldclut filter with these codes in its planes."""
    side = level**3
    frame = av.VideoFrame(side, side, PIXEL_FORMAT)
    for plane, each in zip(frame.planes, codes, strict=True):
        padding = bytes(plane.line_size - 2 * side)
        rows = (each[at : at + 2 * side] + padding for at in range(0, len(each), 2 * side))
        plane.update(b"".join(rows).ljust(plane.buffer_size, b"\0"))
    return frame
