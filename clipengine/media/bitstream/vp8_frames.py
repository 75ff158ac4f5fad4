"""Frame headers of VP8 (RFC 6386, clause 9)."""

from __future__ import annotations

from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.vpx_stream import EARLIER_SEGMENTS, FrameFormat, Segments, VpxPacket

_TAG_BYTES, _KEYFRAME_BYTES = 3, 10
_START_CODE = b"\x9d\1\x2a"
_MAX_VERSION = 3
_SIDE_BITS = 14


def read_vp8_packet(packet: bytes) -> VpxPacket:
    """Parse a frame. Raises BitstreamError if it is damaged or is not shown."""
    if len(packet) < _TAG_BYTES:
        raise BitstreamError("a packet has no frame")
    tag = int.from_bytes(packet[:_TAG_BYTES], "little")
    is_keyframe, version, shown, first_bytes = not tag & 1, tag >> 1 & 7, tag >> 4 & 1, tag >> 5
    header_bytes = _KEYFRAME_BYTES if is_keyframe else _TAG_BYTES
    if version > _MAX_VERSION or len(packet) < header_bytes + first_bytes:
        raise BitstreamError("a frame is incomplete")
    if not shown:
        raise BitstreamError("it has hidden frames")
    if not is_keyframe:
        return VpxPacket(None, frozenset(), _read_segments(_BoolDecoder(packet[_TAG_BYTES:])))
    return _read_keyframe(packet)


def vp8_size(packet: bytes) -> tuple[int, int] | None:
    """Return the size that a keyframe states, None for other frames.

    The scaling that it states for players is ignored, as by FFmpeg.
    """
    if packet[:1] == b"" or packet[0] & 1 or packet[_TAG_BYTES : _TAG_BYTES + len(_START_CODE)] != _START_CODE:
        return None
    width, height = (int.from_bytes(packet[at : at + 2], "little") & (1 << _SIDE_BITS) - 1 for at in (6, 8))
    return (width, height) if width and height else None


def vp8_is_shown(packet: bytes) -> bool:
    """Return True if the frame is shown, and no reference only."""
    return bool(packet and packet[0] >> 4 & 1)


def _read_keyframe(packet: bytes) -> VpxPacket:
    if packet[_TAG_BYTES : _TAG_BYTES + len(_START_CODE)] != _START_CODE:
        raise BitstreamError("a keyframe has no start code")
    sides = [int.from_bytes(packet[at : at + 2], "little") for at in (6, 8)]
    if any(side >> _SIDE_BITS for side in sides):
        raise BitstreamError("its frames are scaled by players")
    width, height = sides
    decoder = _BoolDecoder(packet[_KEYFRAME_BYTES:])
    decoder.flag()  # colour space
    decoder.flag()  # clamping
    segments = _read_segments(decoder)
    if segments == "earlier":
        raise BitstreamError(EARLIER_SEGMENTS)
    return VpxPacket(FrameFormat(width, height), frozenset({(width, height)}), segments)


def _read_segments(decoder: _BoolDecoder) -> Segments | None:
    """Read whether macroblocks belong to segments, and whether the frame says to which."""
    if not decoder.flag():
        return None
    return "own" if decoder.flag() else "earlier"


class _BoolDecoder:
    """Decoder of flags that are as likely 0 as 1 (RFC 6386, clause 7). Missing bytes are zeros, as in decoders."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:2].ljust(2, b"\0"), "big")
        self._following = iter(data[2:8])
        self._range = 255
        self._bits = 0  # shifted out of the lower byte of the value

    def flag(self) -> bool:
        split = 1 + ((self._range - 1) >> 1)
        found = self._value >= split << 8
        self._range = self._range - split if found else split
        self._value -= split << 8 if found else 0
        while self._range < 128:
            self._value, self._range = self._value << 1, self._range << 1
            self._bits += 1
            if self._bits == 8:
                self._bits = 0
                self._value |= next(self._following, 0)
        return found
