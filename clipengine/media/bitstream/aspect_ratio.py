"""Sample aspect ratios in the headers of H.264, HEVC and MPEG-2 (ITU-T H.273, clause 8.6; ITU-T H.262, table 6-3)."""

from __future__ import annotations

from fractions import Fraction

from clipengine.clips.options.picture_size import Picture
from clipengine.media.bitstream.bits import BitReader

_EXTENDED = 255
_INDICATED = (
    None, (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33), (18, 11), (15, 11),
    (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
# Aspect ratios of whole pictures in MPEG-2, by code.
_DISPLAYED = {2: Fraction(4, 3), 3: Fraction(16, 9), 4: Fraction(221, 100)}
_SEQUENCE_HEADER = b"\0\0\1\xb3"


def read_aspect_ratio(reader: BitReader) -> Fraction | None:
    """Read the aspect ratio of video usability information, and return None if it states none."""
    if not reader.flag():
        return None
    code = reader.u(8)
    if code == _EXTENDED:
        width, height = reader.u(16), reader.u(16)
    else:
        width, height = _INDICATED[code] or (0, 0) if code < len(_INDICATED) else (0, 0)
    return Fraction(width, height) if width and height else None


def mpeg2_picture(packet: bytes) -> Picture | None:
    """Return the picture of the sequence header in a packet, or None if it has none.

    Raises BitstreamError if it is incomplete.
    """
    at = packet.find(_SEQUENCE_HEADER)
    if at < 0:
        return None
    reader = BitReader(packet[at + len(_SEQUENCE_HEADER) : at + len(_SEQUENCE_HEADER) + 4])
    width, height, code = reader.u(12), reader.u(12), reader.u(4)
    if not width or not height:
        return None
    displayed = _DISPLAYED.get(code)
    ratio = Fraction(1) if code == 1 else displayed and displayed * height / width
    return Picture(width, height, ratio or None)
