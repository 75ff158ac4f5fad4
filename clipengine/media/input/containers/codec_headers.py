"""Codec headers that change inside a recording, such as the parameter sets after a publisher connected again.

FFmpeg's demuxers return a new header once, as side data `new_extradata` of the first packet after the change. After a
seek only MP4 returns the header in force again; in FLV it is lost, so the probe keeps the headers that it finds.

In MPEG-TS the packets have the parameter sets. Not every muxer repeats them at each keyframe (GStreamer's does not), so
the probe keeps the sets that a keyframe needs if they differ from the sets at the recording's start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream

from clipengine.media.bitstream.in_band_sets import CODECS, InBandSets
from clipengine.media.input.containers.container import codec_name
from clipengine.recordings.facts import MAX_HEADER_BYTES, MAX_HEADER_CHANGES, HeaderChange

_ANNEX_B = ("mpegts", "mpeg", "h264", "hevc")
_FORGETFUL = ("flv", *_ANNEX_B)  # formats that lose headers in a seek


def new_header(packet: Packet[Any]) -> bytes | None:
    """Return the codec header that begins to apply with the packet, or None if it stays as it is."""
    return bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else None


class HeaderChanges:
    """Collects the changes of the codec headers from the packets of a recording, in file order."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._in_band = dict(_in_band_sets(streams))
        self._current = {stream.index: stream.codec_context.extradata for stream in streams}
        self._current |= {index: sets.header for index, sets in self._in_band.items()}
        self._changes: list[HeaderChange] = []
        self._complete = any(stream.container.format.name in _FORGETFUL for stream in streams)
        self.overflows = False  # more or longer headers than facts may have

    def add(self, packet: Packet[Any], time: Fraction) -> None:
        """Add the next packet and its recording time. After `overflows` nothing more is kept."""
        header = self._header_at(packet) if self._complete and not self.overflows else None
        if header is None or header == self._current.get(packet.stream_index):
            return
        self._current[packet.stream_index] = header
        if len(self._changes) >= MAX_HEADER_CHANGES or len(header) > MAX_HEADER_BYTES:
            self.overflows = True
            return
        self._changes.append(HeaderChange(index=packet.stream_index, time=time, extradata=header.hex()))

    def _header_at(self, packet: Packet[Any]) -> bytes | None:
        sets = self._in_band.get(packet.stream_index)
        if sets is None:
            return new_header(packet)
        return sets.needed_at(bytes(packet)) if packet.is_keyframe else None

    def skip(self) -> None:
        """Note that packets are left out, so headers may be missing."""
        self._complete = False

    @property
    def found(self) -> tuple[HeaderChange, ...]:
        """All changes, or none if packets were left out or the format returns headers after a seek."""
        return tuple(self._changes) if self._complete else ()


def _in_band_sets(streams: Sequence[Stream]) -> Iterator[tuple[int, InBandSets]]:
    """Yield the sets of each stream that has them in its packets, by its index."""
    for stream in streams:
        if stream.container.format.name in _ANNEX_B and stream.type == "video" and codec_name(stream) in CODECS:
            yield stream.index, InBandSets(codec_name(stream), stream.codec_context.extradata or b"")
