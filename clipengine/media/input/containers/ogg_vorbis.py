"""Times of Vorbis packets in Ogg pages that also hold empty packets (RFC 3533, section 6; Vorbis I, sections 4 and A).

Some recorders write an empty packet whenever the encoder has not produced one. FFmpeg's demuxer counts each as a full
packet, so the times of the others are up to seconds early. The granule positions are the recorder's clock, which is
ahead by the samples that the encoder still holds. Such streams are therefore timed by counting their samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.containers.cached_reader import MediaReader

_HEADER_BYTES, _MAX_SEGMENTS = 27, 255
_WHOLE_SEGMENT = 255  # the packet continues in the next segment
_CONTINUED = 1  # flag: the first packet began on an earlier page
_IDENTIFICATION, _SETUP, _BLOCKS_AT = b"\x01vorbis", b"\x05vorbis", 28
_MODE_BITS, _MAX_MODES = 41, 64  # block flag 1, window type 16, transform type 16, mapping 8
_HELD_BLOCKS = 2  # an encoder holds fewer long blocks than this


class _Page(NamedTuple):
    """A page's granule position, and the sizes of the packets that begin and end on it."""

    granule: int
    sizes: list[int]

    @property
    def has_empty_packets(self) -> bool:
        return 0 in self.sizes and any(self.sizes)


class SampleCounter:
    """Counts the samples of one stream, and gives its packets times from the first page with empty packets on."""

    def __init__(self, block_lengths: Sequence[int]) -> None:
        self._lengths = block_lengths  # by mode
        self._next = 0  # position of the next sample
        self._last = 0  # length of the last block, 0 if unknown
        self._counts = False

    def counts(self, page: _Page) -> bool:
        self._counts = self._counts or page.has_empty_packets
        return self._counts

    def place(self, packets: Sequence[Packet[Any]], page: _Page) -> None:
        """Set the times and durations of the packets that begin on the page.

        The count restarts at the page's granule position if that is too far away: after a gap or a seek.
        """
        durations = [self._duration(packet) for packet in packets]
        samples = sum(durations[: sum(size > 0 for size in page.sizes)])
        if page.granule >= 0 and abs(page.granule - samples - self._next) > _HELD_BLOCKS * max(self._lengths):
            self._next = page.granule - samples
        for packet, duration in zip(packets, durations, strict=True):
            packet.pts = packet.dts = self._next
            packet.duration = duration
            self._next += duration

    def _duration(self, packet: Packet[Any]) -> int:
        """Return the number of samples that the packet completes: it overlaps half of the previous block."""
        mode = memoryview(packet)[0] >> 1 & (1 << (len(self._lengths) - 1).bit_length()) - 1
        length = self._lengths[min(mode, len(self._lengths) - 1)]
        last, self._last = self._last, length
        return (last + length) // 4 if last else 0


def sample_counters(streams: Iterable[Stream]) -> dict[int, SampleCounter]:
    """Return a counter for each Vorbis stream, by stream index."""
    found = {}
    for stream in streams:
        lengths = block_lengths((stream.codec_context.extradata if stream.codec_context else None) or b"")
        if lengths:
            found[stream.index] = SampleCounter(lengths)
    return found


def count_samples(
    packets: Iterator[Packet[Any]], counters: Mapping[int, SampleCounter], reader: MediaReader
) -> Iterator[Packet[Any]]:
    """Yield the packets, given without empty ones and in file order, with times from the counters."""
    key: tuple[int, int | None] | None = None  # stream and offset of the latest page
    counter: SampleCounter | None = None
    page: _Page | None = None
    held: list[Packet[Any]] = []  # packets of `page`
    for packet in packets:
        if key != (packet.stream_index, packet.pos):
            if counter is not None and page is not None:
                counter.place(held, page)
            yield from held
            key, held, page = (packet.stream_index, packet.pos), [], None
            counter = counters.get(packet.stream_index)
            page = _page_at(reader, packet.pos) if counter is not None else None
        if counter is not None and page is not None and counter.counts(page):
            held.append(packet)
        else:
            yield packet
    if counter is not None and page is not None:
        counter.place(held, page)
    yield from held


def have_empty_packets(packets: Iterable[Packet[Any]], reader: MediaReader) -> bool:
    """Return True if one of the packets in an Ogg file is Vorbis and on a page with empty packets."""
    offsets = {packet.pos: packet for packet in packets if sample_counters([packet.stream])}
    pages = (_page_at(reader, offset) for offset in offsets)
    return any(page is not None and page.has_empty_packets for page in pages)


def _page_at(reader: MediaReader, offset: int | None) -> _Page | None:
    """Return the page at the offset, or None if there is none. The demuxer's position in the reader is kept."""
    if offset is None or offset < 0:
        return None
    position = reader.tell()
    reader.seek(offset)
    header = reader.read(_HEADER_BYTES + _MAX_SEGMENTS)
    reader.seek(position)
    if len(header) < _HEADER_BYTES or not header.startswith(b"OggS"):
        return None
    sizes, size = [], 0
    for segment in header[_HEADER_BYTES : _HEADER_BYTES + header[_HEADER_BYTES - 1]]:
        size += segment
        if segment != _WHOLE_SEGMENT:
            sizes.append(size)
            size = 0
    granule = int.from_bytes(header[6:14], "little", signed=True)
    return _Page(granule, sizes[1:] if header[5] & _CONTINUED else sizes)


def block_lengths(extradata: bytes) -> list[int]:
    """Return the block length of each mode from Vorbis headers, or an empty list if they are not valid.

    The modes are the last part of the setup header. They are read backwards, because nothing before has a known length.
    """
    first, setup = extradata.find(_IDENTIFICATION), extradata.rfind(_SETUP)
    if first < 0 or setup < first + _BLOCKS_AT:
        return []
    short, long = (1 << (extradata[first + _BLOCKS_AT] >> shift & 15) for shift in (0, 4))
    bits = int.from_bytes(extradata[setup:], "little")
    at = bits.bit_length() - 1  # the framing bit is the last one that is set
    modes: list[int] = []
    found: list[int] = []
    while at >= _MODE_BITS + 6 and len(modes) < _MAX_MODES:
        at -= _MODE_BITS
        mode = bits >> at & (1 << _MODE_BITS) - 1
        if mode >> 1 & (1 << 32) - 1 or mode >> 33 > 63:  # window and transform type are 0; at most 64 mappings
            break
        modes.insert(0, long if mode & 1 else short)
        if (bits >> at - 6 & 63) + 1 == len(modes):
            found = list(modes)
    return found
