"""Clock of raw AAC and MP3 segments of HLS, which have their time in an ID3 tag only."""

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer

_TAG = "id3v2_priv.com.apple.streaming.transportStreamTimestamp"
_BYTE = re.compile(r"\\x([0-9a-f]{2})|([\x20-\x7e])")  # as FFmpeg writes the bytes of a private frame
_TIMESTAMP_BYTES = 8
_TIMESTAMP_BITS = 33


def id3_clock(container: InputContainer) -> Fraction:
    """Return the container time of the first sample by the tag before it, or 0 without one."""
    found = [int(hexadecimal, 16) if hexadecimal else ord(plain) for hexadecimal, plain in _bytes(container)]
    if len(found) != _TIMESTAMP_BYTES:
        return Fraction(0)
    return Fraction(int.from_bytes(bytes(found), "big") % (1 << _TIMESTAMP_BITS), 90_000)


def _bytes(container: InputContainer) -> list[tuple[str, str]]:
    return _BYTE.findall(container.metadata.get(_TAG, "")[: 4 * _TIMESTAMP_BYTES])
