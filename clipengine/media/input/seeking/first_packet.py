"""Decoder state that only the first packet of a stream carries and that is missing after a seek."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from av.packet import Packet, PacketSideData
from av.video.stream import VideoStream

from clipengine.media.input.containers.avi import palette_changes
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import (
    DECODER_OPTIONS,
    keep_only,
    open_recording,
    read_packets,
    video_stream,
)

_X264_BUILD = re.compile(rb"x264 - core (\d{1,5})\b")
_SEARCHED_BYTES = 8 * 1024  # x264 writes its SEI before the first slice
_444_FORMATS = ("yuv444", "yuvj444", "gbr")


@dataclass(frozen=True)
class DecoderState:
    """Option and palette of a video decoder, as the first packet of its stream defines them."""

    x264_build: int | None = None
    palette: PacketSideData | None = None
    palette_changes: bool = False  # it is right only if everything is read from the recording's start

    def configure(self, stream: VideoStream) -> None:
        """Set the options of the stream's decoder, which must not be open yet."""
        if self.x264_build is not None:
            stream.codec_context.options = {**DECODER_OPTIONS, "x264_build": str(self.x264_build)}

    def complete(self, packet: Packet[Any]) -> None:
        """Add the palette to the packet that is decoded first."""
        if self.palette is not None and not packet.has_sidedata("palette"):
            self.palette.to_packet(packet)


def needs_first_packet(stream: VideoStream) -> bool:
    """Return True if decoding after a seek needs data from the stream's first packet.

    x264 coded 4:4:4 differently before build 151 and writes its build once. AVI and MOV store a palette once.
    """
    context = stream.codec_context
    pixel_format = context.pix_fmt or ""
    return pixel_format == "pal8" or (context.name == "h264" and pixel_format.startswith(_444_FORMATS))


def read_decoder_state(reader: MediaReader) -> DecoderState:
    """Read the first packet of the video. No other container may be open on the reader."""
    with open_recording(reader) as container:
        stream = video_stream(container)
        if stream is None:
            return DecoderState()
        keep_only(container, [stream])
        packet = next(read_packets(container, [stream], reader), None)
        if packet is None:
            return DecoderState()
        if packet.has_sidedata("palette"):
            return DecoderState(palette=packet.get_sidedata("palette"), palette_changes=palette_changes(reader))
        return DecoderState(_x264_build(stream.codec_context.extradata, packet))


def _x264_build(extradata: bytes | None, packet: Packet[Any]) -> int | None:
    """Return the build number in x264's SEI, or None for other encoders."""
    for data in (extradata or b"", memoryview(packet)):
        found = _X264_BUILD.search(data[:_SEARCHED_BYTES])
        if found:
            return int(found[1])
    return None
