"""Sequence and picture parameter sets of H.264 (ITU-T H.264, clause 7.3.2), and the avcC box that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from clipengine.media.bitstream.aspect_ratio import read_aspect_ratio
from clipengine.media.bitstream.bits import BitReader, Bits, BitstreamError
from clipengine.media.bitstream.nal import LENGTH_BYTES, escape, split_at_start_codes, unescape

SPS_UNIT, PPS_UNIT = 7, 8
_MAX_SET_BYTES = 0xFFFF  # the length field of avcC
_MAX_SPS_ID, MAX_PPS_ID = 31, 255
# Profiles whose sequence parameter sets have a chroma format.
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
# Profiles for which avcC repeats chroma format and bit depths (ISO/IEC 14496-15, 5.3.3.1.2).
_AVCC_EXTENDED = frozenset((100, 110, 122, 144, 244))


class Picture(NamedTuple):
    """Format of pictures. Two sets with the same value need no new set-up of a decoder between them."""

    chroma_format: int
    separate_planes: bool
    luma_depth: int
    chroma_depth: int
    width_in_macroblocks: int
    height_in_map_units: int
    frames_only: bool
    crop: tuple[int, ...]


@dataclass(frozen=True)
class Sps:
    """The fields of a sequence parameter set that matter for copying."""

    unit: bytes
    profile: int
    constraints: int
    level: int
    id: int
    picture: Picture
    lossless: bool
    has_scaling_matrix: bool
    frame_num_bits: int
    frame_num_gaps: bool  # they are allowed, as if frames were left out on purpose
    poc_type: int  # how picture order counts are coded
    poc_lsb_bits: int
    reference_frames: int
    sample_aspect_ratio: Fraction | None  # None if it is not stated
    reordered_frames: int | None  # the same

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures as they are shown."""
        picture = self.picture
        rows = 1 if picture.frames_only else 2
        left, right, top, bottom = picture.crop
        across, down = 2 if picture.chroma_format in (1, 2) else 1, 2 if picture.chroma_format == 1 else 1
        width = 16 * picture.width_in_macroblocks - across * (left + right)
        return width, rows * (16 * picture.height_in_map_units - down * (top + bottom))


@dataclass(frozen=True)
class Pps:
    """The fields of a picture parameter set that slice headers depend on."""

    unit: bytes
    id: int
    sps_id: int
    cabac: bool
    order_in_frame: bool  # bottom_field_pic_order_in_frame_present_flag
    slice_groups: int
    weighted: bool
    deblocking_control: bool
    redundant_pictures: bool

    def renumbered(self, pps_id: int, sps_id: int) -> bytes:
        """Return the unit with other ids."""
        reader = BitReader(unescape(self.unit[1:]))
        reader.skip_codes(2)
        bits = Bits().ue(pps_id).ue(sps_id).append(reader.rest())
        return self.unit[:1] + escape(bits.with_stop_bit())


class ParameterSets(NamedTuple):
    """The units of a decoder configuration. `length_bytes` is 0 if packets have start codes."""

    length_bytes: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def read_parameter_sets(extradata: bytes) -> ParameterSets:
    """Return the parameter sets of avcC or annex B extradata, each once. Raises BitstreamError."""
    if extradata[:1] != b"\1":
        units = split_at_start_codes(extradata)
        sps = [unit for unit in units if unit[0] & 31 == SPS_UNIT]
        pps = [unit for unit in units if unit[0] & 31 == PPS_UNIT]
        if any(len(unit) > _MAX_SET_BYTES for unit in (*sps, *pps)):
            raise BitstreamError("the parameter sets are too large")
        return ParameterSets(0, tuple(dict.fromkeys(sps)), tuple(dict.fromkeys(pps)))
    if len(extradata) < 7:
        raise BitstreamError("the decoder configuration is incomplete")
    sps, offset = _read_avcc_list(extradata, 5, mask=31)
    pps, _ = _read_avcc_list(extradata, offset, mask=255)
    return ParameterSets((extradata[4] & 3) + 1, tuple(dict.fromkeys(sps)), tuple(dict.fromkeys(pps)))


def _read_avcc_list(data: bytes, offset: int, *, mask: int) -> tuple[list[bytes], int]:
    """Return the units of one list of avcC and the offset after it."""
    units = []
    if offset >= len(data):
        raise BitstreamError("the decoder configuration is incomplete")
    count, offset = data[offset] & mask, offset + 1
    for _ in range(count):
        start = offset + 2
        offset = start + int.from_bytes(data[start - 2 : start], "big")
        if offset > len(data) or offset == start:
            raise BitstreamError("the decoder configuration is incomplete")
        units.append(data[start:offset])
    return units, offset


