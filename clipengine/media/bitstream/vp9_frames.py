"""Packets of VP9 and their frame headers (VP9 Bitstream & Decoding Process Specification, clause 6.2 and annex B)."""

from __future__ import annotations

from typing import NamedTuple

from clipengine.media.bitstream.bits import BitReader, BitstreamError
from clipengine.media.bitstream.vpx_stream import FrameFormat, VpxPacket

_HEADER_BYTES = 32  # longer than all that is parsed of a frame's header
_FRAME_MARKER, _SYNC_CODE = 2, 0x498342
_RGB = 7
_REFERENCES, _SLOTS = 3, 8
_SIZE_BITS = 16
_ALL_SLOTS = (1 << _SLOTS) - 1
_INDEX_MARKER = 0b110


Size = tuple[int, int]


class _Frame(NamedTuple):
    """A frame: the format of a keyframe, and the size if the header states it."""

    shown: bool
    keyframe: FrameFormat | None = None
    size: Size | None = None
    reference: int | None = None  # the slot of the frame that has the size, or that is shown again
    refreshed: int = 0  # the slots in which the frame is kept, a bit for each


def read_vp9_packet(packet: bytes) -> VpxPacket:
    """Parse a frame, or a superframe with one shown frame. Raises BitstreamError for others."""
    frames = [_read_frame(data) for data in _split(packet)]
    if not frames[-1].shown:
        raise BitstreamError("it has hidden frames outside of superframes")
    if any(frame.shown for frame in frames[:-1]):
        raise BitstreamError("its packets show several frames")
    if any(frame.keyframe for frame in frames[1:]):
        raise BitstreamError("it has keyframes within superframes")
    return VpxPacket(frames[0].keyframe, frozenset(frame.size for frame in frames if frame.size is not None))


class Vp9Sizes:
    """Follows the sizes of frames from packet to packet: a frame may take its size from a reference."""

    def __init__(self) -> None:
        self._slots: list[Size | None] = [None] * _SLOTS

    def add(self, packet: bytes) -> Size | None:
        """Return the size of the packet's last frame, which is shown, or None if unknown. Raises BitstreamError."""
        size = None
        for frame in map(_read_frame, _split(packet)):
            size = frame.size if frame.reference is None else self._slots[frame.reference]
            self._slots = [size if frame.refreshed >> slot & 1 else kept for slot, kept in enumerate(self._slots)]
        return size


def vp9_is_shown(packet: bytes) -> bool:
    """Return True if a frame of the packet is shown. Raises BitstreamError."""
    return any(_read_frame(data).shown for data in _split(packet))


def _split(packet: bytes) -> list[bytes]:
    """Return the frames of a packet, of which at most 8 can be in a superframe."""
    if not packet:
        raise BitstreamError("a packet has no frame")
    marker = packet[-1]
    count, size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index_at = len(packet) - 2 - count * size_bytes
    if marker >> 5 != _INDEX_MARKER or index_at < 0 or packet[index_at] != marker:
        return [packet]
    frames, start = [], 0
    for at in range(index_at + 1, len(packet) - 1, size_bytes):
        end = start + int.from_bytes(packet[at : at + size_bytes], "little")
        if end == start or end > index_at:
            raise BitstreamError("a superframe is incomplete")
        frames.append(packet[start:end])
        start = end
    return frames


def _read_frame(data: bytes) -> _Frame:
    reader = BitReader(data[:_HEADER_BYTES])
    if reader.u(2) != _FRAME_MARKER:
        raise BitstreamError("a packet has no frame")
    profile = reader.u(1) | reader.u(1) << 1
    if profile == 3 and reader.flag():
        raise BitstreamError("its profile is unknown")
    if reader.flag():  # show_existing_frame
        return _Frame(shown=True, reference=reader.u(3))
    is_inter, shown, resilient = reader.flag(), reader.flag(), reader.flag()
    if not is_inter:
        format = _read_format(reader, profile)
        size = _read_size(reader)
        return _Frame(shown, format._replace(width=size[0], height=size[1]), size, refreshed=_ALL_SLOTS)
    intra_only = not shown and reader.flag()
    if not resilient:
        reader.u(2)  # reset_frame_context
    if intra_only:
        if profile > 0:
            _read_format(reader, profile)
        elif reader.u(24) != _SYNC_CODE:
            raise BitstreamError("a frame has no sync code")
        refreshed = reader.u(_SLOTS)
        return _Frame(shown, size=_read_size(reader), refreshed=refreshed)
    return _read_inter(reader, shown=shown)


def _read_inter(reader: BitReader, *, shown: bool) -> _Frame:
    refreshed = reader.u(_SLOTS)
    slots = [reader.u(4) >> 1 for _ in range(_REFERENCES)]  # with a bit of sign bias each
    for slot in slots:
        if reader.flag():
            return _Frame(shown, reference=slot, refreshed=refreshed)
    return _Frame(shown, size=_read_size(reader), refreshed=refreshed)


def _read_format(reader: BitReader, profile: int) -> FrameFormat:
    if reader.u(24) != _SYNC_CODE:
        raise BitstreamError("a frame has no sync code")
    bit_depth = (10, 12)[reader.u(1)] if profile > 1 else 8
    color_space = reader.u(3)
    full_range = color_space == _RGB or reader.flag()
    subsampling = (True, True)
    if color_space == _RGB:
        subsampling = (False, False)
    elif profile & 1:
        subsampling = (reader.flag(), reader.flag())
    if (profile & 1 and reader.flag()) or (color_space == _RGB and not profile & 1):
        raise BitstreamError("a frame's format is not valid")
    return FrameFormat(0, 0, profile, bit_depth, color_space, full_range, subsampling)


def _read_size(reader: BitReader) -> tuple[int, int]:
    return reader.u(_SIZE_BITS) + 1, reader.u(_SIZE_BITS) + 1
