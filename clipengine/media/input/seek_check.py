"""A trial of seeking: does the demuxer give packets the same times after a seek as on the way from the start?

Where a container stores no times the demuxer works them out, and not every one does so the same way twice (MXF with
reordered frames). A recording that fails the trial is cut by reading from its start.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.container import read_packets
from clipengine.media.input.source import MediaReader

# Their packets carry their times, or an index of all packets does.
_STORE_TIMES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf")
_MARKS = 200
_PATIENCE_PACKETS = 2000


class _Mark(NamedTuple):
    pos: int
    pts: int


class SeekCheck:
    """Give it the packets of a whole recording, in file order; then ask whether seeks agree with them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._marks: list[_Mark] = []  # keyframes, evenly over the recording
        self._each, self._keyframes = 1, 0
        self._pos: int | None = None

    def add(self, packet: Packet[Any]) -> None:
        if packet.stream_index != self._stream.index or packet.pts is None or packet.pos is None:
            return
        first, self._pos = packet.pos != self._pos, packet.pos  # of those that share a page of the file
        if not packet.is_keyframe or not first:
            return
        self._keyframes += 1
        if self._keyframes % self._each == 0:
            self._marks.append(_Mark(packet.pos, packet.pts))
        if len(self._marks) > _MARKS:
            del self._marks[::2]
            self._each *= 2

    def agrees(self, container: InputContainer, reader: MediaReader) -> bool:
        """Moves the container. True also where times are stored and need no trial."""
        if container.format.name in _STORE_TIMES or not self._marks:
            return True
        return all(self._finds(container, reader, self._marks[at]) for at in (len(self._marks) // 2, -1))

    def _finds(self, container: InputContainer, reader: MediaReader, mark: _Mark) -> bool:
        try:
            container.seek(mark.pts, stream=self._stream)
        except av.FFmpegError:
            return True  # a cut will not get farther either, and reads from the start
        for packet in itertools.islice(read_packets(container, [self._stream], reader), _PATIENCE_PACKETS):
            if packet.pos is not None and packet.pos >= mark.pos:
                return packet.pos > mark.pos or packet.pts == mark.pts
        return True
