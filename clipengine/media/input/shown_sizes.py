"""Durations of the picture sizes in a range, from the headers of packets. Nothing is decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.facts import SourceFacts
from clipengine.clips.picture_size import PictureSize, chosen_size
from clipengine.clips.plan import CutRange
from clipengine.clips.seek_index import SeekIndex
from clipengine.media.bitstream.picture_sizes import PictureSizes, Size
from clipengine.media.input.codec_headers import new_header
from clipengine.media.input.container import codec_name, media_errors
from clipengine.media.input.packet_timestamps import TimedPacket
from clipengine.media.input.seekers import AnySeeker, open_seeker
from clipengine.media.input.source import MediaReader


class StreamSizes:
    """Follows the size of the pictures of a video stream from packet to packet."""

    def __init__(self, stream: VideoStream) -> None:
        self._ratios: dict[Size, Fraction] = {}
        self._open(stream)

    def _open(self, stream: VideoStream) -> None:
        self._stream = stream
        self._sizes = PictureSizes(codec_name(stream), stream.codec_context.extradata or b"")

    @property
    def ratios(self) -> Mapping[Size, Fraction]:
        """Sample aspect ratios of the sizes, as far as headers state them."""
        return {**self._ratios, **self._sizes.ratios}

    def add(self, packet: Packet[Any]) -> Size | None:
        """Return the size of the packet's picture, or None if no header has stated it.

        A packet of another stream continues this one with another codec.
        """
        if packet.stream is not self._stream and isinstance(packet.stream, VideoStream):
            self._ratios |= self._sizes.ratios
            self._open(packet.stream)
        if (header := new_header(packet)) is not None:
            self._sizes.change_header(header)
        if self._sizes.only_keyframes and not packet.is_keyframe:
            return self._sizes.size
        return self._sizes.add(bytes(packet))


def picture_size(
    reader: MediaReader, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None
) -> PictureSize | None:
    """Return the size of the picture in the range, or None if no header in it states a size."""
    with (
        media_errors(reader),
        open_seeker(reader, facts, cut, video=True, audio=[], seek_index=seek_index) as seeker,
    ):
        seeker.seek()
        if seeker.video is None:
            return None
        sizes = StreamSizes(seeker.video)
        shown = _shown_seconds(_changes(seeker, sizes), cut)
    return chosen_size(shown, _stated(facts, sizes)) if shown else None


def _stated(facts: SourceFacts, sizes: StreamSizes) -> Mapping[Size, Fraction]:
    """Return the sample aspect ratios in the codec's headers, or none if the container states another one."""
    video = facts.video
    if video is not None and sizes.ratios.get((video.width, video.height)) in (None, video.sample_aspect_ratio):
        return sizes.ratios
    return {}


def _changes(seeker: AnySeeker, sizes: StreamSizes) -> Iterator[tuple[Fraction, Size]]:
    """Yield the times at which the size changes, first that of the first packet."""
    last = None
    for time, size in _sizes(seeker.packets(), sizes):
        if size != last:
            last = size
            yield time, size


def _sizes(packets: Iterable[TimedPacket], sizes: StreamSizes) -> Iterator[tuple[Fraction, Size]]:
    for timed in packets:
        if (size := sizes.add(timed.packet)) is not None:
            yield timed.time, size


def _shown_seconds(changes: Iterable[tuple[Fraction, Size]], cut: CutRange) -> dict[Size, Fraction]:
    shown: defaultdict[Size, Fraction] = defaultdict(Fraction)
    for (time, size), (until, _) in pairwise(chain(changes, [(cut.end, (0, 0))])):
        seconds = min(until, cut.end) - max(time, cut.start)
        if seconds > 0:
            shown[size] += seconds
    return dict(shown)
