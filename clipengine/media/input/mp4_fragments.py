"""Offsets and times of the fragments of an MP4 file, from `sidx` or `mfra` (ISO/IEC 14496-12, 8.8 and 8.16).

Without them the demuxer would read the header of every fragment when it opens the file, one request each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from clipengine.media.input.source import MediaReader
from clipengine.recordings.containers import boxes, time_scales

_FIRST_BOXES = 8
_MEDIA_BOXES = (b"moof", b"mdat")
_MAX_BOXES = 1_000_000


@dataclass(frozen=True)
class Fragments:
    """Offsets of the `moof` boxes and their approximate times in seconds; no times without an index."""

    head_end: int  # end of the movie header
    offsets: tuple[int, ...]
    times: tuple[Fraction, ...]


def read_fragments(reader: MediaReader) -> Fragments | None:
    """Return the fragments, or None if the file is not fragmented MP4 or its fragments state no times.

    All headers are read if there is no index, or a stale one: a program inserted bytes before fragments.
    """
    reader.seek(4)
    if reader.read(4) != b"ftyp":
        return None
    movie = next((box for box in islice(boxes(reader), _FIRST_BOXES) if box[0] in (b"moov", *_MEDIA_BOXES)), None)
    if movie is None or movie[0] != b"moov":
        return None
    _, content, head_end = movie
    scales = time_scales(reader, content, head_end)
    if not scales:
        return None
    if found := _by_first_sidx(reader, head_end) or list(_by_mfra(reader, scales)):
        offsets, times = zip(*sorted(set(found)), strict=True)
        if all(_is_timed(reader, offset) for offset in (offsets[0], *offsets[-2:])):
            return Fragments(head_end, offsets, times)
    offsets = tuple(_moof_offsets(reader, head_end))
    return Fragments(head_end, offsets, ()) if offsets and _is_timed(reader, offsets[0]) else None


def _is_timed(reader: MediaReader, offset: int) -> bool:
    """Return True if a fragment begins at the offset and states the time of each of its tracks (`tfdt`).

    Otherwise times follow from all fragments before it, so that reading cannot begin there.
    """
    found = next((box for box in islice(boxes(reader, offset), _FIRST_BOXES) if box[0] in _MEDIA_BOXES), None)
    if found is None or found[0] != b"moof":
        return False
    tracks = [(content, end) for kind, content, end in boxes(reader, found[1], found[2]) if kind == b"traf"]
    return all(any(kind == b"tfdt" for kind, _, _ in boxes(reader, content, end)) for content, end in tracks)


def _moof_offsets(reader: MediaReader, offset: int) -> Iterator[int]:
    for kind, _, end in boxes(reader, offset, limit=_MAX_BOXES):
        if kind == b"moof":
            yield offset
        offset = end


def _by_first_sidx(reader: MediaReader, offset: int) -> list[tuple[int, Fraction]]:
    """Return the entries of the first valid `sidx` before the first fragment."""
    for kind, content, end in islice(boxes(reader, offset), _FIRST_BOXES):
        if kind in _MEDIA_BOXES:
            break
        if kind == b"sidx" and (found := list(_by_sidx(reader, content, end))):
            return found
    return []


def _by_sidx(reader: MediaReader, content: int, end: int) -> Iterator[tuple[int, Fraction]]:
    """Yield the subsegments of a `sidx`, if they reach to the end of the file or to its `mfra`."""
    reader.seek(content)
    data = reader.read(end - content)
    width = 8 if data[:1] == b"\x01" else 4
    scale = int.from_bytes(data[8:12], "big")
    time, first = (int.from_bytes(data[at : at + width], "big") for at in (12, 12 + width))
    entries = data[16 + 2 * width :]
    found, offset = [], end + first
    for number in range(int.from_bytes(data[14 + 2 * width : 16 + 2 * width], "big")):
        kind_size, duration = (int.from_bytes(entries[12 * number + at :][:4], "big") for at in (0, 4))
        if kind_size >> 31 or not kind_size:
            return  # a hierarchical index
        found.append((offset, Fraction(time, scale or 1)))
        offset, time = offset + kind_size, time + duration
    if scale and offset in (reader.size, reader.size - _mfra_bytes(reader)):
        yield from found


def _mfra_bytes(reader: MediaReader) -> int:
    """Return the length of the `mfra` box at the end of the file, or 0 if there is none."""
    reader.seek(max(0, reader.size - 16))
    last = reader.read(16)
    return int.from_bytes(last[12:], "big") if last[4:8] == b"mfro" else 0


def _by_mfra(reader: MediaReader, scales: dict[int, int]) -> Iterator[tuple[int, Fraction]]:
    """Yield offset and time of each entry of the first track in `mfra`."""
    length = _mfra_bytes(reader)
    outer = next(boxes(reader, reader.size - length), None) if 0 < length <= reader.size else None
    if outer is None or outer[0] != b"mfra":
        return
    tables = (box for box in boxes(reader, outer[1], outer[2]) if box[0] == b"tfra")
    for _, content, end in islice(tables, 1):
        reader.seek(content)
        for offset, time, track in _tfra_entries(reader.read(end - content)):
            if offset < reader.size and (scale := scales.get(track, 0)):
                yield offset, Fraction(time, scale)


def _tfra_entries(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the offset, the time in ticks and the track of each entry."""
    width = 8 if data[:1] == b"\x01" else 4
    step = 2 * width + sum((data[11] >> shift & 3) + 1 for shift in (4, 2, 0))
    track = int.from_bytes(data[4:8], "big")
    for at in range(16, len(data) - step + 1, step):
        time, offset = (int.from_bytes(data[on : on + width], "big") for on in (at, at + width))
        yield offset, time, track
