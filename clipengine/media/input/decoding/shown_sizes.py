"""Durations of the pictures in a range, by size and shape, from the headers of packets. Nothing is decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.picture_size import Picture, PictureSize, chosen_size
from clipengine.media.bitstream.picture_sizes import PictureSizes
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.codec_headers import new_header
from clipengine.media.input.containers.container import codec_name, media_errors
from clipengine.media.input.seeking.seekers import AnySeeker, open_seeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex


class StreamSizes:
    """Follows the pictures of a video stream from packet to packet."""

    def __init__(self, stream: VideoStream) -> None:
        self._open(stream)

    def _open(self, stream: VideoStream) -> None:
        self._stream = stream
        self._sizes = PictureSizes(codec_name(stream), stream.codec_context.extradata or b"")
        self.state_ratios = self._sizes.state_ratios and not self._container_differs()

    def _container_differs(self) -> bool:
        """Return True if the container states another sample aspect ratio than the codec header, and so for all."""
        ratio, picture = self._stream.sample_aspect_ratio, self._sizes.picture
        stated = None if picture is None else picture.ratio
        return None not in (ratio, stated) and as_fraction(ratio or 1) != stated

    def add(self, packet: Packet[Any]) -> Picture | None:
        """Return the picture of the packet, or None if no header has stated it.

        A packet of another stream continues this one with another codec.
        """
        if packet.stream is not self._stream and isinstance(packet.stream, VideoStream):
            self._open(packet.stream)
        if (header := new_header(packet)) is not None:
            self._sizes.change_header(header)
        if packet.is_keyframe or not self._sizes.only_keyframes:
            self._sizes.add(bytes(packet))
        picture = self._sizes.picture
        return picture if picture is None or self.state_ratios else picture._replace(ratio=None)

    def note(self, packet: Packet[Any]) -> None:
        """Set the sample aspect ratio that headers state as `opaque`, which decoders copy to the frame if asked to."""
        if not self.state_ratios:
            return
        picture = self.add(packet)
        if picture is not None and picture.ratio is not None:
            packet.opaque = Fraction(picture.ratio)  # a copy: PyAV forgets an object when the first packet is freed


def picture_size(
    reader: MediaReader, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None
) -> PictureSize | None:
    """Return the picture from which a clip of the range gets its size, or None if no header in it states a size."""
    with (
        media_errors(reader),
        open_seeker(reader, facts, cut, video=True, audio=[], seek_index=seek_index) as seeker,
    ):
        seeker.seek()
        if seeker.video is None:
            return None
        shown = _shown_seconds(_changes(seeker, StreamSizes(seeker.video)), cut)
    return chosen_size(shown) if shown else None


def _changes(seeker: AnySeeker, sizes: StreamSizes) -> Iterator[tuple[Fraction, Picture]]:
    """Yield the times at which the size or the shape changes, beginning with the first packet's time."""
    last = None
    for time, picture in _pictures(seeker.packets(), sizes):
        if picture != last:
            last = picture
            yield time, picture


def _pictures(packets: Iterable[TimedPacket], sizes: StreamSizes) -> Iterator[tuple[Fraction, Picture]]:
    for timed in packets:
        if (picture := sizes.add(timed.packet)) is not None:
            yield timed.time, picture


def _shown_seconds(changes: Iterable[tuple[Fraction, Picture]], cut: CutRange) -> dict[Picture, Fraction]:
    shown: defaultdict[Picture, Fraction] = defaultdict(Fraction)
    for (time, picture), (until, _) in pairwise(chain(changes, [(cut.end, Picture(0, 0))])):
        seconds = min(until, cut.end) - max(time, cut.start)
        if seconds > 0:
            shown[picture] += seconds
    return dict(shown)
