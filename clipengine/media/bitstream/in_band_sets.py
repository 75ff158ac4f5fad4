"""Parameter sets in the packets of an annex B stream, which need not repeat them at each keyframe."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from clipengine.media.bitstream import h264_parameter_sets as h264
from clipengine.media.bitstream import hevc_parameter_sets as hevc
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.h264_slices import unit_type as h264_unit_type
from clipengine.media.bitstream.nal import START_CODE, split_at_start_codes


class _Kinds(NamedTuple):
    unit_type: Callable[[bytes], int]
    sets: tuple[int, ...]  # types of sets, each after the types that it refers to


_KINDS = {
    "h264": _Kinds(h264_unit_type, (h264.SPS_UNIT, h264.PPS_UNIT)),
    "hevc": _Kinds(hevc.unit_type, (hevc.VPS_UNIT, hevc.SPS_UNIT, hevc.PPS_UNIT)),
}
CODECS = frozenset(_KINDS)


class InBandSets:
    """Follows the sets of a stream of one of CODECS from keyframe to keyframe."""

    def __init__(self, codec: str, header: bytes) -> None:
        self._kinds = _KINDS[codec]
        self._known = self._sets_of(header)

    @property
    def header(self) -> bytes:
        """The codec header, FFmpeg's `extradata`, with the sets that apply now."""
        return b"".join(b"\0" + START_CODE + unit for unit in self._known)

    def needed_at(self, keyframe: bytes) -> bytes | None:
        """Return the header with which a decoder can begin at the keyframe, or None if that has sets of each kind."""
        found = self._sets_of(keyframe)
        complete = {self._kinds.unit_type(unit) for unit in found} >= set(self._kinds.sets)
        earlier = [] if complete else [unit for unit in self._known if unit not in found]
        self._known = sorted((*earlier, *found), key=self._kinds.unit_type)  # stable: later ones replace earlier ones
        return None if complete else self.header

    def _sets_of(self, data: bytes) -> list[bytes]:
        try:
            return [unit for unit in split_at_start_codes(data) if self._kinds.unit_type(unit) in self._kinds.sets]
        except BitstreamError:
            return []
