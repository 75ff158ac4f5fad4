"""Building of the seek index, which lets later cuts start reading near their start.

Supported are containers with stored timestamps: in clusters or fragments (Matroska, fragmented MP4) or in packets
(MPEG-TS, MPEG-PS, FLV).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.containers.mp4_fragments import Fragments
from clipengine.media.input.timing.timeline import Timeline, as_fraction
from clipengine.recordings.seek_index import MAX_POINTS, KeyframeIndex

MATROSKA, FRAGMENTS = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"
_BY_PACKETS = ("mpegts", "mpeg", "flv")
_MIN_SECONDS = Fraction(1)  # between two seek points
# Minimum time that all streams are in the same part of the timeline before a seek point.
_SETTLED_SECONDS = Fraction(2)

_Candidate = tuple[int, int, int]  # offset, pts, part of the timeline


class SeekIndexBuilder:
    """Collects seek points from the packets of a recording, or of its head and tail if it has an index.

    `stream` is the stream whose keyframes are used: video, or the first audio stream.
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
        # A frame may begin after the position of its packet, so the previous position is used.
        self._pos: int | None = None
        self._previous_pos: int | None = None
        self._candidates: list[_Candidate] = []

    def add(self, packet: Packet[Any]) -> None:
        """Add a packet that was just added to the timeline."""
        if self._format not in _BY_PACKETS or packet.stream_index != self._stream.index or packet.pos is None:
            return
        if packet.pos != self._pos:
            self._pos, self._previous_pos = packet.pos, self._pos
        if packet.is_keyframe and packet.pts is not None and not packet.is_corrupt and self._previous_pos is not None:
            self._add_candidate(self._previous_pos, packet.pts)

    def _add_candidate(self, offset: int, pts: int) -> None:
        if self._timeline.discontinuities != self._discontinuities:  # drop points too close before it
            self._discontinuities = self._timeline.discontinuities
            while self._candidates and self._time(self._candidates[-1]) > self._timeline.part_began - _SETTLED_SECONDS:
                self._candidates.pop()
        part = self._timeline.settled_part(_SETTLED_SECONDS)
        if part is not None:
            self._candidates.append((offset, pts, part))
            if len(self._candidates) > 4 * MAX_POINTS:
                del self._candidates[::2]

    def build(self) -> KeyframeIndex | None:
        """Return the seek index, or None if the recording has no seek points or needs none."""
        candidates, shifts = self._all_candidates(), tuple(self._timeline.offsets)
        joined = self._timeline.discontinuities > 0
        if not candidates or len(shifts) > MAX_POINTS or (joined and self._format not in _BY_PACKETS):
            return None
        offsets, stamps, parts = zip(*self._thinned(sorted(candidates, key=self._time)), strict=True)
        return KeyframeIndex(
            tick=self._tick,
            shifts=shifts,
            head_bytes=self._head_bytes,
            exact=self._stream.type == "video" and self._format != FRAGMENTS,
            offsets=offsets,
            stamps=stamps,
            parts=parts,
        )

    @property
    def _head_bytes(self) -> int:
        if self._format == MATROSKA:
            return self._first_cluster or 0
        return self._fragments.head_end if self._fragments is not None else 0

    def _all_candidates(self) -> list[_Candidate]:
        """Return the seek points from the container's index if it has one, or else from the packets."""
        if self._format == MATROSKA:
            entries = (entry for entry in self._stream.index_entries if entry.is_keyframe)
            return [(entry.pos, entry.timestamp, 0) for entry in entries if entry.pos >= self._head_bytes]
        if self._format == FRAGMENTS and self._fragments is not None:
            return list(self._of_fragments(self._fragments))
        return self._candidates

    def _time(self, candidate: _Candidate) -> Fraction:
        return candidate[1] * self._tick + self._timeline.offsets[candidate[2]]

    def _thinned(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """Return at most one candidate per second and MAX_POINTS in all."""
        kept: list[_Candidate] = []
        last: Fraction | None = None
        for candidate in candidates:
            if last is None or self._time(candidate) >= last + _MIN_SECONDS:
                kept.append(candidate)
                last = self._time(candidate)
        while len(kept) > MAX_POINTS:
            kept = kept[::2]
        return kept

    def _of_fragments(self, fragments: Fragments) -> Iterator[_Candidate]:
        """Yield candidates from the file's index, or from the demuxer's index entries if it has none."""
        if fragments.times:
            for offset, seconds in zip(fragments.offsets, fragments.times, strict=True):
                yield offset, int(seconds / self._tick // 1), 0
            return
        for entry in self._stream.index_entries:
            number = bisect_right(fragments.offsets, entry.pos) - 1
            if entry.is_keyframe and number >= 0:
                yield fragments.offsets[number], entry.timestamp, 0
