"""Parameter sets of HEVC (ITU-T H.265, clause 7.3.2), and the hvcC box that holds them (ISO/IEC 14496-15, 8.3.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from clipengine.media.bitstream.aspect_ratio import read_aspect_ratio
from clipengine.media.bitstream.bits import BitReader, Bits, BitstreamError
from clipengine.media.bitstream.nal import LENGTH_BYTES, escape, split_at_start_codes, unescape

VPS_UNIT, SPS_UNIT, PPS_UNIT = 32, 33, 34
UNIT_HEADER_BYTES = 2
MAX_PPS_ID = 63
_MAX_SPS_ID, _MAX_VPS_ID = 15, 15
_MAX_SET_BYTES = 0xFFFF  # the length field of hvcC
_MAX_ARRAYS, _MAX_SETS = 16, 64
_HVCC_BYTES = 23  # before the first array
_PROFILE_BITS, _LEVEL_BITS, _MAX_SUB_LAYERS = 88, 8, 7
_MAX_REFERENCE_SETS, _MAX_REFERENCES = 64, 16
_MAX_LONG_TERM = 32


def unit_type(unit: bytes) -> int:
    return unit[0] >> 1 & 63


class Coding(NamedTuple):
    """Parameters of coded blocks. Frames of two sequence parameter sets with the same value are coded alike."""

    width: int
    height: int
    luma_depth: int
    chroma_depth: int
    smallest_block: int  # binary logarithms of sizes, and differences of them
    larger_blocks: int
    larger_transforms: int
    inter_depth: int
    intra_depth: int
    scaling: bool  # with the default lists
    asymmetric: bool
    sample_adaptive: bool
    strong_smoothing: bool


@dataclass(frozen=True)
class Sps:
    """The fields of a sequence parameter set that matter for copying."""

    unit: bytes
    id: int
    profile: int
    profile_tier_level: bytes
    sub_layers: int
    nests_sub_layers: bool
    coding: Coding
    size: tuple[int, int]  # of the pictures as they are shown
    order_lsb_bits: int  # of picture order counts
    reordered_frames: int
    reference_sets: int  # number of short-term reference picture sets
    long_term_references: int | None  # None if long-term references are not allowed
    temporal_vectors: bool
    sample_aspect_ratio: Fraction | None  # None if it is not stated


@dataclass(frozen=True)
class Pps:
    """The fields of a picture parameter set that slice headers depend on."""

    unit: bytes
    id: int
    sps_id: int
    output_flag: bool
    extra_bits: int
    cabac_init: bool
    references: int  # of P slices that do not state another number
    chroma_offsets: bool
    weighted: bool
    filters_across_slices: bool
    deblocking_override: bool
    deblocking_disabled: bool
    lists_modification: bool
    header_extension: bool

    def renumbered(self, pps_id: int, sps_id: int) -> bytes:
        """Return the unit with other ids."""
        reader = BitReader(unescape(self.unit[UNIT_HEADER_BYTES:]))
        reader.skip_codes(2)
        bits = Bits().ue(pps_id).ue(sps_id).append(reader.rest())
        return self.unit[:UNIT_HEADER_BYTES] + escape(bits.with_stop_bit())


class ParameterSets(NamedTuple):
    """The units of a decoder configuration. `length_bytes` is 0 if packets have start codes."""

    length_bytes: int
    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def read_parameter_sets(extradata: bytes) -> ParameterSets:
    """Return the parameter sets of hvcC or annex B extradata, each once. Raises BitstreamError."""
    length_bytes = 0
    if extradata[:1] == b"\1":
        length_bytes, units = _read_hvcc(extradata)
    else:
        units = split_at_start_codes(extradata)
    if any(not UNIT_HEADER_BYTES < len(unit) <= _MAX_SET_BYTES for unit in units) or len(units) > _MAX_SETS:
        raise BitstreamError("the parameter sets are too large")
    kinds = {kind: dict.fromkeys(unit for unit in units if unit_type(unit) == kind) for kind in range(32, 35)}
    return ParameterSets(length_bytes, tuple(kinds[VPS_UNIT]), tuple(kinds[SPS_UNIT]), tuple(kinds[PPS_UNIT]))


def _read_hvcc(data: bytes) -> tuple[int, list[bytes]]:
    if len(data) < _HVCC_BYTES or data[22] > _MAX_ARRAYS:
        raise BitstreamError("the decoder configuration is incomplete")
    units: list[bytes] = []
    offset = _HVCC_BYTES
    for _ in range(data[22]):
        count, offset = int.from_bytes(data[offset + 1 : offset + 3], "big"), offset + 3
        for _ in range(count):
            start = offset + 2
            offset = start + int.from_bytes(data[offset:start], "big")
            if offset > len(data) or offset == start or len(units) == _MAX_SETS:
                raise BitstreamError("the decoder configuration is incomplete")
            units.append(data[start:offset])
    return (data[21] & 3) + 1, units


def write_hvcc(sps: Sps, *arrays: tuple[bytes, ...]) -> bytes:
    """Return an hvcC box's content with these units, one array for each of their types."""
    coding = sps.coding
    out = bytearray([1]) + sps.profile_tier_level
    out += bytes([0xF0, 0, 0xFC, 0xFC | 1, 0xF8 | coding.luma_depth, 0xF8 | coding.chroma_depth, 0, 0])
    out.append((sps.sub_layers << 3 | sps.nests_sub_layers << 2 | LENGTH_BYTES - 1) & 0xFF)
    out.append(len(arrays))
    for units in arrays:
        out.append(0x80 | unit_type(units[0]))
        out += len(units).to_bytes(2, "big")
        for unit in units:
            out += len(unit).to_bytes(2, "big") + unit
    return bytes(out)


