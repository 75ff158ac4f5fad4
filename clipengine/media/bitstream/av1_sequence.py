"""The size of AV1's frames, from sequence headers (AV1 Bitstream & Decoding Process Specification, clause 5.5)."""

from __future__ import annotations

from clipengine.media.bitstream.bits import BitReader, BitstreamError

_SEQUENCE_HEADER = 1
_MAX_HEADER_BYTES = 64
_MAX_UNITS = 64
_SEQUENCE_LEVELS_WITH_TIER = 7


def av1_size(packet: bytes) -> tuple[int, int] | None:
    """Return the size that the sequence header in a packet states, or None if it has none. Raises BitstreamError."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(packet):
            return None
        kind, extended, sized = packet[at] >> 3 & 15, packet[at] >> 2 & 1, packet[at] >> 1 & 1
        at += 1 + extended
        length, at = _read_length(packet, at) if sized else (len(packet) - at, at)
        if kind == _SEQUENCE_HEADER:
            return _read_sequence(BitReader(packet[at : at + min(length, _MAX_HEADER_BYTES)]))
        at += length
    return None


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of the form leb128, and the position after it."""
    value = 0
    for number, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * number
        if byte < 128:
            return value, at + number + 1
    raise BitstreamError("the length of a unit is incomplete")


def _read_sequence(reader: BitReader) -> tuple[int, int]:
    reader.u(3 + 1)  # profile, still picture
    if reader.flag():  # reduced header of a still picture
        reader.u(5)
    else:
        _skip_operating_points(reader)
    width_bits, height_bits = reader.u(4) + 1, reader.u(4) + 1
    return reader.u(width_bits) + 1, reader.u(height_bits) + 1


def _skip_operating_points(reader: BitReader) -> None:
    delay_bits = None  # of a decoder model
    if reader.flag():  # timing
        reader.u(64)
        if reader.flag():
            reader.ue()
        if reader.flag():
            delay_bits = reader.u(5) + 1
            reader.u(32 + 5 + 5)
    has_display_delays = reader.flag()
    for _ in range(reader.u(5) + 1):
        reader.u(12)
        if reader.u(5) > _SEQUENCE_LEVELS_WITH_TIER:
            reader.u(1)
        if delay_bits is not None and reader.flag():
            reader.u(2 * delay_bits + 1)
        if has_display_delays and reader.flag():
            reader.u(4)
