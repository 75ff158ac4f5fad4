"""Packets of a stream that is copied in part, and the pictures that they must show."""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import Any

from av.codec.context import CodecContext, ThreadType
from av.packet import Packet

from clipengine.errors import VerificationFailed
from clipengine.media.input.decoding.shown_picture import shown_picture

# Treat all damage as an error. The loop filter runs, as it does when the clip is played.
EXACT = {"err_detect": "explode"}


class EncoderPacket:
    """A packet as its encoder wrote it, with the encoder's extradata, before it was rewritten for the stream."""

    __slots__ = ("data", "extradata")

    def __init__(self, data: bytes, extradata: bytes) -> None:
        self.data, self.extradata = data, extradata


class SplicedTrack:
    """Checksum and time of each packet of the file's video, in ticks, and checksums of pictures by their times.

    A picture of 0 may be any: its frame must only come out of the decoder.
    """

    pixels = 0  # few frames are decoded, so missing memory is not likely the cause of an error

    def __init__(self, encoder: CodecContext, name: str, tick: Fraction) -> None:
        self.name, self.tick = name, tick
        self.checksums = array("L")
        self.times = array("q")
        self.is_copied = bytearray()  # by number of the packet
        self.pictures: dict[int, int] = {}
        self._size: tuple[int, int] = encoder.width, encoder.height  # type: ignore[attr-defined]
        self._decoder: Any = None

    @property
    def frames(self) -> int:
        return len(self.checksums)

    def add(self, checksum: int, time: int, *, copied: bool) -> None:
        self.checksums.append(checksum)
        self.times.append(time)
        self.is_copied.append(copied)

    def expect(self, time: int, picture: int) -> None:
        """Expect a picture at this time, unless one is expected already."""
        self.pictures.setdefault(time, picture)

    def decode_original(self, packet: Packet[Any], extradata: bytes) -> None:
        """Expect the picture of an encoder's packet. Raises VerificationFailed and av.FFmpegError."""
        if packet.is_keyframe:
            self._end_segment()
            self._decoder = self._open(extradata)
        self._expect(self._decoder.decode(packet))

    def decode(self, packet: None) -> None:
        """Flush the decoder of the encoder's packets."""
        self._end_segment()

    def _open(self, extradata: bytes) -> Any:
        decoder: Any = CodecContext.create(self.name, "r")
        decoder.extradata = extradata
        decoder.thread_count, decoder.thread_type = 1, ThreadType.SLICE
        decoder.options = EXACT
        return decoder

    def _end_segment(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            self._expect(decoder.decode(None))

    def _expect(self, frames: list[Any]) -> None:
        for frame in frames:
            if frame.is_corrupt:
                raise VerificationFailed("an encoded frame is damaged")
            self.expect(frame.pts, shown_picture(frame, *self._size))

    def close(self) -> None:
        """Free the decoder."""
        self._decoder = None
