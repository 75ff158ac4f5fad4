"""Verification of packets while the clip is encoded.

Every packet is decoded as soon as the encoder returns it, and its checksum is kept. The finished file must contain
exactly these packets, so it need not be decoded again and the clip is ready soon after its last frame. Files of codecs
whose packet framing is not known here are decoded instead. With `encoding.verify = "compare"` nothing is decoded, but
the file is still compared.

Copied packets of a smart render are held to the checksums of the recording's own. Of such a clip, encoded frames, the
first copied packets after them and all audio are decoded even with `"compare"`. Encoded frames are decoded after their
segment, so that the decoder does not take memory beside the segment's encoder.
"""

from __future__ import annotations

import queue
import threading
import zlib
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.codec.context import CodecContext, ThreadType
from av.packet import Packet

from clipengine.clips.options.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.media.input.container import codec_name
from clipengine.media.input.timeline import as_fraction
from clipengine.media.memory import raise_if_out_of_memory

# Packets of H.264 and HEVC are NAL units: separated by start codes in encoder output, prefixed with their lengths in
# files (ISO/IEC 14496-15). Packets of VP8, VP9 and audio are the same in both.
_NAL_CODECS = ("h264", "hevc")
_VPX_CODECS = ("vp8", "vp9")
_START_CODE = b"\0\0\1"
_LENGTH_BYTES = 4
_BURST_PACKETS = 32  # decoded one after the other, so that the decoder and the encoder share the caches for longer
_QUEUED_BURSTS = 2
_HELD_BYTES = 16 << 20  # of packets that are decoded after their segment
# Treat all damage as an error. The loop filter can be skipped: it only filters decoded pixels and cannot fail.
STRICT = {"skip_loop_filter": "all", "err_detect": "explode"}


class Track:
    """Packets of one encoder: the checksum of each, and the number of frames decoded from them.

    `times` are the pts of the packets of a spliced track, which must be those of the file.
    """

    def __init__(self, encoder: CodecContext, name: str, *, decodes: bool, threads: int) -> None:
        self.name = name
        self._threads = threads
        self.checksums = array("L")
        self.times: list[Fraction] = []
        self.frames = 0
        self._held: list[Packet[Any]] = []
        self._held_bytes = 0
        self._decodes = self.is_queued = decodes  # queued from the first packet on that is decoded
        self._extradata = encoder.extradata  # keep no encoder: it holds dozens of frames
        self._decoder: Any = self._open() if decodes else None
        self._decoding = decodes

    def _open(self) -> Any:
        decoder: Any = CodecContext.create(self.name, "r")
        decoder.extradata = self._extradata
        decoder.thread_count, decoder.thread_type = self._threads, ThreadType.FRAME
        decoder.options = STRICT
        return decoder

    @property
    def pixels(self) -> int:
        """The size of the frames that are decoded, 0 for audio."""
        return getattr(self._decoder, "width", 0) * getattr(self._decoder, "height", 0)

    def hold(self, packet: Packet[Any]) -> None:
        """Decode the next packet later: before one that is not held, or when many are. It is needed."""
        self._held.append(packet)
        self._held_bytes += packet.size
        if self._held_bytes > _HELD_BYTES:
            self._release()

    def decode(self, packet: Packet[Any] | None, *, needed: bool = False) -> None:
        """Decode the next packet; None flushes the decoder. Raises VerificationFailed and av.FFmpegError.

        If the track is only compared, packets that are not `needed` are counted: in these codecs each is a frame.
        """
        self._release()
        self._decode(packet, needed=needed)

    def _release(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        for packet in held:
            self._decode(packet, needed=True)

    def _decode(self, packet: Packet[Any] | None, *, needed: bool) -> None:
        if packet is not None and not (self._decodes or needed):
            self._flush()
            self.frames += 1
            return
        if packet is None:
            self._flush()
            return
        if self._decoder is None:
            self._decoder = self._open()
        self._decoding = True
        self._count(self._decoder.decode(packet))

    def _flush(self) -> None:
        if self._decoding:
            self._count(self._decoder.decode(None))
            self._decoder.flush_buffers()
            self._decoding = False

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
    """A packet to decode: `needed` as in `Track.decode`, or `held` (see `Track.hold`)."""

    track: Track
    packet: Packet[Any]
    needed: bool
    held: bool


class PacketVerifier:
    """Context manager around encoding and verification: call `add` for each packet, then `end`, from one thread.

    With `decodes` false it only keeps checksums and counts. One thread decodes as fast as eight cores encode, and
    leaves the cores to the encoder.
    """

    def __init__(self, *, decodes: bool = True, threads: int = 1) -> None:
        self._decodes = decodes
        self._threads = threads
        self._tracks: dict[int, Track] = {}
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
    def tracks(self) -> list[Track]:
        """Tracks in the order of the file's streams. Their frame counts are complete after `end`."""
        return [self._tracks[index] for index in sorted(self._tracks)]

    def add(self, packet: Packet[Any], *, needed: bool = False) -> None:
        """Add a packet before it is muxed. Blocks while the decoder is far behind.

        A `needed` packet is decoded even if the verifier only compares.
        """
        track, data = self._track(packet), bytes(packet)
        track.checksums.append(zlib.crc32(_joined(_split_at_start_codes(data)) if track.name in _NAL_CODECS else data))
        self._put(track, packet, data, needed)

    def add_spliced(self, packet: Packet[Any], *, checksum: int | None, needed: bool) -> None:
        """Add a packet of a stream of copied and encoded packets; `checksum` is that of the recording's, if copied."""
        track, data = self._track(packet), bytes(packet)
        track.checksums.append(_checksum(track.name, data) if checksum is None else checksum)
        track.times.append((packet.pts or 0) * as_fraction(packet.time_base))
        self._put(track, packet, data, needed, held=checksum is None)

    def _track(self, packet: Packet[Any]) -> Track:
        stream = packet.stream
        track = self._tracks.get(stream.index)
        if track is None:
            track = self._tracks[stream.index] = Track(
                stream.codec_context, codec_name(stream), decodes=self._decodes, threads=self._threads
            )
        return track

    def _put(self, track: Track, packet: Packet[Any], data: bytes, needed: bool, *, held: bool = False) -> None:
        track.is_queued |= needed or held
        if not track.is_queued:
            track.frames += 1
            return
        copy: Packet[Any] = Packet(data)
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self._burst.append(_Entry(track, copy, needed, held))
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
            for track, packet, needed, held in burst if self._error is None else ():
                try:
                    if held:
                        track.hold(packet)
                    else:
                        track.decode(packet, needed=needed)
                except Exception as error:  # raised by `end`
                    self._error = _cause(error, track)
                    break


def _cause(error: Exception, track: Track) -> Exception:
    """Return a MemoryError if missing memory has caused the error. Call it at once: memory is freed soon."""
    try:
        if isinstance(error, av.FFmpegError):
            raise_if_out_of_memory(track.pixels)
    except MemoryError as found:
        return found
    return error


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
