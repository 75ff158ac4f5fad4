"""Overlaps of a camera's files: the pictures with which one file ends and the next one begins."""

from __future__ import annotations

import zlib
from fractions import Fraction

import av

from clipengine.errors import RecordingError
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import keep_only, open_recording, read_packets, seek, video_stream
from clipengine.media.input.seeking.piece_source import PieceSource
from clipengine.media.input.timing.packet_timestamps import PacketTimestamps
from clipengine.recordings.piece_seek_index import PieceSeekIndex, PlacedRun

_MOST_SECONDS = 60  # of pictures that two files may have in common
_LEAST_SAME = 5  # pictures


def find_overlaps(source: ByteSource, index: PieceSeekIndex) -> list[Fraction | None]:
    """Return, for each pair of runs, the container time in the first file at which the second one begins.

    It is None unless the last pictures of the first file are the first ones of the second, packet by packet.
    """
    runs = list(index.runs(0))
    return [_overlap(source, *pair) for pair in zip(runs[::2], runs[1::2], strict=True)]


def _overlap(source: ByteSource, before: PlacedRun, after: PlacedRun) -> Fraction | None:
    try:
        tail, head = _pictures(source, before, at_end=True), _pictures(source, after, at_end=False)
    except RecordingError:
        return None
    shapes, other = ([each[1:] for each in pictures] for pictures in (tail, head))
    starts = (number for number, (_, _, digest) in enumerate(tail) if digest is not None)
    found = [number for number in starts if shapes[number:] == other[: len(shapes) - number]]
    return tail[found[-1]][0] if found and len(shapes) - found[-1] >= _LEAST_SAME else None


def _pictures(source: ByteSource, run: PlacedRun, *, at_end: bool) -> list[tuple[Fraction, int, int | None]]:
    """Return the times and sizes of the pictures of the last or first minute of a file, and the checks of keyframes."""
    pieces = PieceSource(source, run, 0, 0)
    found: list[tuple[Fraction, int, int | None]] = []
    with MediaReader(pieces) as reader, open_recording(reader, pieces.splice) as container:
        video = video_stream(container)
        if video is None:
            return found
        keep_only(container, [video])
        duration, start = container.duration or 0, container.start_time or 0
        if at_end and duration > _MOST_SECONDS * av.time_base:
            seek(container, start + duration - _MOST_SECONDS * av.time_base)
        stamps = PacketTimestamps(Fraction(0))
        for packet in read_packets(container, [video], reader):
            times = stamps.of(packet)
            if times is None:
                continue
            if not at_end and found and times[0] > found[0][0] + _MOST_SECONDS:
                break
            found.append((times[0], packet.size, zlib.crc32(bytes(packet)) if packet.is_keyframe else None))
    return found
