"""Timestamps of packets: estimates for missing ones, and times on the recording's timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any, NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.media.input.timing.display_order import REORDERED_FRAMES
from clipengine.media.input.timing.timeline import Clock, Timeline, as_fraction

_IN_ORDER = {"vp8", "vp9", "av1", "libdav1d"}  # decoders of codecs whose packets are in the order of their frames


class TimedPacket(NamedTuple):
    """A packet with its pts and dts in recording time, and the number of its stream in the recording's facts.

    Its own `packet.stream` decodes it: another one than before, if the codec changes. If it `is_repeated`, its frame is
    not shown, because frames at its time were already shown.
    """

    packet: Packet[Any]
    time: Fraction
    dts: Fraction
    stream: int
    is_repeated: bool = False

    @property
    def is_video(self) -> bool:
        return isinstance(self.packet.stream, VideoStream)


def timed_packets(packets: Iterable[Packet[Any]], origin: Fraction) -> Iterator[TimedPacket]:
    """Yield the packets with their times from the container time `origin` on."""
    timestamps = PacketTimestamps(-origin)
    for packet in packets:
        found = timestamps.of(packet)
        if found is not None:
            yield TimedPacket(packet, *found, packet.stream_index)


def joined_packets(packets: Iterable[Packet[Any]], timeline: Timeline) -> Iterator[TimedPacket]:
    """Yield the packets with their times on a timeline that joins discontinuities.

    They get the joined timestamps, because their frames must have them.
    """
    timestamps = PacketTimestamps()
    for packet in packets:
        found = timestamps.of(packet)
        if found is None:
            continue
        pts, dts = found
        tick = as_fraction(packet.time_base)
        time = timeline.add(packet.stream_index, pts, dts, (packet.duration or 0) * tick)
        shift = round((time - pts) / tick)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift
        yield TimedPacket(packet, time, time if dts == pts else dts + time - pts, packet.stream_index)


class PacketTimestamps:
    """Determines the timestamps of packets, given in file order, in seconds plus `shift`."""

    def __init__(self, shift: Fraction = Fraction(0)) -> None:
        self._shift = shift
        self._clocks: dict[int, Clock] = {}  # by stream index
        self._last: dict[int, int] = {}  # stream index -> last pts
        self._latest: list[Fraction] = []  # heap of video pts
        self._guesses = REORDERED_FRAMES + 1  # packets of video whose dts may be wrong

    def of(self, packet: Packet[Any]) -> tuple[Fraction, Fraction] | None:
        """Return pts and dts, or None if the first packet of a stream has no timestamp."""
        index, dts = packet.stream_index, packet.dts
        stamp = dts if packet.pts is None else packet.pts
        if stamp is None:
            if index not in self._last:
                return None
            stamp = self._last[index] + 1
        self._last[index] = stamp
        clock = self._clocks.get(index)
        if clock is None:
            clock = self._clocks[index] = Clock(as_fraction(packet.time_base), self._shift)
        time = clock.time(stamp)
        if dts is None:
            return time, self._earliest_dts(packet, time)
        decoded = time if dts == stamp else clock.time(dts)
        return time, min(decoded, self._earliest_dts(packet, time)) if self._is_guessed(packet) else decoded

    def _is_guessed(self, packet: Packet[Any]) -> bool:
        """Return True for a dts that is too late if FFmpeg did not know yet how far the frames are reordered.

        Matroska stores no dts. After a seek, its first packets have none.
        """
        stream = packet.stream
        if self._guesses == 0 or not isinstance(stream, VideoStream):
            return False
        guesses = stream.container.format.name.startswith("matroska") and stream.codec_context.name not in _IN_ORDER
        self._guesses = self._guesses - 1 if guesses else 0
        return self._guesses > 0

    def _earliest_dts(self, packet: Packet[Any], time: Fraction) -> Fraction:
        """Return a lower bound of all following video pts."""
        if not isinstance(packet.stream, VideoStream):
            return time
        heappush(self._latest, time)
        if len(self._latest) > REORDERED_FRAMES + 1:
            heappop(self._latest)
        return self._latest[0]
