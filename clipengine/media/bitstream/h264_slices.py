"""Slice headers of H.264 (ITU-T H.264, clause 7.3.3), rewritten for another sequence parameter set.

Only the header changes. The coded macroblocks after it stay as they are: with CABAC they begin at the next whole byte,
with CAVLC at the next bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from clipengine.media.bitstream.bits import BitReader, Bits, BitstreamError
from clipengine.media.bitstream.h264_parameter_sets import MAX_PPS_ID, Pps, Sps
from clipengine.media.bitstream.nal import escape, unescape

SLICE_UNIT, IDR_UNIT = 1, 5
MAX_IDR_IDS = 1 << 16
# Of the first bytes of a unit: no slice header that is rewritten here is longer.
_HEADER_BYTES = 64
_P_SLICE, _I_SLICE = 0, 2


class NewHeader(NamedTuple):
    """Values of a rewritten header. `number` counts the frames since the IDR frame."""

    pps_id: int
    number: int
    idr_pic_id: int


def unit_type(unit: bytes) -> int:
    return unit[0] & 31


def read_idr_pic_id(unit: bytes, sps: Sps) -> int:
    """Return the idr_pic_id of a slice of an IDR frame. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:_HEADER_BYTES]))
    reader.skip_codes(3)
    reader.u(sps.frame_num_bits)
    return reader.ue(MAX_IDR_IDS - 1)


def is_reference(unit: bytes) -> bool:
    """Return True if later frames may need the frame of the slice."""
    return bool(unit[0] >> 5 & 3)


def read_frame_num(unit: bytes, sps: Sps) -> int:
    """Return the frame_num of a slice. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:_HEADER_BYTES]))
    reader.skip_codes(3)
    return reader.u(sps.frame_num_bits)


def read_pps_id(unit: bytes) -> int:
    """Return the number of the picture parameter set that a slice uses. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:_HEADER_BYTES]))
    reader.skip_codes(2)
    return reader.ue(MAX_PPS_ID)


def keeps_earlier_frames(unit: bytes, sps: Sps, pps: Pps) -> bool:
    """Return True unless the slice of an IDR frame discards frames that were not shown yet. Raises BitstreamError."""
    reader = BitReader(unescape(unit[1:_HEADER_BYTES]))
    reader.skip_codes(3)
    reader.u(sps.frame_num_bits)
    reader.ue()  # idr_pic_id
    if sps.poc_type == 0:
        reader.u(sps.poc_lsb_bits)
        reader.skip_codes(1 if pps.order_in_frame else 0)
    reader.skip_codes(1 if pps.redundant_pictures else 0)
    return not reader.flag()


def rewrite_slice(unit: bytes, sps: Sps, pps: Pps, new_sps: Sps, header: NewHeader) -> bytes:
    """Return a slice, coded with `sps` and `pps`, as a slice of `new_sps`.

    The slice must be an I or P slice of a frame of which each is a reference, without reordering of references and
    weighted prediction. Raises BitstreamError for others.
    """
    payload = unescape(unit[1:])
    is_idr = unit_type(unit) == IDR_UNIT
    reader = BitReader(payload[:_HEADER_BYTES])
    first_macroblock, slice_type = reader.ue(), reader.ue(9)
    reader.ue()  # pps_id
    reader.u(sps.frame_num_bits)
    if is_idr:
        reader.ue()  # idr_pic_id
    if sps.poc_type == 0:
        reader.u(sps.poc_lsb_bits)
    kept_from = reader.position
    _check_kind(slice_type, sps, pps, new_sps)
    _skip_rest_of_header(reader, unit, pps, is_p=slice_type % 5 == _P_SLICE)
    bits = Bits().ue(first_macroblock).ue(slice_type).ue(header.pps_id).u(new_sps.frame_num_bits, header.number)
    if is_idr:
        bits.ue(header.idr_pic_id)
    if new_sps.poc_type == 0:
        bits.u(new_sps.poc_lsb_bits, 2 * header.number)
    bits.append(reader.between(kept_from, reader.position))
    return _with_header(bits, unit, payload, reader.position, pps)


def renumber_idr_slice(unit: bytes, sps: Sps, known: Mapping[int, Pps], idr_pic_id: int) -> bytes:
    """Return a slice of an IDR frame with another idr_pic_id. Raises BitstreamError."""
    payload = unescape(unit[1:])
    reader = BitReader(payload[:_HEADER_BYTES])
    reader.ue()  # first macroblock
    slice_type, pps = reader.ue(9), known.get(reader.ue())
    if slice_type % 5 != _I_SLICE or pps is None or pps.redundant_pictures:
        raise BitstreamError("the slice's header has further fields")
    reader.u(sps.frame_num_bits)
    bits = reader.between(0, reader.position).ue(idr_pic_id)
    reader.ue()  # idr_pic_id
    kept_from = reader.position
    if sps.poc_type == 0:
        reader.u(sps.poc_lsb_bits)
        reader.skip_codes(int(pps.order_in_frame))
    _skip_rest_of_header(reader, unit, pps, is_p=False)
    bits.append(reader.between(kept_from, reader.position))
    return _with_header(bits, unit, payload, reader.position, pps)


def _with_header(header: Bits, unit: bytes, payload: bytes, position: int, pps: Pps) -> bytes:
    """Return the slice with another header. Its macroblocks are in the payload after the position."""
    if pps.cabac:
        return unit[:1] + escape(header.aligned(1) + payload[(position + 7) // 8 :])
    coded = BitReader(payload)
    coded.position = position
    return unit[:1] + escape(header.append(coded.rest()).with_stop_bit())


def _check_kind(slice_type: int, sps: Sps, pps: Pps, new_sps: Sps) -> None:
    if slice_type % 5 not in (_P_SLICE, _I_SLICE):
        raise BitstreamError("the slice is neither an I nor a P slice")
    if (pps.weighted and slice_type % 5 == _P_SLICE) or pps.redundant_pictures or pps.order_in_frame:
        raise BitstreamError("the slice's header has further fields")
    if not sps.picture.frames_only or 1 in (sps.poc_type, new_sps.poc_type):
        raise BitstreamError("the slice's header has further fields")


def _skip_rest_of_header(reader: BitReader, unit: bytes, pps: Pps, *, is_p: bool) -> None:
    """Skip the fields between the picture order count and the coded macroblocks."""
    if is_p:
        if reader.flag():
            reader.ue()  # number of references
        if reader.flag():
            raise BitstreamError("the slice reorders its references")
    if not is_reference(unit):
        raise BitstreamError("the slice is of a frame that is not a reference")
    if unit_type(unit) == IDR_UNIT:
        if reader.u(2):
            raise BitstreamError("the slice discards earlier frames or keeps a long-term reference")
    elif reader.flag():
        raise BitstreamError("the slice marks its references")
    if pps.cabac and is_p:
        reader.ue()  # initial table
    reader.se()  # quantiser
    if pps.deblocking_control and reader.ue(2) != 1:
        reader.skip_codes(2)
