"""Animated WebP as a stream of packets, each of which is decoded as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.codec.context import CodecContext
from av.packet import Packet

from clipengine.media.bitstream.webp_file import read_animation
from clipengine.media.input.containers.cached_reader import MediaReader


class WebpStream:
    """Video stream with the attributes of PyAV's. Raises BitstreamError, also while its packets are iterated."""

    index = 0
    type = "video"
    time_base = Fraction(1, 1000)

    def __init__(self, reader: MediaReader) -> None:
        reader.seek(0)
        self._animation = read_animation(reader, reader.size)
        self.width, self.height = self._animation.width, self._animation.height
        self.codec_context: Any = CodecContext.create("webp", "r")
        self.bytes = 0  # of the frames in the file
        self.duration = 0

    def packets(self) -> Iterator[Packet[Any]]:
        for frame in self._animation.frames:
            packet: Packet[Any] = Packet(frame.picture)
            packet.pts = packet.dts = frame.start_ms
            packet.duration, packet.time_base = frame.duration_ms, self.time_base
            packet.is_keyframe = True
            self.bytes += frame.size
            self.duration = frame.start_ms + frame.duration_ms
            yield packet
