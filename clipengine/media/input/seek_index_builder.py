"""The survey: which places of a recording the probe notes, so that later cuts need not read up to them.

Only of containers that can be entered in their middle with the same times as on the way from the start: Matroska and
fragmented MP4, whose clusters and fragments carry their times, and MPEG-TS, MPEG-PS and FLV, whose packets do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream

from clipengine.clips.seek_index import MAX_POINTS, SeekIndex
from clipengine.media.input.mp4_fragments import Fragments
from clipengine.media.input.timeline import Timeline, as_fraction

MATROSKA, FRAGMENTS = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"
_BY_PACKETS = ("mpegts", "mpeg", "flv")
_LEAST_SECONDS = Fraction(1)  # from one landmark to the next
# All streams have been in a part of the timeline for so long before a landmark is noted in it.
_SETTLED_SECONDS = Fraction(2)

Place = tuple[int, int, int]  # offset, stamp, part


class SeekIndexBuilder:
    """Give it the packets of a whole recording, or of its head and tail where it has an index; then ask for landmarks.

    `stream` is the one whose keyframes count: the picture, or the first sound where there is none.
    """

    def __init__(
        self,
        format_name: str,
        stream: Stream,
        timeline: Timeline,
        fragments: Fragments | None = None,
        first_cluster: int | None = None,
    ) -> None:
        self._format = format_name
        self._stream = stream
        self._timeline = timeline
        self._fragments = fragments
        self._first_cluster = first_cluster
        self._tick = as_fraction(stream.time_base or 1)
        self._discontinuities = 0
        # A frame may begin in the middle of what its position names: it is found whole from the one before.
        self._at: int | None = None
        self._before: int | None = None
        self._places: list[Place] = []

    def add(self, packet: Packet[Any]) -> None:
        """A packet that the clock has placed just before."""
        if self._format not in _BY_PACKETS or packet.stream_index != self._stream.index or packet.pos is None:
            return
        if packet.pos != self._at:
            self._at, self._before = packet.pos, self._at
        if not packet.is_keyframe or packet.pts is None or packet.is_corrupt or self._before is None:
            return
        if (
            self._timeline.discontinuities != self._discontinuities
        ):  # what was noted right before a jump lies too near to it
            self._discontinuities = self._timeline.discontinuities
            while self._places and self._time(self._places[-1]) > self._timeline.part_began - _SETTLED_SECONDS:
                self._places.pop()
        part = self._timeline.settled_part(_SETTLED_SECONDS)
        if part is not None:
            self._places.append((self._before, packet.pts, part))
            if len(self._places) > 4 * MAX_POINTS:
                del self._places[::2]

    def build(self) -> SeekIndex | None:
        """What was found; None where the recording has none, or needs none."""
        head, places, exact = 0, self._places, self._stream.type == "video"
        if self._format == MATROSKA:
            head = self._first_cluster or 0
            entries = (entry for entry in self._stream.index_entries if entry.is_keyframe)
            places = [(entry.pos, entry.timestamp, 0) for entry in entries if entry.pos >= head]
        elif self._format == FRAGMENTS and self._fragments is not None:
            head, exact = self._fragments.head_end, False
            places = list(self._of_fragments(self._fragments))
        if not places or (self._timeline.discontinuities and self._format not in _BY_PACKETS):
            return None
        offsets, stamps, parts = zip(*self._thinned(sorted(places, key=self._time)), strict=True)
        shifts = tuple(self._timeline.offsets)
        if len(shifts) > MAX_POINTS:
            return None
        return SeekIndex(
            tick=self._tick, shifts=shifts, head_bytes=head, exact=exact, offsets=offsets, stamps=stamps, parts=parts
        )

    def _time(self, place: Place) -> Fraction:
        return place[1] * self._tick + self._timeline.offsets[place[2]]

    def _thinned(self, places: Iterable[Place]) -> list[Place]:
        """Not more than one in each second, and a bounded number."""
        kept: list[Place] = []
        last: Fraction | None = None
        for place in places:
            if last is None or self._time(place) >= last + _LEAST_SECONDS:
                kept.append(place)
                last = self._time(place)
        while len(kept) > MAX_POINTS:
            kept = kept[::2]
        return kept

    def _of_fragments(self, fragments: Fragments) -> Iterator[Place]:
        """By the file's own index; where it has none, the demuxer has listed all samples on its way over the file."""
        if fragments.times:
            for offset, seconds in zip(fragments.offsets, fragments.times, strict=True):
                yield offset, int(seconds / self._tick // 1), 0
            return
        for entry in self._stream.index_entries:
            at = bisect_right(fragments.offsets, entry.pos) - 1
            if entry.is_keyframe and at >= 0:
                yield fragments.offsets[at], entry.timestamp, 0