def parse_pps(unit: bytes) -> Pps:
    """Parse a picture parameter set without tiles and wavefronts. Raises BitstreamError."""
    reader = BitReader(unescape(unit[UNIT_HEADER_BYTES:]))
    pps_id, sps_id = reader.ue(MAX_PPS_ID), reader.ue(_MAX_SPS_ID)
    reader.flag()  # dependent slice segments
    output_flag, extra_bits = reader.flag(), reader.u(3)
    reader.flag()  # sign data hiding
    cabac_init = reader.flag()
    references = reader.ue(_MAX_REFERENCES) + 1
    reader.skip_codes(2)  # default number of references of the second list, initial quantiser
    reader.u(2)  # constrained intra prediction, transform skip
    if reader.flag():
        reader.ue()  # depth of quantiser differences
    reader.skip_codes(2)  # chroma offsets
    chroma_offsets = reader.flag()
    weighted = reader.u(2) != 0
    reader.flag()  # transform and quantisation bypass
    if reader.u(2):
        raise BitstreamError("it has tiles or wavefronts")
    across = reader.flag()
    override = disabled = False
    if reader.flag():
        override, disabled = reader.flag(), reader.flag()
        if not disabled:
            reader.skip_codes(2)
    if reader.flag():
        raise BitstreamError("it has scaling lists")
    lists = reader.flag()
    reader.ue()  # parallel merge level
    extension = reader.flag()
    return Pps(
        unit, pps_id, sps_id, output_flag, extra_bits, cabac_init, references, chroma_offsets, weighted, across,
        override, disabled, lists, extension,
    )  # fmt: skip


class PpsHead(NamedTuple):
    """The first fields of a picture parameter set."""

    id: int
    sps_id: int
    output_flag: bool
    extra_bits: int


def parse_pps_head(unit: bytes) -> PpsHead:
    """Parse the beginning of a picture parameter set. Raises BitstreamError."""
    reader = BitReader(unescape(unit[UNIT_HEADER_BYTES:]))
    pps_id, sps_id = reader.ue(MAX_PPS_ID), reader.ue(_MAX_SPS_ID)
    reader.flag()  # dependent slices
    return PpsHead(pps_id, sps_id, reader.flag(), reader.u(3))


