"""H.264 streams that are copied in part: which packets can be copied, and encoded packets that fit between them.

A clip has the recording's parameter sets, and one more picture parameter set for the encoded frames, which refers to
the recording's sequence parameter set. So nothing changes for a decoder where copied and encoded frames meet.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from clipengine.media.bitstream.bits import DISCARDS_FRAMES, SETS_CHANGE, UNKNOWN_SET, BitstreamError
from clipengine.media.bitstream.h264_parameter_sets import (
    MAX_PPS_ID,
    PPS_UNIT,
    SPS_UNIT,
    parse_pps,
    parse_sps,
    read_parameter_sets,
    write_avcc,
)
from clipengine.media.bitstream.h264_slices import (
    IDR_UNIT,
    MAX_IDR_IDS,
    SLICE_UNIT,
    NewHeader,
    is_reference,
    keeps_earlier_frames,
    read_frame_num,
    read_idr_pic_id,
    read_pps_id,
    renumber_idr_slice,
    rewrite_slice,
    unit_type,
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

# x264's names of the profiles that it can write.
ENCODER_PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}
_SLICES = (SLICE_UNIT, IDR_UNIT)
_SEI_UNIT = 6
_MAX_REORDERED_FRAMES = 16
_CHROMA_444 = 3
_DECODING_ORDER = 2  # the type of picture order counts with which frames are shown as they are decoded
# FFmpeg's decoder corrects the frames of earlier builds of x264.
_X264_BUILD, _X264_BUILD_444 = 34, 151
# Access unit delimiters, ends of sequences and streams, filler data, and types without a meaning.
_DROPPED = frozenset((0, 9, 10, 11, 12, *range(24, 32)))


class H264Stream:
    """The parameter sets of a recording. Raises BitstreamError if frames cannot be encoded to fit them."""

    most_reordering = _MAX_REORDERED_FRAMES
    coded_size = None

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes, self._sps_units, self._pps_units = read_parameter_sets(extradata)
        if not self._sps_units or not self._pps_units:
            raise BitstreamError("it has no parameter sets outside its packets")
        if len(self._sps_units) > 1:
            raise BitstreamError("it has several sequence parameter sets")
        self.sps = parse_sps(self._sps_units[0])
        sets = [parse_pps(unit) for unit in self._pps_units]
        self._pps = {each.id: each for each in sets}
        if len(self._pps) < len(sets) or any(each.sps_id != self.sps.id for each in sets):
            raise BitstreamError("its parameter sets contradict each other")
        self._check_kind()
        free = next((number for number in range(MAX_PPS_ID + 1) if number not in self._pps), None)
        if free is None:
            raise BitstreamError("no number is free for a further parameter set")
        self.free_pps_id = free
        self._known = frozenset((*self._sps_units, *self._pps_units))
        self._frame_num: int | None = None  # of the latest copied packet whose frame is a reference

    def _check_kind(self) -> None:
        sps = self.sps
        if not sps.picture.frames_only:
            raise BitstreamError("it is interlaced")
        if sps.profile not in ENCODER_PROFILES:
            raise BitstreamError(f"its profile {sps.profile} is not one that is encoded here")
        if sps.has_scaling_matrix or sps.lossless or sps.picture.separate_planes:
            raise BitstreamError("it has scaling matrices, lossless frames or separate colour planes")
        if sps.poc_type == 1:
            raise BitstreamError("its frames are counted in a way that is not written here")

    def starts_gop(self, packet: bytes) -> bool:
        """Return True if the packet is an IDR frame: nothing after it needs anything before it."""
        kinds = {unit_type(unit) for unit in self._split(packet)}
        return IDR_UNIT in kinds and SLICE_UNIT not in kinds

    def is_leading(self, packet: bytes) -> bool:
        return False

    def check_sets(self, packet: bytes) -> None:
        if any(unit_type(unit) in (SPS_UNIT, PPS_UNIT) and unit not in self._known for unit in self._split(packet)):
            raise BitstreamError(SETS_CHANGE)

    def has_all_sets(self, packet: bytes) -> bool:
        return self._known.issubset(self._split(packet))

    def lasting(self, packet: bytes) -> dict[int, int]:
        from_build = _X264_BUILD_444 if self.sps.picture.chroma_format == _CHROMA_444 else _X264_BUILD
        units = (unit[1:] for unit in self._split(packet) if unit_type(unit) == _SEI_UNIT)
        return lasting_messages(units, from_build=from_build)

    def copied(self, packet: bytes, *, first: bool = False) -> CopiedPacket:
        """Return the packet for a file: units with lengths, without parameter sets. Raises BitstreamError."""
        units = self._split(packet)
        kept = list(self._kept(units))
        slices = [unit for unit in kept if unit_type(unit) in _SLICES]
        if not slices:
            raise BitstreamError("a packet has no frame")
        is_idr = unit_type(slices[0]) == IDR_UNIT
        self._check_slices(slices, is_idr=is_idr, first=first)
        unchanged = self._length_bytes == LENGTH_BYTES and len(kept) == len(units)
        return CopiedPacket(
            data=packet if unchanged else join_with_lengths(kept),
            checksum=_checksum(kept),
            keyframe_id=read_idr_pic_id(slices[0], self.sps) if is_idr else None,
            follows_gap=self._follows_gap(slices[0], is_idr=is_idr),
        )

    def _follows_gap(self, unit: bytes, *, is_idr: bool) -> bool:
        """Return True if a slice's frame_num says that references are missing since the packet copied before."""
        number, before = read_frame_num(unit, self.sps), self._frame_num
        step = 0 if is_idr or before is None else (number - before) % (1 << self.sps.frame_num_bits)
        if is_reference(unit):
            self._frame_num = number
        elif step > 1:
            self._frame_num = number - 1  # each gap is found once
        return step > 1 and not self.sps.frame_num_gaps

    def _check_slices(self, slices: list[bytes], *, is_idr: bool, first: bool) -> None:
        """Raise BitstreamError unless the slices are of one kind and use the stream's parameter sets."""
        if any((unit_type(unit) == IDR_UNIT) != is_idr for unit in slices):
            raise BitstreamError("a keyframe has slices of other frames")
        if any(read_pps_id(unit) not in self._pps for unit in slices):
            raise BitstreamError(UNKNOWN_SET)
        if first and not all(keeps_earlier_frames(each, self.sps, self._pps[read_pps_id(each)]) for each in slices):
            raise BitstreamError(DISCARDS_FRAMES)

    def renumbered(self, packet: bytes, keyframe_id: int) -> CopiedPacket:
        """Return a copied IDR frame with another idr_pic_id."""
        units = [
            renumber_idr_slice(unit, self.sps, self._pps, keyframe_id) if unit_type(unit) == IDR_UNIT else unit
            for unit in split_by_lengths(packet)
        ]
        return CopiedPacket(join_with_lengths(units), _checksum(units), keyframe_id)

    def _kept(self, units: list[bytes]) -> Iterator[bytes]:
        for unit in units:
            kind = unit_type(unit)
            if kind in (SPS_UNIT, PPS_UNIT):
                if unit not in self._known:
                    raise BitstreamError(SETS_CHANGE)
            elif kind in (*_SLICES, _SEI_UNIT):
                yield unit
            elif kind not in _DROPPED:
                raise BitstreamError("its frames have partitions or layers")

    def _split(self, packet: bytes) -> list[bytes]:
        if self._length_bytes:
            return split_by_lengths(packet, self._length_bytes)
        return split_at_start_codes(packet)

    @property
    def parameters(self) -> tuple[object, ...]:
        return (*self._sps_units, *self._pps_units)

    @property
    def stated_reordering(self) -> int | None:
        return 0 if self.sps.poc_type == _DECODING_ORDER else self.sps.reordered_frames

    def rewriter(self, encoder_extradata: bytes) -> H264Rewriter:
        return H264Rewriter(self, encoder_extradata)

    def extradata(self, *pps_units: bytes) -> bytes:
        """Return avcC with the recording's parameter sets and further picture parameter sets."""
        return write_avcc(self.sps, self._sps_units, (*self._pps_units, *pps_units))


