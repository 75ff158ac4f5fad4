"""Sizes and sample aspect ratios of the pictures of a stream, from the headers in its packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from clipengine.clips.options.picture_size import Picture, Size
from clipengine.media.bitstream import h264_parameter_sets as h264
from clipengine.media.bitstream import hevc_parameter_sets as hevc
from clipengine.media.bitstream.aspect_ratio import mpeg2_picture
from clipengine.media.bitstream.av1_sequence import av1_size
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.h264_slices import unit_type as h264_unit_type
from clipengine.media.bitstream.nal import split_at_start_codes, split_by_lengths
from clipengine.media.bitstream.vp8_frames import vp8_size
from clipengine.media.bitstream.vp9_frames import Vp9Sizes

_SizeReader = Callable[[bytes], Size | None]
# Codecs whose frames or sequence headers state the size, with a function that opens the reader of a stream's packets.
_SIZE_READERS: dict[str, Callable[[], _SizeReader]] = {
    "vp8": lambda: vp8_size,
    "vp9": lambda: Vp9Sizes().add,
    "av1": lambda: av1_size,
}


class _Sets(NamedTuple):
    """Parsers of a codec whose sequence parameter sets state the picture, in the packets or in the codec header."""

    read: Callable[[bytes], h264.ParameterSets | hevc.ParameterSets]
    unit_type: Callable[[bytes], int]
    sps_unit: int
    parse_sps: Callable[[bytes], h264.Sps | hevc.Sps]


_SETS = {
    "h264": _Sets(h264.read_parameter_sets, h264_unit_type, h264.SPS_UNIT, h264.parse_sps),
    "hevc": _Sets(hevc.read_parameter_sets, hevc.unit_type, hevc.SPS_UNIT, hevc.parse_sps),
}


class PictureSizes:
    """Follows the pictures from packet to packet. Headers that cannot be parsed do not change them."""

    def __init__(self, codec: str, header: bytes) -> None:
        self._codec = codec
        self._length_bytes = 0
        self._read_size = _SIZE_READERS[codec]() if codec in _SIZE_READERS else None
        self.picture: Picture | None = None  # None until a header states it
        self.change_header(header)

    @property
    def only_keyframes(self) -> bool:
        """True if only keyframes can state another size."""
        return self._codec != "vp9"

    @property
    def state_ratios(self) -> bool:
        """True if headers of the codec can state a sample aspect ratio."""
        return self._codec in _SETS or self._codec == "mpeg2video"

    def change_header(self, header: bytes) -> None:
        """Apply a codec header, FFmpeg's `extradata`."""
        try:
            if self._codec == "mpeg2video":
                self._apply(mpeg2_picture(header))
            elif self._codec in _SETS:
                found = _SETS[self._codec].read(header)
                self._length_bytes = found.length_bytes
                self._read_sets(found.sps)
        except BitstreamError:
            pass

    def add(self, packet: bytes) -> Picture | None:
        """Return the picture of the packet, or None if no header has stated it."""
        try:
            if self._read_size is not None:
                size = self._read_size(packet)
                self._apply(size and Picture(*size))
            elif self._codec == "mpeg2video":
                self._apply(mpeg2_picture(packet))
            elif self._codec in _SETS:
                self._read_sets(self._split(packet))
        except BitstreamError:
            pass
        return self.picture

    def _split(self, packet: bytes) -> list[bytes]:
        return split_by_lengths(packet, self._length_bytes) if self._length_bytes else split_at_start_codes(packet)

    def _read_sets(self, units: Iterable[bytes]) -> None:
        sets = _SETS[self._codec]
        for unit in units:
            if sets.unit_type(unit) == sets.sps_unit:
                found = sets.parse_sps(unit)
                self._apply(Picture(*found.size, found.sample_aspect_ratio))

    def _apply(self, picture: Picture | None) -> None:
        self.picture = picture or self.picture
