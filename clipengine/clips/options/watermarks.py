"""Watermarks: pictures of the operator that are drawn over clips. A watermark is a table `[watermarks.NAME]`. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from clipengine.basis.settings_table import SettingsTable
from clipengine.clips.options.framing import Box, Size
from clipengine.clips.options.output import Output
from clipengine.errors import UnknownWatermark

MAX_PNG_BYTES = 2 << 20
MAX_PNG_SIDE = 4096  # pixels
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_HEAD = struct.Struct(">I4s")

Position = Literal[
    "top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"
]  # fmt: skip


def _not_empty(path: object) -> object:
    if path == "":
        raise ValueError("must not be empty: name a PNG file")
    return path


class WatermarkStyle(SettingsTable):
    """Place and look of a watermark. `width` is a fraction of the clip's width, `margin` of its shorter side."""

    position: Position = "bottom-right"
    width: Annotated[float, Field(gt=0, le=1)] = 0.15
    opacity: Annotated[float, Field(gt=0, le=1)] = 0.8
    margin: Annotated[float, Field(ge=0, le=0.4)] = 0.03

    def box(self, image: Size, canvas: Size, sample_aspect_ratio: Fraction) -> Box:
        """Return the pixels of an `image` with square pixels on a picture of the size `canvas`.

        An image that would be too high is made smaller. Positions and sizes are even, as chroma has half the
        resolution.
        """
        shown_width = canvas.width * sample_aspect_ratio
        margin = Fraction(self.margin) * min(shown_width, Fraction(canvas.height))
        room = shown_width - 2 * margin, (canvas.height - 2 * margin) * image.width / image.height
        width = min(room[0], room[1], Fraction(self.width) * shown_width)
        size = Size(_even(width / sample_aspect_ratio), _even(width * image.height / image.width))
        across, down = _SIDES[self.position]
        spare = canvas.width - size.width, canvas.height - size.height
        offsets = margin / sample_aspect_ratio, margin
        x, y = (
            round((offset + side * (free - 2 * offset)) / 2) * 2
            for side, free, offset in zip((across, down), spare, offsets, strict=True)
        )
        return Box(max(0, min(x, spare[0])), max(0, min(y, spare[1])), *size)


class Watermark(WatermarkStyle):
    path: Annotated[Path, BeforeValidator(_not_empty)]


# Parts of the free width and height that are left of and above the image.
_SIDES: dict[str, tuple[Fraction, Fraction]] = {
    "top-left": (Fraction(0), Fraction(0)),
    "top": (Fraction(1, 2), Fraction(0)),
    "top-right": (Fraction(1), Fraction(0)),
    "left": (Fraction(0), Fraction(1, 2)),
    "center": (Fraction(1, 2), Fraction(1, 2)),
    "right": (Fraction(1), Fraction(1, 2)),
    "bottom-left": (Fraction(0), Fraction(1)),
    "bottom": (Fraction(1, 2), Fraction(1)),
    "bottom-right": (Fraction(1), Fraction(1)),
}


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))


def check_watermark(output: Output | None, watermarks: Mapping[str, object]) -> None:
    """Raise UnknownWatermark if the output options name a watermark that does not exist."""
    name = None if output is None else output.watermark
    if name is not None and name not in watermarks:
        known = f"the settings have {', '.join(sorted(watermarks))}" if watermarks else "the settings have none"
        raise UnknownWatermark(f"There is no watermark {name!r}: {known}")


def png_size(data: bytes) -> Size:
    """Return the size of the image of a PNG file that `check_png` has accepted."""
    return Size(*struct.unpack_from(">II", data, len(_PNG_SIGNATURE) + _CHUNK_HEAD.size))


def check_png(data: bytes) -> None:
    """Raise ValueError unless `data` is a complete PNG file within the limits. The image is not decompressed."""
    if len(data) > MAX_PNG_BYTES:
        raise ValueError(f"it has more than {MAX_PNG_BYTES} bytes")
    if not data.startswith(_PNG_SIGNATURE):
        raise ValueError("it is not a PNG file")
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        if position + _CHUNK_HEAD.size + 4 > len(data):
            raise ValueError("it is not a complete PNG file")
        length, kind = _CHUNK_HEAD.unpack_from(data, position)
        end = position + _CHUNK_HEAD.size + length
        if data[end : end + 4] != zlib.crc32(data[position + 4 : end]).to_bytes(4, "big"):
            raise ValueError("it is damaged or not complete: a checksum is wrong")
        if position == len(_PNG_SIGNATURE):
            _check_header(kind, data[position + _CHUNK_HEAD.size : end])
        position = end + 4


def _check_header(kind: bytes, header: bytes) -> None:
    if kind != b"IHDR" or len(header) != 13:
        raise ValueError("it is not a PNG file")
    width, height = struct.unpack(">II", header[:8])
    if not 0 < width <= MAX_PNG_SIDE or not 0 < height <= MAX_PNG_SIDE:
        raise ValueError(f"it has {width}x{height} pixels, but each side must have 1 to {MAX_PNG_SIDE}")