def write_avcc(first: Sps, sps: tuple[bytes, ...], pps: tuple[bytes, ...]) -> bytes:
    """Return an avcC box's content with these units, and with the profile and level of `first`.

    Raises BitstreamError.
    """
    if len(sps) > 31 or len(pps) > 255 or any(len(unit) > _MAX_SET_BYTES for unit in (*sps, *pps)):
        raise BitstreamError("the parameter sets are too large")
    out = bytearray([1, first.profile, first.constraints, first.level, 0xFC | LENGTH_BYTES - 1, 0xE0 | len(sps)])
    for unit in sps:
        out += len(unit).to_bytes(2, "big") + unit
    out.append(len(pps))
    for unit in pps:
        out += len(unit).to_bytes(2, "big") + unit
    if first.profile in _AVCC_EXTENDED:
        picture = first.picture
        out += bytes([0xFC | picture.chroma_format, 0xF8 | picture.luma_depth, 0xF8 | picture.chroma_depth, 0])
    return bytes(out)


def parse_pps(unit: bytes) -> Pps:
    """Parse a picture parameter set without slice groups. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:]))
    pps_id, sps_id = reader.ue(MAX_PPS_ID), reader.ue(_MAX_SPS_ID)
    cabac, order_in_frame = reader.flag(), reader.flag()
    groups = reader.ue(7)
    if groups:
        raise BitstreamError("it has slice groups")
    reader.skip_codes(2)  # default numbers of reference pictures
    weighted = reader.flag()
    reader.u(2)  # weighted bi-prediction
    reader.skip_codes(3)  # initial quantisers
    deblocking = reader.flag()
    reader.flag()  # constrained intra prediction
    return Pps(unit, pps_id, sps_id, cabac, order_in_frame, groups, weighted, deblocking, reader.flag())


def parse_sps(unit: bytes) -> Sps:
    """Parse a sequence parameter set. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:]))
    profile, constraints, level = reader.u(8), reader.u(8), reader.u(8)
    sps_id = reader.ue(_MAX_SPS_ID)
    chroma, planes, luma_depth, chroma_depth, lossless, scaling = 1, False, 0, 0, False, False
    if profile in _HIGH_PROFILES:
        chroma = reader.ue(3)
        planes = chroma == 3 and reader.flag()
        luma_depth, chroma_depth, lossless = reader.ue(6), reader.ue(6), reader.flag()
        scaling = reader.flag()
        if scaling:
            _skip_scaling_lists(reader, 12 if chroma == 3 else 8)
    frame_num_bits = reader.ue(12) + 4
    poc_type, poc_lsb_bits = _read_poc_coding(reader)
    references = reader.ue(16)
    frame_num_gaps = reader.flag()
    width, height = reader.ue(1 << 16) + 1, reader.ue(1 << 16) + 1
    frames_only = reader.flag()
    if not frames_only:
        reader.flag()  # macroblock-adaptive frame and field coding
    reader.flag()  # direct 8x8 inference
    crop = tuple(reader.ue() for _ in range(4)) if reader.flag() else (0, 0, 0, 0)
    picture = Picture(chroma, planes, luma_depth, chroma_depth, width, height, frames_only, crop)
    has_usability = reader.flag()
    return Sps(
        unit,
        profile,
        constraints,
        level,
        sps_id,
        picture,
        lossless,
        scaling,
        frame_num_bits,
        frame_num_gaps,
        poc_type,
        poc_lsb_bits,
        references,
        read_aspect_ratio(reader) if has_usability else None,
        _read_reordered_frames(reader) if has_usability else None,
    )


def _skip_scaling_lists(reader: BitReader, count: int) -> None:
    for number in range(count):
        if not reader.flag():
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + reader.se()) % 256
            last = following or last


def _read_poc_coding(reader: BitReader) -> tuple[int, int]:
    """Return the type of picture order counts, and the bits of their coded part for type 0."""
    poc_type = reader.ue(2)
    if poc_type == 0:
        return poc_type, reader.ue(12) + 4
    if poc_type == 1:
        reader.u(1)
        reader.skip_codes(2)
        reader.skip_codes(reader.ue(255))
    return poc_type, 0


def _read_reordered_frames(reader: BitReader) -> int | None:
    """Read the video usability information (annex E) after its aspect ratio: max_num_reorder_frames, or None."""
    if reader.flag():  # overscan
        reader.u(1)
    if reader.flag():  # video signal type
        reader.u(4)
        if reader.flag():
            reader.u(24)
    if reader.flag():  # chroma location
        reader.skip_codes(2)
    if reader.flag():  # timing
        reader.u(65)
    buffering = [_skip_buffering(reader) for _ in range(2)]
    if any(buffering):
        reader.u(1)  # low delay
    reader.u(1)  # pic_struct
    if not reader.flag():
        return None
    reader.u(1)
    reader.skip_codes(4)
    return reader.ue(16)


def _skip_buffering(reader: BitReader) -> bool:
    """Skip hypothetical reference decoder parameters, and return True if there were any."""
    if not reader.flag():
        return False
    count = reader.ue(31) + 1
    reader.u(8)
    for _ in range(count):
        reader.skip_codes(2)
        reader.u(1)
    reader.u(20)
    return True
