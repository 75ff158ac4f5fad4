"""HEVC streams that are copied in part: which packets can be copied, and encoded packets that fit between them.

As for H.264, a clip has the recording's parameter sets and one more picture parameter set. The encoder is set up to
divide frames into blocks as the recording's sequence parameter set says, which most slices' data depends on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from clipengine.media.bitstream.bits import DISCARDS_FRAMES, SETS_CHANGE, UNKNOWN_SET, BitstreamError
from clipengine.media.bitstream.hevc_parameter_sets import (
    MAX_PPS_ID,
    PPS_UNIT,
    SPS_UNIT,
    UNIT_HEADER_BYTES,
    VPS_UNIT,
    Coding,
    parse_pps,
    parse_pps_head,
    parse_sps,
    read_parameter_sets,
    unit_type,
    write_hvcc,
)
from clipengine.media.bitstream.hevc_slices import (
    FRAME_UNITS,
    LEADING_UNITS,
    RANDOM_ACCESS_UNITS,
    keeps_earlier_frames,
    read_order,
    read_pps_id,
    rewrite_slice,
    without_leading,
)
from clipengine.media.bitstream.lasting_messages import lasting_messages
from clipengine.media.bitstream.nal import (
    LENGTH_BYTES,
    START_CODE,
    join_with_lengths,
    split_at_start_codes,
    split_by_lengths,
)
from clipengine.media.bitstream.packets import CopiedPacket

# x265's names of the profiles that are encoded here.
ENCODER_PROFILES = {1: "main", 2: "main10"}
_SETS = (VPS_UNIT, SPS_UNIT, PPS_UNIT)
_SEI_UNITS = (39, 40)
_ENDS = (36, 37)  # of a sequence and of the bitstream, units that consist of their header
# Access unit delimiters, filler data and units without a meaning in HEVC, such as Dolby Vision's metadata.
_DROPPED = frozenset((35, 38, *range(48, 64)))
_SECOND_BYTE_LAYER_BITS = 0xF8
_MAX_REORDERED_FRAMES = 16


class HevcStream:
    """The parameter sets of a recording. Raises BitstreamError if frames cannot be encoded to fit them."""

    most_reordering = _MAX_REORDERED_FRAMES

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes, self._vps_units, sps_units, self._pps_units = read_parameter_sets(extradata)
        if not self._vps_units or not sps_units or not self._pps_units:
            raise BitstreamError("it has no parameter sets outside its packets")
        if len(sps_units) > 1:
            raise BitstreamError("it has several sequence parameter sets")
        self.sps = parse_sps(sps_units[0])
        heads = [parse_pps_head(unit) for unit in self._pps_units]
        self._pps = known = {head.id: head for head in heads}
        if len(known) < len(heads) or any(head.sps_id != self.sps.id for head in heads):
            raise BitstreamError("its parameter sets contradict each other")
        if self.sps.profile not in ENCODER_PROFILES:
            raise BitstreamError(f"its profile {self.sps.profile} is not one that is encoded here")
        free = next((number for number in range(MAX_PPS_ID + 1) if number not in self._pps), None)
        if free is None:
            raise BitstreamError("no number is free for a further parameter set")
        self.free_pps_id = free
        self._known = frozenset((*self._vps_units, *sps_units, *self._pps_units))

    @property
    def parameters(self) -> tuple[object, ...]:
        return (*self._vps_units, self.sps.unit, *self._pps_units)

    @property
    def stated_reordering(self) -> int:
        return self.sps.reordered_frames

    @property
    def coding(self) -> Coding:
        return self.sps.coding

    @property
    def coded_size(self) -> tuple[int, int]:
        return self.sps.coding.width, self.sps.coding.height

    def starts_gop(self, packet: bytes) -> bool:
        """Return True if decoding can begin with the packet. Leading pictures may follow it."""
        units = [unit for unit in self._split(packet) if unit_type(unit) in FRAME_UNITS]
        return bool(units) and all(unit_type(unit) in RANDOM_ACCESS_UNITS for unit in units)

    def is_leading(self, packet: bytes) -> bool:
        """Return True if the packet's picture is shown before the random access picture that it follows."""
        return any(unit_type(unit) in LEADING_UNITS for unit in self._split(packet))

    def check_sets(self, packet: bytes) -> None:
        if any(unit_type(unit) in _SETS and unit not in self._known for unit in self._units(packet)):
            raise BitstreamError(SETS_CHANGE)

    def has_all_sets(self, packet: bytes) -> bool:
        return self._known.issubset(self._units(packet))

    def lasting(self, packet: bytes) -> dict[int, int]:
        return lasting_messages(
            unit[UNIT_HEADER_BYTES:] for unit in self._units(packet) if unit and unit_type(unit) in _SEI_UNITS
        )

    def copied(self, packet: bytes, *, first: bool = False) -> CopiedPacket:
        """Return the packet for a file: units with lengths, without parameter sets. Raises BitstreamError.

        After the `first` one, leading pictures are not copied.
        """
        units = self._split(packet)
        kept = list(self._kept(units))
        frames = [unit for unit in kept if unit_type(unit) in FRAME_UNITS]
        if not frames:
            raise BitstreamError("a packet has no frame")
        if any(read_pps_id(unit) not in self._pps for unit in frames):
            raise BitstreamError(UNKNOWN_SET)
        if first:
            if not all(keeps_earlier_frames(unit) for unit in frames):
                raise BitstreamError(DISCARDS_FRAMES)
            kept = [without_leading(unit) for unit in kept]
        unchanged = self._length_bytes == LENGTH_BYTES and kept == units
        return CopiedPacket(
            data=packet if unchanged else join_with_lengths(kept),
            checksum=_checksum(kept),
            keyframe_id=read_order(frames[0], self.sps, self._pps)
            if unit_type(frames[0]) in RANDOM_ACCESS_UNITS
            else None,
        )

    def renumbered(self, packet: bytes, keyframe_id: int) -> None:
        return None

    def _kept(self, units: list[bytes]) -> Iterator[bytes]:
        for unit in units:
            kind = unit_type(unit)
            if unit[0] & 1 or unit[1] & _SECOND_BYTE_LAYER_BITS:
                raise BitstreamError("its frames have layers")
            if kind in _SETS:
                if unit not in self._known:
                    raise BitstreamError(SETS_CHANGE)
            elif kind in FRAME_UNITS or kind in _SEI_UNITS:
                yield unit
            elif kind not in _DROPPED:
                raise BitstreamError("its sequence ends in the range, or it has reserved units")

    def _units(self, packet: bytes) -> list[bytes]:
        return split_by_lengths(packet, self._length_bytes) if self._length_bytes else split_at_start_codes(packet)

    def _split(self, packet: bytes) -> list[bytes]:
        units = self._units(packet)
        if any(len(unit) < (UNIT_HEADER_BYTES if unit_type(unit) in _ENDS else 3) for unit in units):
            raise BitstreamError("a unit is incomplete")
        return units

    def rewriter(self, encoder_extradata: bytes) -> HevcRewriter:
        return HevcRewriter(self, encoder_extradata)

    def extradata(self, *pps_units: bytes) -> bytes:
        """Return hvcC with the recording's parameter sets and further picture parameter sets."""
        return write_hvcc(self.sps, self._vps_units, (self.sps.unit,), (*self._pps_units, *pps_units))