def _checksum(units: list[bytes]) -> int:
    return zlib.crc32(START_CODE.join(unit.rstrip(b"\0") for unit in units))


class H264Rewriter:
    """Rewrites the packets of an encoder for the stream of a recording.

    Raises BitstreamError if the encoder's frames are of another kind than the recording's.
    """

    def __init__(self, stream: H264Stream, encoder_extradata: bytes) -> None:
        _, sps_units, pps_units = read_parameter_sets(encoder_extradata)
        if len(sps_units) != 1 or len(pps_units) != 1:
            raise BitstreamError("the encoder has several parameter sets")
        self._stream = stream
        self._sps, self._pps = parse_sps(sps_units[0]), parse_pps(pps_units[0])
        if self._sps.picture != stream.sps.picture or self._sps.reference_frames > stream.sps.reference_frames:
            raise BitstreamError("the encoder's frames are of another kind than the recording's")
        self.extradata = stream.extradata(self._pps.renumbered(stream.free_pps_id, stream.sps.id))

    def rewritten(self, packet: bytes, *, number: int, keyframe_id: int) -> bytes:
        """Return the packet, frame `number` since the encoder's IDR frame, with the recording's header fields.

        Units other than slices are dropped. Raises BitstreamError.
        """
        header = NewHeader(self._stream.free_pps_id, number, keyframe_id % MAX_IDR_IDS)
        slices = (unit for unit in split_at_start_codes(packet) if unit_type(unit) in _SLICES)
        return join_with_lengths(rewrite_slice(unit, self._sps, self._pps, self._stream.sps, header) for unit in slices)
