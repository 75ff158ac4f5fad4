"""Codec headers that change inside a recording, such as the parameter sets after a publisher connected again.

FFmpeg's demuxers return a new header once, as side data `new_extradata` of the first packet after the change. After a
seek only MP4 returns the header in force again; in FLV it is lost, so the probe keeps the headers that it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream

from clipengine.clips.facts import MAX_HEADER_BYTES, MAX_HEADER_CHANGES, HeaderChange

_FORGETFUL = ("flv",)  # formats that lose headers in a seek


def new_header(packet: Packet[Any]) -> bytes | None:
    """Return the codec header that begins to apply with the packet, or None if it stays as it is."""
    return bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else None


class HeaderChanges:
    """Collects the changes of the codec headers from the packets of a recording, in file order."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._current = {stream.index: stream.codec_context.extradata for stream in streams}
        self._changes: list[HeaderChange] = []
        self._complete = any(stream.container.format.name in _FORGETFUL for stream in streams)
        self.overflows = False  # more or longer headers than facts may have

    def add(self, packet: Packet[Any], time: Fraction) -> None:
        """Add the next packet and its recording time."""
        header = new_header(packet) if self._complete else None
        if header is None or header == self._current.get(packet.stream_index):
            return
        self._current[packet.stream_index] = header
        if len(self._changes) >= MAX_HEADER_CHANGES or len(header) > MAX_HEADER_BYTES:
            self.overflows = True
            return
        self._changes.append(HeaderChange(index=packet.stream_index, time=time, extradata=header.hex()))

    def skip(self) -> None:
        """Note that packets are left out, so headers may be missing."""
        self._complete = False

    @property
    def found(self) -> tuple[HeaderChange, ...]:
        """All changes, or none if packets were left out or the format returns headers after a seek."""
        return tuple(self._changes) if self._complete else ()