def parse_sps(unit: bytes) -> Sps:
    """Parse a sequence parameter set of 4:2:0 video. Raises BitstreamError."""
    payload = unescape(unit[UNIT_HEADER_BYTES:])
    reader = BitReader(payload)
    reader.u(4)  # video parameter set
    sub_layers = reader.u(3) + 1
    nests = reader.flag()
    if sub_layers > _MAX_SUB_LAYERS:
        raise BitstreamError("it has too many layers")
    reader.u(_PROFILE_BITS + _LEVEL_BITS)
    _skip_sub_layer_levels(reader, sub_layers)
    sps_id = reader.ue(_MAX_SPS_ID)
    if reader.ue(3) != 1:
        raise BitstreamError("its colours are not 4:2:0")
    width, height = reader.ue(1 << 16), reader.ue(1 << 16)
    size = width, height
    if reader.flag():
        left, right, top, bottom = (reader.ue(1 << 16) for _ in range(4))
        size = width - 2 * right, height - 2 * bottom
        if left or top:
            raise BitstreamError("its frames are cropped at the left or the top")
    depths = reader.ue(8), reader.ue(8)
    order_lsb_bits = reader.ue(12) + 4
    reordered = 0
    for _ in range(sub_layers if reader.flag() else 1):
        reader.ue()
        reordered = reader.ue(16)
        reader.ue()
    smallest, larger = reader.ue(3), reader.ue(3)
    smallest_transform, larger_transforms = reader.ue(3), reader.ue(3)
    inter_depth, intra_depth = reader.ue(4), reader.ue(4)
    if smallest_transform:
        raise BitstreamError("it has no transforms of 4x4")
    scaling = reader.flag()
    if scaling and reader.flag():
        raise BitstreamError("it has scaling lists")
    asymmetric, adaptive = reader.flag(), reader.flag()
    if reader.flag():
        raise BitstreamError("it has uncompressed blocks")
    sets = _skip_reference_sets(reader)
    long_term = _skip_long_term(reader, order_lsb_bits) if reader.flag() else None
    temporal, strong = reader.flag(), reader.flag()
    coding = Coding(
        width, height, *depths, smallest, larger, larger_transforms, inter_depth, intra_depth, scaling, asymmetric,
        adaptive, strong,
    )  # fmt: skip
    return Sps(
        unit,
        sps_id,
        payload[1] & 31,
        payload[1:13],
        sub_layers,
        nests,
        coding,
        size,
        order_lsb_bits,
        reordered,
        sets,
        long_term,
        temporal,
        read_aspect_ratio(reader) if reader.flag() else None,
    )


def _skip_sub_layer_levels(reader: BitReader, sub_layers: int) -> None:
    if sub_layers == 1:
        return
    present = [(reader.flag(), reader.flag()) for _ in range(sub_layers - 1)]
    reader.u(2 * (9 - sub_layers))
    for profile, level in present:
        reader.u(_PROFILE_BITS * profile + _LEVEL_BITS * level)


def _skip_reference_sets(reader: BitReader) -> int:
    """Skip the short-term reference picture sets (clause 7.3.7), and return their number."""
    count = reader.ue(_MAX_REFERENCE_SETS)
    pictures = 0  # of the set before
    for number in range(count):
        if number and reader.flag():
            reader.flag()
            reader.ue()
            pictures = sum(_is_kept(reader) for _ in range(pictures + 1))
        else:
            pictures = reader.ue(_MAX_REFERENCES) + reader.ue(_MAX_REFERENCES)
            for _ in range(pictures):
                reader.ue()
                reader.flag()
        if pictures > _MAX_REFERENCES:
            raise BitstreamError("it has too many references")
    return count


def _is_kept(reader: BitReader) -> bool:
    """Read used_by_curr_pic_flag and use_delta_flag of one picture of the set before."""
    return reader.flag() or reader.flag()


def _skip_long_term(reader: BitReader, order_lsb_bits: int) -> int:
    count = reader.ue(_MAX_LONG_TERM)
    for _ in range(count):
        reader.u(order_lsb_bits + 1)
    return count
