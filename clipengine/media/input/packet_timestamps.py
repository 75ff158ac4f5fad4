"""Timestamps of packets: estimates for missing ones, and times on the recording's timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.media.input.container import packet_time
from clipengine.media.input.display_order import REORDERED_FRAMES
from clipengine.media.input.timeline import Timeline, as_fraction


@dataclass(frozen=True)
class TimedPacket:
    """A packet with its pts and dts in recording time."""

    packet: Packet[Any]
    time: Fraction
    dts: Fraction


def timed_packets(packets: Iterable[Packet[Any]], timeline: Timeline) -> Iterator[TimedPacket]:
    """Yield the packets with their times on the timeline.

    If the timeline joins discontinuities, the packets get the joined timestamps, because their frames must have them.
    """
    timestamps = PacketTimestamps()
    for packet in packets:
        found = timestamps.of(packet)
        if found is None:
            continue
        pts, dts = found
        tick = as_fraction(packet.time_base)
        time = timeline.add(packet.stream_index, pts, dts, (packet.duration or 0) * tick)
        if timeline.joins_discontinuities:
            shift = round((time - pts) / tick)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        yield TimedPacket(packet, time, time if dts == pts else dts + time - pts)


class PacketTimestamps:
    """Determines the timestamps of packets, given in file order."""

    def __init__(self) -> None:
        self._last: dict[int, Fraction] = {}  # stream index -> last pts
        self._latest: list[Fraction] = []  # heap of video pts

    def of(self, packet: Packet[Any]) -> tuple[Fraction, Fraction] | None:
        """Return pts and dts in container time, or None if the first packet of a stream has no timestamp."""
        tick = as_fraction(packet.time_base)
        time = packet_time(packet)
        if time is None:
            if packet.stream_index not in self._last:
                return None
            time = self._last[packet.stream_index] + tick
        self._last[packet.stream_index] = time
        return time, packet.dts * tick if packet.dts is not None else self._earliest_dts(packet, time)

    def _earliest_dts(self, packet: Packet[Any], time: Fraction) -> Fraction:
        """Return a lower bound of all following video pts. After a seek, Matroska's first packets have no dts."""
        if not isinstance(packet.stream, VideoStream):
            return time
        heappush(self._latest, time)
        if len(self._latest) > REORDERED_FRAMES + 1:
            heappop(self._latest)
        return self._latest[0]
