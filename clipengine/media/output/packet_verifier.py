"""Verification of packets while the clip is encoded.

Every packet is decoded as soon as the encoder returns it, and its checksum is kept. The finished file must contain
exactly these packets, so it need not be decoded again and the clip is ready soon after its last frame. Files of codecs
whose packet framing is not known here are decoded instead. With `encoding.verify = "compare"` nothing is decoded, but
the file is still compared.
"""

from __future__ import annotations

import queue
import threading
import zlib
from array import array
from collections.abc import Iterator
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet

from clipengine.clips.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.media.input.container import codec_name
from clipengine.media.memory import raise_if_out_of_memory

# Packets of H.264 and HEVC are NAL units: separated by start codes in encoder output, prefixed with their lengths in
# files (ISO/IEC 14496-15). Audio packets are the same in both.
_NAL_CODECS = ("h264", "hevc")
_START_CODE = b"\0\0\1"
_LENGTH_BYTES = 4
_QUEUED_PACKETS = 64
# Treat all damage as an error. The loop filter can be skipped: it only filters decoded pixels and cannot fail.
STRICT = {"skip_loop_filter": "all", "err_detect": "explode"}


class Track:
    """Packets of one encoder: the checksum of each, and the number of frames decoded from them."""

    def __init__(self, encoder: CodecContext, name: str, *, decodes: bool) -> None:
        self.name = name
        self.checksums = array("L")
        self.frames = 0
        self._decoder: Any = None
        if decodes:
            self._decoder = CodecContext.create(name, "r")
            self._decoder.extradata = encoder.extradata
            self._decoder.thread_count = 1  # fast enough, and leaves the cores to the encoder
            self._decoder.options = STRICT

    def decode(self, packet: Packet[Any] | None) -> None:
        """Decode the next packet; None flushes the decoder. Raises VerificationFailed and av.FFmpegError."""
        if self._decoder is None:
            self.frames += packet is not None  # in these codecs each packet is a frame
            return
        for frame in self._decoder.decode(packet):
            if frame.is_corrupt:
                raise VerificationFailed(f"frame {self.frames} of the clip is damaged")
            self.frames += 1

    def close(self) -> None:
        """Free the decoder and its frames."""
        self._decoder = None


class PacketVerifier:
    """Context manager around encoding and verification: call `add` for each packet, then `end`, from one thread.

    With `decodes` false it only keeps checksums and counts.
    """

    def __init__(self, *, decodes: bool = True) -> None:
        self._decodes = decodes
        self._tracks: dict[int, Track] = {}
        self._queue: queue.Queue[tuple[Track, Packet[Any]] | None] = queue.Queue(_QUEUED_PACKETS)
        self._error: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._decode, name="packet-verifier", daemon=True)
        self._thread.start()

    def __enter__(self) -> PacketVerifier:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._join()

    @property
    def tracks(self) -> list[Track]:
        """Tracks in the order of the file's streams. Their frame counts are complete after `end`."""
        return [self._tracks[index] for index in sorted(self._tracks)]

    def add(self, packet: Packet[Any]) -> None:
        """Add a packet before it is muxed. Blocks while the decoder is far behind."""
        stream = packet.stream
        track = self._tracks.get(stream.index)
        if track is None:
            track = self._tracks[stream.index] = Track(stream.codec_context, codec_name(stream), decodes=self._decodes)
        data = bytes(packet)
        track.checksums.append(zlib.crc32(_joined(_split_at_start_codes(data)) if track.name in _NAL_CODECS else data))
        copy: Packet[Any] = Packet(data)
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self._queue.put((track, copy))

    def end(self) -> None:
        """Decode the remaining packets. Raises VerificationFailed if any packet does not decode."""
        if self._ended:
            return
        self._join()
        try:
            if self._error is not None:
                raise self._error
            for track in self.tracks:
                track.decode(None)
            self._ended = True
        except MemoryError:
            raise
        except av.FFmpegError as error:
            raise_if_out_of_memory()
            raise VerificationFailed(f"the encoder's packets do not decode: {error}") from error
        finally:
            for track in self.tracks:
                track.close()

    def _join(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _decode(self) -> None:
        while (entry := self._queue.get()) is not None:
            if self._error is None:
                try:
                    track, packet = entry
                    track.decode(packet)
                except Exception as error:  # raised by `end`
                    self._error = error


def is_verifiable(profile: Profile) -> bool:
    """Return True if files of this profile contain the encoders' packets in a known framing."""
    return profile.video in (*_NAL_CODECS, "none")


def checksum(name: str, packet: Packet[Any]) -> int:
    """Return the checksum of a packet in a file; it equals the track's if only the framing differs."""
    data = bytes(packet)
    return zlib.crc32(_joined(_split_by_lengths(data)) if name in _NAL_CODECS else data)


def _joined(units: Iterator[bytes]) -> bytes:
    return _START_CODE.join(
        unit.rstrip(b"\0") for unit in units
    )  # NAL units never end with a zero byte; start codes begin with one


def _split_at_start_codes(data: bytes) -> Iterator[bytes]:
    return iter(data.split(_START_CODE)[1:])


def _split_by_lengths(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + _LENGTH_BYTES <= len(data):
        start = offset + _LENGTH_BYTES
        end = start + int.from_bytes(data[offset:start], "big")
        yield data[start:end]
        offset = end
