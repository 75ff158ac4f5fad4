"""The last GOP of a clip's file, to decode a sample of its end."""

from __future__ import annotations

from typing import Any

from av.packet import Packet

from clipengine.media.bitstream import hevc_parameter_sets as hevc
from clipengine.media.bitstream.h264_slices import IDR_UNIT, unit_type
from clipengine.media.bitstream.hevc_slices import SKIPPED_UNITS
from clipengine.media.bitstream.nal import split_by_lengths

DECODED_FRAMES = 24  # of a GOP
_DECODED_BYTES = 64 << 20


class LastGop:
    """Collects the first packets of the last GOP, up to the number that will be decoded."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._bytes = 0
        self.packets: list[Packet[Any]] = []

    def add(self, packet: Packet[Any]) -> None:
        """Add the next packet of the file, in decoding order. Raises BitstreamError."""
        if packet.is_keyframe and self._starts_gop(packet):
            self.packets.clear()
            self._bytes = 0
        elif not self.packets or self.is_complete or self._is_skipped(packet):
            return
        self.packets.append(packet)
        self._bytes += packet.size

    @property
    def is_complete(self) -> bool:
        return len(self.packets) >= DECODED_FRAMES or self._bytes > _DECODED_BYTES

    def _starts_gop(self, packet: Packet[Any]) -> bool:
        """Return True if decoding can begin here. Demuxers also flag recovery points, which need earlier frames."""
        return self._codec != "h264" or any(unit_type(unit) == IDR_UNIT for unit in split_by_lengths(bytes(packet)))

    def _is_skipped(self, packet: Packet[Any]) -> bool:
        """Return True if a decoder that begins with the GOP skips the packet."""
        if self._codec != "hevc":
            return False
        return any(hevc.unit_type(unit) in SKIPPED_UNITS for unit in split_by_lengths(bytes(packet)))
