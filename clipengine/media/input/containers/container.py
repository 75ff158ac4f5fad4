"""Opening of recordings with allow-lists of formats and codecs. All demuxers and decoders are created here.

Formats that refer to other files or addresses (playlists, SDP, concat scripts, image patterns) and all protocols are
disabled, and nested opens are rejected, so a recording can only access its own bytes.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from clipengine.errors import ClipEngineError, RecordingTruncated, RecordingUnreadable, UnsupportedMedia
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.flac_rates import FlacTimes
from clipengine.media.input.containers.header_splice import HeaderSplice
from clipengine.media.input.containers.mp4_boxes import has_index, is_truncated
from clipengine.media.input.containers.ogg_vorbis import count_samples, sample_counters
from clipengine.media.input.containers.prefetch import expect_index
from clipengine.media.input.containers.side_data_kinds import accept_unknown_kinds
from clipengine.media.input.containers.signatures import HEAD_BYTES, known_format
from clipengine.media.input.containers.stream_descriptions import describe
from clipengine.media.input.containers.webp_animation import WebpStream
from clipengine.media.input.timing.display_order import stores_decoding_times
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.sandbox.limits import is_out_of_memory

if TYPE_CHECKING:  # it imports pydantic, which would slow down the start of the inspector
    from clipengine.recordings.facts import VideoFacts

# fmt: off
FORMATS = (
    "mov", "mp4", "matroska", "webm", "mpegts", "mpeg", "mpegvideo", "avi", "flv", "asf", "mxf", "gxf", "ivf",
    "ogg", "mp3", "aac", "flac", "wav", "w64", "aiff", "caf", "amr", "ac3", "eac3",
    "gif", "apng", "h264", "hevc",
)
VIDEO_CODECS = frozenset((
    "h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4v3", "h263",
    "h263p", "flv1", "mjpeg", "prores", "dnxhd", "theora", "dvvideo", "wmv1", "wmv2", "wmv3", "vc1", "rawvideo",
    "png", "qtrle", "cinepak", "svq3", "ffv1", "huffyuv", "gif", "apng", "jpeg2000",
    "vp6", "vp6a", "vp6f",
))
AUDIO_CODECS = frozenset((
    "aac", "aac_latm", "mp3", "mp2", "mp1", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "dts", "truehd",
    "amr_nb", "amr_wb", "wmav1", "wmav2", "wmapro", "speex", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "gsm",
    "gsm_ms", "nellymoser",
))
# Decoders with names that differ from their codec's.
_OTHER_NAMES = {"amrnb", "amrwb", "dca", "flv", "libdav1d", "mp1float", "mp2float", "mp3float", "msmpeg4"}
# fmt: on
MAX_PIXELS = 8192 * 4352
MAX_STREAMS = 64
_DECODERS = sorted(
    VIDEO_CODECS | AUDIO_CODECS | _OTHER_NAMES | {name for name in av.codecs_available if name.startswith("pcm_")}
)
# Set on the container for its stream analysis, and again on each decoder.
DECODER_OPTIONS = {"codec_whitelist": ",".join(_DECODERS), "max_pixels": str(MAX_PIXELS)}
# Formats without timestamps: packets follow each other at the rate that the stream states, or at 25 a second.
UNTIMED = ("h264", "hevc")
_NOMINAL_SECONDS = Fraction(1, 25)
_PYAV_FILES = ("av/", "av\\")  # names of compiled files in tracebacks
_MAX_CONSECUTIVE_ERRORS = 100
_FLV = b"FLV\1"
_PROBE_BYTES = 16 * 1024 * 1024
_BUFFER_BYTES = 16 * 1024  # small, because the MediaReader reads ahead
# PyAV 18 rejects files with tags that are not UTF-8 unless this is set; 19 has no such option.
_LENIENT_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


accept_unknown_kinds()


def refuse_open(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError("a recording cannot open other files")


@contextmanager
def open_recording(reader: MediaReader, splice: HeaderSplice | None = None) -> Iterator[InputContainer]:
    """Open the recording for demuxing. Raises RecordingUnreadable, RecordingTruncated or the reader's error.

    With a splice, the bytes between the header and the splice's offset are not read, and no index is.
    """
    with media_errors(reader):
        reader.mask(0, 0, b"")
        reader.shared_until = reader.size
        if splice is None:
            expect_index(reader)
        else:
            reader.shared_until = splice.head_end
            reader.mask(splice.head_end, splice.offset, splice.filler)
        reader.seek(0)
        try:
            container = av.open(
                reader,
                "r",
                buffer_size=_BUFFER_BYTES,
                **_LENIENT_METADATA,
                io_open=refuse_open,
                container_options={
                    "format_whitelist": ",".join(FORMATS),
                    "protocol_whitelist": "none",
                    "probesize": str(_PROBE_BYTES),
                    "analyzeduration": "10000000",
                    "max_streams": "1000",
                    **DECODER_OPTIONS,
                    "skip_estimate_duration_from_pts": "1",
                    **({} if splice is None else {"fflags": "+ignidx"}),
                },
            )
        except (av.InvalidDataError, av.ArgumentError, av.EOFError) as error:  # ArgumentError: format not on the list
            if reader.error is not None:
                raise reader.error from None
            raise _unreadable(reader) from error
        finally:
            reader.shared_until = 0
        with container:
            for stream in container.streams:
                if stream.codec_context is not None:
                    stream.codec_context.options = dict(DECODER_OPTIONS)
            yield container


def _unreadable(reader: MediaReader) -> ClipEngineError:
    """Return the error for a container that cannot be opened: empty, unsupported, truncated, damaged or not media."""
    reader.seek(0)
    head = reader.read(HEAD_BYTES)
    if not head:
        return RecordingUnreadable("the recording is empty")
    format = known_format(head)
    if format is not None:
        return UnsupportedMedia(f"the recording is {format}")
    if is_truncated(reader):
        return RecordingTruncated("the recording has no index: it was truncated before it was finished")
    if has_index(reader):
        return RecordingUnreadable("the recording is an MP4 or MOV file, and the index in it is damaged")
    if head.startswith(_FLV):
        return RecordingUnreadable("the recording is an FLV file whose tags have wrong sizes")
    return RecordingUnreadable("the recording is not in a media format that can be read")


def seek(container: InputContainer, target: int, **how: Any) -> bool:
    """Seek in the container, with the options of `InputContainer.seek`. Return False if it cannot, as if damaged."""
    try:
        container.seek(target, **how)
    except MemoryError:
        raise
    except av.FFmpegError:
        return False
    return True


@contextmanager
def media_errors(reader: MediaReader) -> Iterator[None]:
    """Convert errors of FFmpeg and PyAV to ours. An error of the reader takes precedence over the demuxer's."""
    try:
        yield
    except ClipEngineError:
        raise
    except (av.FFmpegError, MemoryError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise UnsupportedMedia.out_of_memory() from None
        if isinstance(reader.error, ClipEngineError):
            raise reader.error from None
        if not isinstance(error, av.FFmpegError) and (reader.error is not None or not _is_of_pyav(error)):
            raise
        said = (error.strerror if isinstance(error, av.FFmpegError) else None) or str(error)
        raise RecordingUnreadable(f"the recording cannot be read: {said[:300]}") from error


def _is_of_pyav(error: BaseException) -> bool:
    """Return True if PyAV raised the error, False if it is a fault of this program or of Python's library."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_code.co_filename.startswith(_PYAV_FILES)


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is not cover art. Raises UnsupportedMedia if its codec is not allowed."""
    for stream in container.streams.video[:MAX_STREAMS]:
        if stream.disposition & Disposition.attached_pic or stream.disposition & Disposition.timed_thumbnails:
            continue
        if stream.codec_context is None or codec_name(stream) not in VIDEO_CODECS:
            raise UnsupportedMedia(f"video codec {_described_codec(container, stream)} is not supported")
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise UnsupportedMedia(f"frames of {size} exceed the maximum of {MAX_PIXELS} pixels")
        return stream
    return None


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """Return all audio streams that can be decoded, in the container's order."""
    found = []
    for stream in container.streams.audio[:MAX_STREAMS]:
        name = codec_name(stream)
        context = stream.codec_context
        if context is None or not context.sample_rate or not context.layout.nb_channels:
            continue
        if is_audio_codec(name):
            found.append(stream)
    return found


def _described_codec(container: InputContainer, stream: VideoStream) -> str:
    """Return the name of the codec, or its tag if FFmpeg does not know it."""
    described = {each.number: each.codec for each in describe(container)}
    return described.get(stream.index, codec_name(stream))


def is_audio_codec(name: str) -> bool:
    """Return True if audio in this codec may be decoded."""
    return name in AUDIO_CODECS or name.startswith("pcm_")


def codec_name(stream: Stream | WebpStream) -> str:
    """Return the name of FFmpeg's codec descriptor (`av1`, not `libdav1d`)."""
    context: CodecContext | None = stream.codec_context
    if context is None:  # FFmpeg has no decoder for it
        return "unknown"
    try:
        codec = context.codec
    except ValueError:  # PyAV 19 forgets the codec if its decoder could not be opened; `name` would crash
        return "unknown"
    return str(getattr(codec, "canonical_name", codec.name))


def keep_only(container: InputContainer, streams: Sequence[Stream]) -> None:
    """Tell the demuxer to skip the packets of all other streams."""
    kept = {stream.index for stream in streams}
    for stream in container.streams:
        if stream.index not in kept:
            stream.discard = Discard.all


def read_packets(container: InputContainer, streams: Sequence[Stream], reader: MediaReader) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams from the current position to the end.

    Damaged data is skipped; an error of the reader is raised. If a stream stores only dts, the packets' pts is set to
    dts, because FFmpeg's estimate is wrong. In a format without timestamps each packet
    gets the next one, counted from the container's position, which must be its start.
    """
    fix = _MissingTimestamps(container, streams)
    packets = (fix.apply(packet) for packet in _demux(container, streams, reader))
    counters = sample_counters(streams) if container.format.name == "ogg" else None
    return count_samples(packets, counters, reader) if counters else packets


def _demux(container: InputContainer, streams: Sequence[Stream], reader: MediaReader) -> Iterator[Packet[Any]]:
    failures = 0
    while failures < _MAX_CONSECUTIVE_ERRORS:
        try:
            for packet in container.demux(streams):
                if packet.size:
                    failures = 0
                    reader.packet_found()
                    yield packet
            return
        except IndexError:
            continue  # a stream that appeared later: PyAV updates its list of streams
        except MemoryError:
            raise
        except av.FFmpegError:
            if reader.error is not None:
                raise reader.error from None
            failures += 1


def has_decoding_times(container: InputContainer, stream: VideoStream, facts: VideoFacts | None = None) -> bool:
    """Return True if the packets of the stream have no presentation times, so frames get theirs by display order.

    `facts` are the facts of the stream from the probe, None if it has not been probed.
    """
    if facts is not None and facts.decoding_times:
        return True
    header = stream.codec_context.extradata or b""
    return stores_decoding_times(container.format.name.split(",")[0], codec_name(stream), header)


# Ogg streams may end before their last packet begins: FFmpeg wraps its negative duration to 32 bits.
_WRAPPED = 1 << 31


class _MissingTimestamps:
    """Sets the timestamps that the container does not store."""

    def __init__(self, container: InputContainer, streams: Sequence[Stream]) -> None:
        videos = [stream for stream in streams if isinstance(stream, VideoStream)]
        computes = not container.format.name.startswith("mov")  # FFmpeg computes the pts that are missing
        self._dts_only = {stream.index for stream in videos if computes and has_decoding_times(container, stream)}
        self._untimed = container.format.name in UNTIMED
        self._wraps = container.format.name == "ogg"
        self._flac = FlacTimes() if container.format.name == "flac" else None
        self._next = 0  # timestamp of the next packet in a format without timestamps

    def apply(self, packet: Packet[Any]) -> Packet[Any]:
        if self._untimed:
            packet.dts = packet.pts = self._next
            self._next += packet.duration or round(_NOMINAL_SECONDS / as_fraction(packet.time_base))
        if self._wraps and packet.duration is not None and packet.duration >= _WRAPPED:
            packet.duration = 0
        if self._flac is not None:
            self._flac.apply(packet)
        if packet.stream_index in self._dts_only and packet.dts is not None:
            packet.pts = packet.dts
        return packet


def is_presented(packet: Packet[Any]) -> bool:
    """Return False for a packet of video that is decoded but never shown: the pre-roll of an edit list.

    FFmpeg marks it, but not all of it if no keyframe precedes the edit. In MP4 presentation begins at 0.
    """
    if packet.is_discard:
        return False
    stream, stamp = packet.stream, packet.pts
    if stamp is None or stamp >= 0 or stream.type != "video":
        return True
    return stream.start_time is None or stream.start_time < 0 or not stream.container.format.name.startswith("mov")


def packet_time(packet: Packet[Any]) -> Fraction | None:
    """Return the pts of the packet in seconds of container time, or its dts if it has no pts."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None else stamp * as_fraction(packet.time_base)
