"""Limiting of decoded sound to full scale.

Lossy decoders and recordings of floats have samples beyond ±1.0, which players cut off. An encoder that does not hold
them lowers the level of its whole window instead.
"""

from __future__ import annotations

from functools import lru_cache

import av
from av.filter import Graph

from clipengine.media.audio.filter_graph import keeping_format, linear_graph

_SAMPLE_BYTES = 4
_ONE = 0x3F80_0000  # the bits of 1.0; larger floats have larger integers as bits
_MAGNITUDE = 0x7FFF_FFFF
# Marks, by a bit that is not ASCII, the highest bytes of floats from ±0.5 on, which may exceed 1.0.
_MAY_EXCEED = bytes(0x80 if each & 0x7F >= _ONE >> 24 else 0 for each in range(256))


class Limiter:
    """Limits the samples of float frames of one format, layout and rate to ±1.0."""

    def __init__(self, format: str, layout: str, rate: int) -> None:
        self._shape = format, layout, rate
        self._graph: Graph | None = None
        self.limited_samples = 0  # of all frames that had samples beyond full scale

    def apply(self, frame: av.AudioFrame) -> av.AudioFrame:
        """Return the frame, or a limited copy if it exceeds full scale."""
        if not _exceeds(frame):
            return frame
        self.limited_samples += frame.samples
        if self._graph is None:
            format, layout, rate = self._shape
            filters = [("asoftclip", "type=hard"), keeping_format(format, layout)]
            self._graph = linear_graph(filters, format=format, layout=layout, rate=rate)
        self._graph.push(frame)
        limited = self._graph.pull()
        assert isinstance(limited, av.AudioFrame)
        return limited


def _exceeds(frame: av.AudioFrame) -> bool:
    """Return True if a sample is beyond ±1.0.

    All samples are compared at once, as one integer: Python would take longer for each than the encoder.
    """
    size = _SAMPLE_BYTES * frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
    for plane in frame.planes:
        data = bytes(plane)[:size]
        if data[_SAMPLE_BYTES - 1 :: _SAMPLE_BYTES].translate(_MAY_EXCEED).isascii():
            continue
        magnitudes, to_sign_bit, sign_bits = _masks(size // _SAMPLE_BYTES)
        if (int.from_bytes(data, "little") & magnitudes) + to_sign_bit & sign_bits:
            return True
    return False


@lru_cache(maxsize=4)
def _masks(samples: int) -> tuple[int, int, int]:
    """Return the mask of magnitudes, the summand that carries them into the sign bit above 1.0, and the sign bits."""
    words = _MAGNITUDE, _MAGNITUDE - _ONE, _MAGNITUDE + 1
    magnitudes, to_sign_bit, sign_bits = (
        int.from_bytes(each.to_bytes(_SAMPLE_BYTES, "little") * samples, "little") for each in words
    )
    return magnitudes, to_sign_bit, sign_bits
