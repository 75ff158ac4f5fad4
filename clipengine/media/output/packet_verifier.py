"""The proof of a clip, made beside its encoding: what the encoders give out is decoded at once, to its end.

The finished file then has to hold just those packets, in order and to the byte. Who shows that has decoded the file
without decoding anything twice, and a clip is ready soon after its last frame. Where a muxer writes a codec's packets
in another form than this module knows, there is no proof, and the file is decoded.

An operator may leave the decoding out (`encoding.verify = "compare"`); what the file holds is checked all the same.
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

# Of H.264 and HEVC a packet is a run of NAL units: parted by start codes as encoders write them, each behind its length
# in files (ISO/IEC 14496-15). All known encoders of sound write what is in the file.
_NAL_CODECS = ("h264", "hevc")
_START_CODE = b"\0\0\1"
_LENGTH_BYTES = 4
_WAITING_PACKETS = 64
# As in any check of a clip: every bit is decoded, nothing damaged is passed over. The loop filter only smooths what has
# been decoded; it reads no bit of the clip and cannot fail.
STRICT = {"skip_loop_filter": "all", "err_detect": "explode"}


class Track:
    """What one encoder gave out: a checksum of each packet, and how many frames they decoded to."""

    def __init__(self, encoder: CodecContext, name: str, *, decodes: bool) -> None:
        self.name = name
        self.checksums = array("L")
        self.frames = 0
        self._decoder: Any = None
        if decodes:
            self._decoder = CodecContext.create(name, "r")
            self._decoder.extradata = encoder.extradata
            self._decoder.thread_count = 1  # it keeps pace with the encoder, whose threads have the cores
            self._decoder.options = STRICT

    def decode(self, packet: Packet[Any] | None) -> None:
        """The next packet, None after the last one. Raises VerificationFailed and av.FFmpegError."""
        if self._decoder is None:
            self.frames += packet is not None  # in these codecs each packet is a frame
            return
        for frame in self._decoder.decode(packet):
            if frame.is_corrupt:
                raise VerificationFailed(f"frame {self.frames} of the clip is damaged")
            self.frames += 1

    def close(self) -> None:
        """Let go of the decoder's pictures."""
        self._decoder = None


class PacketVerifier:
    """Use as a context manager around encoding and verifying, in one thread: `add` for each packet, then `end`.

    Where it does not decode, it keeps the checksums and counts, and has proven nothing else.
    """

    def __init__(self, *, decodes: bool = True) -> None:
        self._decodes = decodes
        self._tracks: dict[int, Track] = {}
        self._waiting: queue.Queue[tuple[Track, Packet[Any]] | None] = queue.Queue(_WAITING_PACKETS)
        self._error: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._decode, name="proof", daemon=True)
        self._thread.start()

    def __enter__(self) -> PacketVerifier:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._join()

    @property
    def tracks(self) -> list[Track]:
        """In the order of the file's streams. The checksums are those of what was added; frames count after `end`."""
        return [self._tracks[index] for index in sorted(self._tracks)]

    def add(self, packet: Packet[Any]) -> None:
        """A packet of an encoder, before the muxer takes it. Waits where the decoder is far behind."""
        stream = packet.stream
        track = self._tracks.get(stream.index)
        if track is None:
            track = self._tracks[stream.index] = Track(stream.codec_context, codec_name(stream), decodes=self._decodes)
        data = bytes(packet)
        track.checksums.append(zlib.crc32(_joined(_between_start_codes(data)) if track.name in _NAL_CODECS else data))
        copy: Packet[Any] = Packet(data)
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self._waiting.put((track, copy))

    def end(self) -> None:
        """Everything was added: decode the rest. Raises VerificationFailed where something does not decode."""
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
            raise VerificationFailed(f"what the encoder made does not decode: {error}") from error
        finally:
            for track in self.tracks:
                track.close()

    def _join(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _decode(self) -> None:
        while (entry := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    track, packet = entry
                    track.decode(packet)
                except Exception as error:  # raised where the encoding ends
                    self._error = error


def is_verifiable(profile: Profile) -> bool:
    """Whether files of this profile hold the encoders' packets in a form that is known here."""
    return profile.video in (*_NAL_CODECS, "none")


def checksum(name: str, packet: Packet[Any]) -> int:
    """Of a packet in a file, equal to the track's where nothing but its framing has changed."""
    data = bytes(packet)
    return zlib.crc32(_joined(_behind_lengths(data)) if name in _NAL_CODECS else data)


def _joined(units: Iterator[bytes]) -> bytes:
    return _START_CODE.join(unit.rstrip(b"\0") for unit in units)  # no unit ends with a zero byte; start codes begin so


def _between_start_codes(data: bytes) -> Iterator[bytes]:
    return iter(data.split(_START_CODE)[1:])


def _behind_lengths(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _LENGTH_BYTES <= len(data):
        end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        yield data[at + _LENGTH_BYTES : end]
        at = end
