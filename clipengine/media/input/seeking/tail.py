"""Tail of a recording with an index: its last packets, which end its timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from clipengine.errors import RecordingTruncated
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.container import keep_only, open_recording, read_packets, seek
from clipengine.media.input.containers.header_splice import splice_at
from clipengine.media.input.containers.mp4_fragments import Fragments
from clipengine.media.input.seeking.seek_index_builder import MATROSKA
from clipengine.media.input.timing.timeline import as_fraction

_TAIL_SECONDS = 2
_LAST_ENTRIES = 50  # of an index, one of which names the last byte


def last_fragments(reader: MediaReader, fragments: Fragments, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
    """Yield the packets of the last two fragments, because each track may have separate fragments."""
    offset = fragments.offsets[-2:][0]
    with open_recording(reader, splice_at("mov", fragments.head_end, offset)) as container:
        kept = [container.streams[stream.index] for stream in streams]
        keep_only(container, kept)
        yield from read_packets(container, kept, reader)


def seek_to_tail(container: InputContainer, has_cues: bool, whole_until: Fraction | None) -> bool:
    """Seek to shortly before the end of the recording. Return False if that is not possible."""
    if container.format.name == MATROSKA and not has_cues:
        return False  # without Cues the demuxer would read everything before
    start = container.start_time or 0
    end = start + int(container.duration or 0) if whole_until is None else int(whole_until * av.time_base)
    target = max(end - _TAIL_SECONDS * av.time_base, start)
    # A keyframe is not needed, since nothing is decoded; there may be none before the tail.
    return seek(container, target) or seek(container, target, any_frame=True)


class Truncation(NamedTuple):
    """The index of the recording names media up to the byte `stated`, which it lacks from a container time on."""

    stated: int
    whole_until: Fraction

    def text(self, size: int) -> str:
        """Return the fault of a recording of this size, for an error message."""
        return f"the recording has {size} bytes, and its index names media up to byte {self.stated}"


def truncation(streams: Sequence[Stream], size: int) -> Truncation | None:
    """Return how the recording is truncated, or None if it has all bytes that its index names.

    Raises RecordingTruncated if a stream has nothing that is whole.
    """
    stated = max((_last_byte(stream) for stream in streams), default=0)
    if stated <= size:
        return None
    found = []
    for stream in streams:
        lacking = [entry.timestamp for entry in stream.index_entries if entry.pos + entry.size > size]
        if lacking and min(lacking) <= min(entry.timestamp for entry in stream.index_entries):
            raise RecordingTruncated(Truncation(stated, Fraction(0)).text(size))
        found += [min(lacking) * as_fraction(stream.time_base or 1)] if lacking else []
    return Truncation(stated, min(found))


def _last_byte(stream: Stream) -> int:
    entries = stream.index_entries
    last = (entries[number] for number in range(max(0, len(entries) - _LAST_ENTRIES), len(entries)))
    return max((entry.pos + entry.size for entry in last), default=0)
