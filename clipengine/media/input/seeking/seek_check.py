"""Check that packets have the same timestamps after a seek as when read from the start.

If a container stores no timestamps, the demuxer computes them, and after a seek some demuxers compute others (MXF with
reordered frames). A recording that fails the check is always read from its start.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import read_packets

# Containers that store timestamps in packets or in an index of all packets.
_STORE_TIMES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf")
_MAX_SAMPLES = 200
_MAX_PACKETS_AFTER_SEEK = 2000


class _Sample(NamedTuple):
    pos: int
    pts: int


class SeekCheck:
    """Samples keyframes of a whole recording, added in file order, and compares them with seeks."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._samples: list[_Sample] = []  # keyframes at regular intervals
        self._interval, self._keyframes = 1, 0
        self._pos: int | None = None

    def add(self, packet: Packet[Any]) -> None:
        if packet.stream_index != self._stream.index or packet.pts is None or packet.pos is None:
            return
        first, self._pos = packet.pos != self._pos, packet.pos  # several packets may share a page
        if not packet.is_keyframe or not first:
            return
        self._keyframes += 1
        if self._keyframes % self._interval == 0:
            self._samples.append(_Sample(packet.pos, packet.pts))
        if len(self._samples) > _MAX_SAMPLES:
            del self._samples[::2]
            self._interval *= 2

    def passes(self, container: InputContainer, reader: MediaReader) -> bool:
        """Seek in the container and compare. Return True without a check if timestamps are stored."""
        if container.format.name in _STORE_TIMES or not self._samples:
            return True
        return all(self._matches(container, reader, self._samples[at]) for at in (len(self._samples) // 2, -1))

    def _matches(self, container: InputContainer, reader: MediaReader, sample: _Sample) -> bool:
        try:
            container.seek(sample.pts, stream=self._stream)
        except av.FFmpegError:
            return True  # a cut falls back to reading from the start too
        for packet in itertools.islice(read_packets(container, [self._stream], reader), _MAX_PACKETS_AFTER_SEEK):
            if packet.pos is not None and packet.pos >= sample.pos:
                return packet.pos > sample.pos or packet.pts == sample.pts
        return True
