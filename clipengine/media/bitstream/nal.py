"""NAL units: separation by start codes (ITU-T H.264, annex B) or by lengths (ISO/IEC 14496-15), and escaping."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clipengine.media.bitstream.bits import BitstreamError

START_CODE = b"\0\0\1"
LENGTH_BYTES = 4  # of the lengths that are written
MAX_UNITS = 8192  # of one packet; the largest frames have as many slices as rows of macroblocks
_UNESCAPED = re.compile(rb"\0\0(?=[\0-\3])")


def unescape(unit: bytes) -> bytes:
    """Remove emulation prevention bytes."""
    return unit.replace(b"\0\0\3", b"\0\0")


def escape(payload: bytes) -> bytes:
    """Insert emulation prevention bytes, so that the payload contains no start code and does not end with a zero."""
    escaped = _UNESCAPED.sub(b"\0\0\3", payload)
    return escaped + b"\3" if escaped.endswith(b"\0") else escaped


def split_at_start_codes(data: bytes) -> list[bytes]:
    """Return the NAL units of annex B data, without empty ones. Raises BitstreamError."""
    if data.count(START_CODE) > MAX_UNITS:
        raise BitstreamError(f"a packet has more than {MAX_UNITS} units")
    units = (unit.rstrip(b"\0") for unit in data.split(START_CODE)[1:])
    return [unit for unit in units if unit]


def split_by_lengths(data: bytes, length_bytes: int = LENGTH_BYTES) -> list[bytes]:
    """Return the NAL units that follow their lengths, without empty ones. Raises BitstreamError."""
    units: list[bytes] = []
    offset = 0
    while offset < len(data):
        start = offset + length_bytes
        offset = start + int.from_bytes(data[offset:start], "big")
        if start > len(data) or offset > len(data):
            raise BitstreamError("a unit is longer than its packet")
        if offset > start:
            units.append(data[start:offset])
        if len(units) > MAX_UNITS:
            raise BitstreamError(f"a packet has more than {MAX_UNITS} units")
    return units


def join_with_lengths(units: Iterable[bytes]) -> bytes:
    """Return the units, each after its length."""
    return b"".join(len(unit).to_bytes(LENGTH_BYTES, "big") + unit for unit in units)
