"""Verification of packets while the clip is encoded.

Every packet is decoded as soon as the encoder returns it, and its checksum is kept. The finished file must contain
exactly these packets, so it need not be decoded again and the clip is ready soon after its last frame. Files of codecs
whose packet framing is not known here are decoded instead.

For the copied packets of a smart render, the checksums are computed from the packets that were read from the recording
(see `CopiedPacket`). Here only the first packets of each encoder are decoded, as the encoder wrote them: the clip must
show these pictures.
"""

from __future__ import annotations

import queue
import threading
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import av
from av.codec.context import CodecContext, ThreadType
from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.options.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.media.input.containers.container import codec_name
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.media.output.spliced_track import EncoderPacket, SplicedTrack

# Packets of H.264 and HEVC are NAL units: separated by start codes in encoder output, prefixed with their lengths in
# files (ISO/IEC 14496-15). Packets of VP8, VP9 and audio are the same in both.
_NAL_CODECS = ("h264", "hevc")
_VPX_CODECS = ("vp8", "vp9")
_START_CODE = b"\0\0\1"
_LENGTH_BYTES = 4
_BURST_PACKETS = 32  # decoded together: decoder and encoder then evict each other's data from the caches less often
_QUEUED_BURSTS = 2
# Treat all damage as an error. The loop filter can be skipped: it only filters decoded pixels and cannot fail.
STRICT = {"skip_loop_filter": "all", "err_detect": "explode"}


class Track:
    """Packets of one encoder: the checksum of each, and the number of frames decoded from them."""

    def __init__(self, encoder: CodecContext, name: str, *, threads: int) -> None:
        self.name = name
        self.checksums = array("L")
        self.frames = 0
        decoder: Any = CodecContext.create(name, "r")
        decoder.extradata = encoder.extradata  # keep no encoder: it holds dozens of frames
        decoder.thread_count, decoder.thread_type = threads, ThreadType.FRAME
        decoder.options = STRICT
        self._decoder: Any = decoder

    @property
    def pixels(self) -> int:
        """The size of the frames that are decoded, 0 for audio."""
        return getattr(self._decoder, "width", 0) * getattr(self._decoder, "height", 0)

    def decode(self, packet: Packet[Any] | None) -> None:
        """Decode the next packet; None flushes the decoder. Raises VerificationFailed and av.FFmpegError."""
        self._count(self._decoder.decode(packet))

    def _count(self, frames: list[Any]) -> None:
        for frame in frames:
            if frame.is_corrupt:
                raise VerificationFailed(f"frame {self.frames} of the clip is damaged")
            self.frames += 1

    def close(self) -> None:
        """Free the decoder and its frames."""
        if self._decoder is not None:
            # Waits for its threads without the GIL, which they need to free packets: `del` would hold it and wait.
            self._decoder.flush_buffers()
        self._decoder = None


class _Entry(NamedTuple):
    """A packet to decode, of an encoder with this `extradata` if it belongs to a spliced track."""

    track: Track | SplicedTrack
    packet: Packet[Any]
    extradata: bytes = b""

    def decode(self) -> None:
        if isinstance(self.track, SplicedTrack):
            self.track.decode_original(self.packet, self.extradata)
        else:
            self.track.decode(self.packet)


class PacketVerifier:
    """Context manager around encoding and verification: call `add` for each packet, then `end`, from one thread.

    One thread decodes as fast as eight cores encode, and leaves the cores to the encoder.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._tracks: dict[int, Track | SplicedTrack] = {}
        self._burst: list[_Entry] = []
        self._queue: queue.Queue[list[_Entry] | None] = queue.Queue(_QUEUED_BURSTS)
        self._error: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._decode, name="packet-verifier", daemon=True)
        self._thread.start()

    def __enter__(self) -> PacketVerifier:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._join()
        self._close()

    @property
    def tracks(self) -> list[Track | SplicedTrack]:
        """Tracks in the order of the file's streams. Their frame counts are complete after `end`."""
        return [self._tracks[index] for index in sorted(self._tracks)]

    def add(self, packet: Packet[Any]) -> None:
        """Add a packet before it is muxed. Blocks while the decoder is far behind."""
        stream, data = packet.stream, bytes(packet)
        track = self._tracks.get(stream.index)
        if track is None:
            track = Track(stream.codec_context, codec_name(stream), threads=self._threads)
            self._tracks[stream.index] = track
        track.checksums.append(zlib.crc32(_joined(_split_at_start_codes(data)) if track.name in _NAL_CODECS else data))
        self._put(_Entry(track, _copied(packet, data)))

    def add_spliced(self, packet: Packet[Any], *, checksum: int | None, original: EncoderPacket | None) -> None:
        """Add a packet of a stream of copied and encoded packets, whose time is in ticks of the stream.

        `checksum` is the checksum that a copied packet must have, None if the packet was encoded.
        """
        track, copied = self._spliced(packet.stream), checksum is not None
        track.add(
            _checksum(track.name, bytes(packet)) if checksum is None else checksum, packet.pts or 0, copied=copied
        )
        if original is not None:
            self._put(_Entry(track, _copied(packet, original.data), original.extradata))

    def expect(self, stream: VideoStream, time: int, picture: int) -> None:
        """Expect the picture of a copied packet at this time, in ticks of the stream."""
        self._spliced(stream).expect(time, picture)

    def _spliced(self, stream: Any) -> SplicedTrack:
        track = self._tracks.get(stream.index)
        if track is None:
            track = SplicedTrack(stream.codec_context, codec_name(stream), as_fraction(stream.time_base))
            self._tracks[stream.index] = track
        assert isinstance(track, SplicedTrack)
        return track

    def _put(self, entry: _Entry) -> None:
        self._burst.append(entry)
        if len(self._burst) == _BURST_PACKETS:
            self._put_burst()

    def _put_burst(self) -> None:
        burst, self._burst = self._burst, []
        self._queue.put(burst)

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
            self._close()

    def _close(self) -> None:
        for track in self.tracks:
            track.close()

    def _join(self) -> None:
        if self._thread.is_alive():
            self._put_burst()
            self._queue.put(None)
            self._thread.join()

    def _decode(self) -> None:
        while (burst := self._queue.get()) is not None:
            for entry in burst if self._error is None else ():
                try:
                    entry.decode()
                except Exception as error:  # raised by `end`
                    self._error = _cause(error, entry.track)
                    break


def _cause(error: Exception, track: Track | SplicedTrack) -> Exception:
    """Return a MemoryError if missing memory has caused the error. Call it at once: memory is freed soon."""
    try:
        if isinstance(error, av.FFmpegError):
            raise_if_out_of_memory(track.pixels)
    except MemoryError as found:
        return found
    return error


def _copied(packet: Packet[Any], data: bytes) -> Packet[Any]:
    """Return a packet with other data and the times of the given one."""
    copy: Packet[Any] = Packet(data)
    copy.pts, copy.dts, copy.time_base, copy.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
    return copy


def is_verifiable(profile: Profile) -> bool:
    """Return True if files of this profile contain the encoders' packets in a known framing."""
    return profile.video in (*_NAL_CODECS, *_VPX_CODECS, "none")


def checksum(name: str, packet: Packet[Any]) -> int:
    """Return the checksum of a packet in a file; it equals the track's if only the framing differs."""
    return _checksum(name, bytes(packet))


def _checksum(name: str, data: bytes) -> int:
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
