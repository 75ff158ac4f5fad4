"""Prefetch: predict the bytes that a clip needs, so that they are read before the demuxer requests them.

A wrong prediction costs bytes or time, but never changes the clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

from av.index import IndexEntries
from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.containers.cached_reader import MediaReader, Span
from clipengine.media.input.containers.matroska import cues_span
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.containers import boxes

if TYPE_CHECKING:  # they import pydantic, which would slow down the start of the inspector
    from clipengine.clips.cut_range import CutRange
    from clipengine.media.input.timing.packet_timestamps import TimedPacket
    from clipengine.recordings.facts import SourceFacts

# Smaller holes between needed ranges are read, not skipped.
_HOLE_BYTES = 32 * 1024
_STEP_BYTES = 64 * 1024
_LOOKED_UP_SECONDS = Fraction(20)  # looked up at once in the sample table
_SETTLED_SECONDS = Fraction(2)  # then the clip's own bit rate replaces the recording's
# Part of the estimate that is read ahead, because the rest may need fewer bytes.
CERTAIN_PART = Fraction(7, 8)
_FIRST_BOXES = 8


def expect_index(reader: MediaReader) -> None:
    """Announce the index of the recording to the reader, which then reads it in large requests."""
    reader.seek(0)
    spans: list[Span] = []
    if reader.read(8)[4:] == b"ftyp":
        first = islice(boxes(reader), _FIRST_BOXES)
        spans = [(start, end) for kind, start, end in first if kind == b"moov"][:1]
    elif (cues := cues_span(reader)) is not None:
        spans = [cues]
    reader.expect(spans)
    reader.seek(0)


class Prefetcher:
    """Announces upcoming ranges to the reader. `streams` are the streams that are read, video first."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, cut: CutRange, streams: Sequence[Stream]) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = cut
        self._streams = streams
        self._has_index = facts.container == "mov"  # its demuxer knows the position of every packet
        self._entries = 0  # entries at the last look-up; with fragments their number grows while reading
        self._next_look_up = Fraction(0)  # time from which on the packets that follow are looked up
        self._first: tuple[int, Fraction] | None = None
        self._announced = -_STEP_BYTES

    def start(self, time: Fraction) -> None:
        """Announce the packets from this recording time on, before the demuxer reads them."""
        self._reader.expect(self._look_up(time) if self._has_index else ())

    def follow(self, packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
        """Yield the packets, and announce the ranges after each of them."""
        for timed in packets:
            self._advance(timed.packet, timed.time)
            yield timed

    def _advance(self, packet: Packet[Any], time: Fraction) -> None:
        if self._has_index:
            more = len(self._streams[0].index_entries) != self._entries
            if more or self._next_look_up < time < self._cut.end:
                self._reader.expect(self._look_up(time - 1))
        elif packet.pos is not None and packet.pos >= self._announced + _STEP_BYTES:
            self._announced = packet.pos
            self._reader.expect([(packet.pos, self._end_by_rate(packet.pos, time))])

    def _look_up(self, time: Fraction) -> list[Span]:
        """Return the byte ranges of the packets of the next seconds from the sample table."""
        until = min(time + _LOOKED_UP_SECONDS, self._cut.end)
        known_until = until if until < self._cut.end else until + _LOOKED_UP_SECONDS
        self._next_look_up = known_until - _LOOKED_UP_SECONDS / 2
        self._entries = len(self._streams[0].index_entries)
        spans: list[Span] = []
        for stream in self._streams:
            spans += _ranges(stream, time + self._facts.origin, until + self._facts.origin)
        return list(_joined(spans))

    def _end_by_rate(self, pos: int, time: Fraction) -> int:
        """Return a low estimate of the offset of the clip's end from the bit rate."""
        self._first = self._first or (pos, time)
        passed = time - self._first[1]
        if passed >= _SETTLED_SECONDS:
            rate = (pos - self._first[0]) / passed
        else:
            rate = self._reader.size / self._facts.duration
        return pos + int(max(self._cut.end - time, Fraction(0)) * rate * CERTAIN_PART)


def _ranges(stream: Stream, time: Fraction, until: Fraction) -> Iterator[Span]:
    """Yield the ranges of the packets from the last keyframe at `time` (container time) up to `until`."""
    entries: IndexEntries = stream.index_entries
    tick = as_fraction(stream.time_base or 1)
    first, last = (
        entries.search_timestamp(int(at / tick // 1), any_frame=any_) for at, any_ in ((time, False), (until, True))
    )
    for number in range(max(first, 0), last + 1):
        entry = entries[number]
        yield entry.pos, entry.pos + entry.size


def _joined(spans: list[Span]) -> Iterator[Span]:
    """Yield the spans in order, merging spans with small holes between them."""
    spans.sort()
    start, end = spans[0] if spans else (0, 0)
    for following, after in spans:
        if following > end + _HOLE_BYTES:
            yield start, end
            start, end = following, after
        end = max(end, after)
    if end > start:
        yield start, end