def _checksum(units: list[bytes]) -> int:
    return zlib.crc32(START_CODE.join(unit.rstrip(b"\0") for unit in units))


class HevcRewriter:
    """Rewrites the packets of an encoder for the stream of a recording.

    Raises BitstreamError if the encoder's frames are of another kind than the recording's.
    """

    def __init__(self, stream: HevcStream, encoder_extradata: bytes) -> None:
        _, _, sps_units, pps_units = read_parameter_sets(encoder_extradata)
        if len(sps_units) != 1 or len(pps_units) != 1:
            raise BitstreamError("the encoder has several parameter sets")
        self._stream = stream
        self._sps, self._pps = parse_sps(sps_units[0]), parse_pps(pps_units[0])
        if self._sps.coding != stream.coding:
            raise BitstreamError("its frames are divided into blocks in a way that is not encoded here")
        self.extradata = stream.extradata(self._pps.renumbered(stream.free_pps_id, stream.sps.id))

    def rewritten(self, packet: bytes, *, number: int, keyframe_id: int) -> bytes:
        """Return the packet, frame `number` since the encoder's IDR frame, with the recording's header fields.

        Units other than slices are dropped. Raises BitstreamError.
        """
        slices = [unit for unit in split_at_start_codes(packet) if unit_type(unit) in FRAME_UNITS]
        if len(slices) != 1:
            raise BitstreamError("the encoder's pictures have several slices")
        pps_id, sps = self._stream.free_pps_id, self._stream.sps
        # FFmpeg refuses a picture with the picture order count of a picture that it still holds, although the count
        # restarts at a keyframe. So all pictures but the first get odd counts if the next keyframe has an even count,
        # and even counts if it has an odd count.
        first = 1 if keyframe_id % 2 else 2
        order, before = (first + 2 * (each - 1) if each else 0 for each in (number, max(0, number - 1)))
        return join_with_lengths(
            rewrite_slice(unit, self._sps, self._pps, sps, pps_id=pps_id, order=order, distance=max(1, order - before))
            for unit in slices
        )
