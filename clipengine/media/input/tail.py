"""Tail of a recording with an index: its last packets, which end its timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from clipengine.errors import RecordingTruncated
from clipengine.media.input.container import keep_only, open_recording, read_packets
from clipengine.media.input.header_splice import splice_at
from clipengine.media.input.mp4_fragments import Fragments
from clipengine.media.input.seek_index_builder import MATROSKA
from clipengine.media.input.source import MediaReader

_TAIL_SECONDS = 2


def last_fragments(reader: MediaReader, fragments: Fragments, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
    """Yield the packets of the last two fragments, because each track may have separate fragments."""
    offset = fragments.offsets[-2:][0]
    with open_recording(reader, splice_at("mov", fragments.head_end, offset)) as container:
        kept = [container.streams[stream.index] for stream in streams]
        keep_only(container, kept)
        yield from read_packets(container, kept, reader)


def seek_to_tail(container: InputContainer, has_cues: bool) -> bool:
    """Seek to shortly before the end of the recording. Return False if that is not possible."""
    if container.format.name == MATROSKA and not has_cues:
        return False  # without Cues the demuxer would read everything before
    start = container.start_time or 0
    target = max(start + int(container.duration or 0) - _TAIL_SECONDS * av.time_base, start)
    # A keyframe is not needed, since nothing is decoded; there may be none before the tail.
    return _seek(container, target) or _seek(container, target, any_frame=True)


def _seek(container: InputContainer, target: int, **how: Any) -> bool:
    try:
        container.seek(target, **how)
    except MemoryError:
        raise
    except av.FFmpegError:
        return False  # the index is damaged: continue from the head
    return True


def check_not_truncated(streams: list[Stream], size: int) -> None:
    """Raise RecordingTruncated if the index refers to bytes after the end of the recording."""
    for stream in streams:
        entries = stream.index_entries
        if len(entries) == 0:
            continue
        last = max((entries[i] for i in range(max(0, len(entries) - 50), len(entries))), key=lambda e: e.pos + e.size)
        if last.pos + last.size > size:
            raise RecordingTruncated(
                f"the recording has {size} bytes, and its index names media up to byte {last.pos + last.size}"
            )
