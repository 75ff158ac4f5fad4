"""Slice headers of HEVC (ITU-T H.265, clause 7.3.6), rewritten for another sequence parameter set.

Only the header changes. The coded blocks after it begin at a whole byte and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from clipengine.media.bitstream.bits import BitReader, Bits, BitstreamError
from clipengine.media.bitstream.hevc_parameter_sets import MAX_PPS_ID, UNIT_HEADER_BYTES, Pps, PpsHead, Sps, unit_type
from clipengine.media.bitstream.nal import escape, unescape

IDR_UNITS = frozenset((19, 20))
RANDOM_ACCESS_UNITS = frozenset(range(16, 22))  # IDR, BLA and CRA
LEADING_UNITS = frozenset(range(6, 10))  # RADL and RASL
SKIPPED_UNITS = frozenset((8, 9))  # RASL, which are not decoded if decoding begins with their random access picture
_INTRA_UNITS = frozenset(range(16, 24))  # random access pictures, and types that are reserved for more of them
FRAME_UNITS = frozenset((*range(10), *RANDOM_ACCESS_UNITS))
_BROKEN_LINK_UNITS, _BLA_N_LP = frozenset((16, 17, 18, 21)), 18
# Of the first bytes of a unit: no slice header that is rewritten here is longer.
_HEADER_BYTES = 64
_MAX_REFERENCES = 16
_P_SLICE, _I_SLICE = 1, 2


def keeps_earlier_frames(unit: bytes) -> bool:
    """Return True unless the slice of a random access picture discards frames that were not shown yet."""
    return len(unit) > UNIT_HEADER_BYTES and not unit[UNIT_HEADER_BYTES] >> 6 & 1


def read_pps_id(unit: bytes) -> int:
    """Return the number of the picture parameter set that a slice uses. Raises BitstreamError."""
    reader = BitReader(unescape(unit[UNIT_HEADER_BYTES:_HEADER_BYTES]))
    reader.u(2 if unit_type(unit) in _INTRA_UNITS else 1)  # first_slice_segment_in_pic_flag and perhaps one more
    return reader.ue(MAX_PPS_ID)


def without_leading(unit: bytes) -> bytes:
    """Return a slice of a random access picture as BLA_N_LP, a picture without leading pictures.

    A decoder then needs nothing before it, and counts pictures anew (clause 8.3.1). It does so for IDR pictures anyway,
    whose slices are returned unchanged.
    """
    if unit_type(unit) not in _BROKEN_LINK_UNITS:
        return unit
    return bytes([unit[0] & 0x81 | _BLA_N_LP << 1]) + unit[1:]


def read_order(unit: bytes, sps: Sps, known: Mapping[int, PpsHead]) -> int:
    """Return the low bits of the picture order count from the first slice of a random access picture.

    They are 0 for an IDR picture. Raises BitstreamError.
    """
    if unit_type(unit) in IDR_UNITS:
        return 0
    reader = BitReader(unescape(unit[UNIT_HEADER_BYTES:])[:_HEADER_BYTES])
    is_first, _ = reader.flag(), reader.flag()
    pps = known.get(reader.ue())
    if not is_first or pps is None:
        raise BitstreamError("a keyframe has no beginning, or no parameter sets")
    reader.u(pps.extra_bits)
    reader.ue()  # slice type
    reader.u(pps.output_flag)
    return reader.u(sps.order_lsb_bits)


def rewrite_slice(unit: bytes, sps: Sps, pps: Pps, new_sps: Sps, *, pps_id: int, order: int, distance: int) -> bytes:
    """Return a slice, coded with `sps` and `pps`, as a slice of `new_sps`.

    `order` is its picture order count, and `distance` the difference from the previous picture's count.

    It must be the only slice of an IDR picture, or of a picture that refers to the previous picture. Raises
    BitstreamError for others.
    """
    payload = unescape(unit[UNIT_HEADER_BYTES:])
    is_idr = unit_type(unit) in IDR_UNITS
    if unit_type(unit) not in (*IDR_UNITS, 1):
        raise BitstreamError("the picture is of another type")
    reader = BitReader(payload[:_HEADER_BYTES])
    if not reader.flag():
        raise BitstreamError("the picture has several slices")
    bits = Bits().u(1, 1)
    if is_idr:
        bits.u(1, reader.u(1))
    reader.ue()  # pps_id
    slice_type = reader.ue(2)
    if slice_type not in (_P_SLICE, _I_SLICE) or pps.output_flag or pps.extra_bits or sps.temporal_vectors:
        raise BitstreamError("the slice's header has further fields")
    bits.ue(pps_id).ue(slice_type)
    if not is_idr:
        _check_references(reader, sps)
        _write_references(bits, new_sps, order, distance)
    kept_from = reader.position
    _skip_rest_of_header(reader, sps, pps, is_p=slice_type == _P_SLICE)
    bits.append(reader.between(kept_from, reader.position))
    if not reader.flag() or reader.u(-reader.position % 8):
        raise BitstreamError("the slice's header does not end with its alignment")
    coded = payload[reader.position // 8 :]
    if not coded:
        raise BitstreamError("the slice has no data")
    # The header ends with a one and zeros up to a whole byte.
    return unit[:UNIT_HEADER_BYTES] + escape(bits.with_stop_bit() + coded)


def _check_references(reader: BitReader, sps: Sps) -> None:
    """Read the fields of a picture that refers to the previous picture.

    It may keep other pictures in the buffer, of which it uses none. Raises BitstreamError for other references.
    """
    reader.u(sps.order_lsb_bits)
    if reader.flag() or sps.long_term_references is not None:
        raise BitstreamError("the slice's references are coded in another way")
    if sps.reference_sets and reader.flag():
        raise BitstreamError("the slice's references are coded in another way")
    earlier, later = reader.ue(_MAX_REFERENCES), reader.ue()
    kept = [(reader.ue(), reader.flag()) for _ in range(earlier)]
    if later or kept[:1] != [(0, True)]:
        raise BitstreamError("the slice refers to other pictures than the one before")


def _write_references(bits: Bits, sps: Sps, order: int, distance: int) -> None:
    bits.u(sps.order_lsb_bits, order).u(1, 0)
    if sps.reference_sets:
        bits.u(1, 0)  # not predicted from another set
    bits.ue(1).ue(0).ue(distance - 1).u(1, 1)
    if sps.long_term_references is not None:
        if sps.long_term_references:
            bits.ue(0)
        bits.ue(0)
    if sps.temporal_vectors:
        bits.u(1, 0)


def _skip_rest_of_header(reader: BitReader, sps: Sps, pps: Pps, *, is_p: bool) -> None:
    """Skip the fields between the references and the alignment."""
    adaptive = sps.coding.sample_adaptive and reader.u(2) != 0
    if is_p:
        references = reader.ue() + 1 if reader.flag() else pps.references
        if references != 1:
            raise BitstreamError("the slice refers to several pictures")
        if pps.cabac_init:
            reader.flag()
        if pps.weighted or pps.lists_modification:
            raise BitstreamError("the slice's header has further fields")
        reader.ue()  # merge candidates
    reader.ue()  # quantiser
    if pps.chroma_offsets:
        reader.skip_codes(2)
    disabled = pps.deblocking_disabled
    if pps.deblocking_override and reader.flag():
        disabled = reader.flag()
        if not disabled:
            reader.skip_codes(2)
    if pps.filters_across_slices and (adaptive or not disabled):
        reader.flag()
    if pps.header_extension:
        raise BitstreamError("the slice's header has further fields")
