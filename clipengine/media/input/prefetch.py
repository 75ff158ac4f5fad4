"""The forecast: which bytes of a recording a clip will read, so that they can be fetched before they are asked for.

A forecast that is wrong costs bytes or time, and never a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

from av.index import IndexEntries
from av.packet import Packet
from av.stream import Stream

from clipengine.media.input.matroska import cues_span
from clipengine.media.input.mp4_boxes import boxes
from clipengine.media.input.source import MediaReader, Span
from clipengine.media.input.timeline import as_fraction

if TYPE_CHECKING:  # they need pydantic, and the inspector opens files without it: its start-up time counts
    from clipengine.clips.facts import SourceFacts
    from clipengine.clips.plan import CutRange

# Between two places that are needed, so many bytes are read through rather than jumped over.
_HOLE_BYTES = 32 * 1024
_STEP_BYTES = 64 * 1024
_LOOKED_UP_SECONDS = Fraction(20)  # of a list of all packets, how much is looked up at once
_SETTLED_SECONDS = Fraction(2)  # after so much of it the clip's own bit rate says more than the whole recording's
# Of what is left by the bit rate, this part is read ahead: the rest may turn out to need fewer bytes.
_TRUSTED = Fraction(7, 8)
_FIRST_BOXES = 8


def expect_index(reader: MediaReader) -> None:
    """Before the recording is opened: have its index read in large requests. Leaves the reader at its start."""
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
    """Keeps the reader told, from the landing on. `streams` are those that are read, the picture's first."""

    def __init__(self, reader: MediaReader, facts: SourceFacts, cut: CutRange, streams: Sequence[Stream]) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = cut
        self._streams = streams
        self._listed = facts.container == "mov"  # its demuxer knows where every packet lies
        self._entries = 0  # how many it knew when it was asked; in fragments it learns of them on its way
        self._listed_until = Fraction(0)
        self._first: tuple[int, Fraction] | None = None
        self._told = -_STEP_BYTES

    def begin(self, time: Fraction) -> None:
        """The demuxer is about to read from this recording time on, or from somewhat earlier."""
        self._reader.expect(self._look_up(time) if self._listed else ())

    def note(self, packet: Packet[Any], time: Fraction) -> None:
        """The demuxer has come to this packet, which is presented at this recording time."""
        if self._listed:
            more = len(self._streams[0].index_entries) != self._entries
            if more or self._listed_until - _LOOKED_UP_SECONDS / 2 < time < self._cut.end:
                self._reader.expect(self._look_up(time - 1))
        elif packet.pos is not None and packet.pos >= self._told + _STEP_BYTES:
            self._told = packet.pos
            self._reader.expect([(packet.pos, self._end_by_rate(packet.pos, time))])

    def _look_up(self, time: Fraction) -> list[Span]:
        """Where the packets of the next seconds lie, by the container's list of all of them."""
        until = min(time + _LOOKED_UP_SECONDS, self._cut.end)
        self._listed_until = until if until < self._cut.end else until + _LOOKED_UP_SECONDS
        self._entries = len(self._streams[0].index_entries)
        spans: list[Span] = []
        for stream in self._streams:
            spans += _places(stream, time + self._facts.origin, until + self._facts.origin)
        return list(_joined(spans))

    def _end_by_rate(self, pos: int, time: Fraction) -> int:
        """Where the clip's end may lie at the least, by how many bytes a second of it has."""
        self._first = self._first or (pos, time)
        passed = time - self._first[1]
        if passed >= _SETTLED_SECONDS:
            rate = (pos - self._first[0]) / passed
        else:
            rate = self._reader.size / self._facts.duration
        return pos + int(max(self._cut.end - time, Fraction(0)) * rate * _TRUSTED)


def _places(stream: Stream, time: Fraction, until: Fraction) -> Iterator[Span]:
    """The stream's packets from the last keyframe at `time` (container time) on, decoded before `until`."""
    entries: IndexEntries = stream.index_entries
    tick = as_fraction(stream.time_base or 1)
    first, last = (
        entries.search_timestamp(int(at / tick // 1), any_frame=any_) for at, any_ in ((time, False), (until, True))
    )
    for number in range(max(first, 0), last + 1):
        entry = entries[number]
        yield entry.pos, entry.pos + entry.size


def _joined(spans: list[Span]) -> Iterator[Span]:
    """The spans in order, as one where little lies between."""
    spans.sort()
    start, end = spans[0] if spans else (0, 0)
    for following, after in spans:
        if following > end + _HOLE_BYTES:
            yield start, end
            start, end = following, after
        end = max(end, after)
    if end > start:
        yield start, end
