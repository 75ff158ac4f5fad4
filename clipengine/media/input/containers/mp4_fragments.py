"""Offsets and times of the fragments of an MP4 file, from `sidx` or `mfra` (ISO/IEC 14496-12, 8.8 and 8.16).

Without them the demuxer would read the header of every fragment when it opens the file, one request each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.recordings.containers import boxes, time_scales

_FIRST_BOXES = 8
_MEDIA_BOXES = (b"moof", b"mdat")
_MAX_BOXES = 1_000_000
# Of a search without an index: it ends this near to the time, and looks so far for the next fragment.
_NEAR_BYTES, _MAX_FRAGMENT_BYTES, _SEARCHED_BYTES = 2 << 20, 16 << 20, 64 << 10


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
    movie = _movie_header(reader)
    if movie is None:
        return None
    head_end, scales = movie
    if (indexed := _by_index(reader, head_end, scales)) is not None:
        return indexed
    offsets = tuple(_moof_offsets(reader, head_end))
    return Fragments(head_end, offsets, ()) if offsets and _begin_time(reader, offsets[0], scales) is not None else None


def fragment_before(reader: MediaReader, time: Fraction) -> tuple[int, int] | None:
    """Return the end of the movie header and the offset of a fragment that begins shortly before a container time.

    Return None if the file is not fragmented MP4, or its fragments state no times. Without an index, the headers of
    a few fragments are read, and the fragment found may begin earlier than needed.
    """
    movie = _movie_header(reader)
    if movie is None:
        return None
    head_end, scales = movie
    indexed = _by_index(reader, head_end, scales)
    if indexed is not None:
        offset = max(
            (at for at, begins in zip(indexed.offsets, indexed.times, strict=True) if begins <= time), default=None
        )
    else:
        offset = _searched(reader, next(_moof_offsets(reader, head_end), None), scales, time)
    return None if offset is None else (head_end, offset)


def _searched(reader: MediaReader, offset: int | None, scales: dict[int, int], time: Fraction) -> int | None:
    """Return the last fragment found that begins before the time, or None. The first one begins at the offset."""
    begins = None if offset is None else _begin_time(reader, offset, scales)
    if offset is None or begins is None or begins > time:
        return None
    limit = reader.size
    while limit - offset > _NEAR_BYTES:
        middle = (offset + limit) // 2
        found = _next_fragment(reader, middle, min(limit, middle + _MAX_FRAGMENT_BYTES))
        begins = None if found is None else _begin_time(reader, found, scales)
        if found is None or begins is None:
            break
        reader.packet_found()
        offset, limit = (found, limit) if begins <= time else (offset, middle)
    return offset


def _next_fragment(reader: MediaReader, start: int, end: int) -> int | None:
    """Return the offset of the first fragment between two offsets that a box of media data follows."""
    before = b""
    for offset in range(start, end, _SEARCHED_BYTES):
        reader.seek(offset)
        data = before + reader.read(min(_SEARCHED_BYTES, end - offset))
        at = data.find(b"moof", 4)
        while at >= 0:
            found = offset - len(before) + at - 4
            kinds = [kind for kind, _, _ in islice(boxes(reader, found), 2)]
            if kinds == [b"moof", b"mdat"]:
                return found
            at = data.find(b"moof", at + 1)
        before = data[-7:]
    return None


def _movie_header(reader: MediaReader) -> tuple[int, dict[int, int]] | None:
    """Return the end of the movie header and the time scales of the tracks, or None if it is not fragmented MP4."""
    reader.seek(4)
    if reader.read(4) != b"ftyp":
        return None
    movie = next((box for box in islice(boxes(reader), _FIRST_BOXES) if box[0] in (b"moov", *_MEDIA_BOXES)), None)
    if movie is None or movie[0] != b"moov":
        return None
    _, content, head_end = movie
    scales = time_scales(reader, content, head_end)
    return (head_end, scales) if scales else None


def _by_index(reader: MediaReader, head_end: int, scales: dict[int, int]) -> Fragments | None:
    """Return the fragments that `sidx` or `mfra` name, or None without an index that is right."""
    if found := _by_first_sidx(reader, head_end) or list(_by_mfra(reader, scales)):
        offsets, times = zip(*sorted(set(found)), strict=True)
        if all(_begin_time(reader, offset, scales) is not None for offset in (offsets[0], *offsets[-2:])):
            return Fragments(head_end, offsets, times)
    return None


def _begin_time(reader: MediaReader, offset: int, scales: dict[int, int]) -> Fraction | None:
    """Return the latest time at which a track of the fragment at the offset begins (`tfdt`), in seconds.

    Return None if no fragment begins there, or a track states no time: it follows from all fragments before, so that
    reading cannot begin there.
    """
    found = next((box for box in islice(boxes(reader, offset), _FIRST_BOXES) if box[0] in _MEDIA_BOXES), None)
    if found is None or found[0] != b"moof":
        return None
    times = [
        _time_of_track(reader, content, end, scales)
        for kind, content, end in boxes(reader, found[1], found[2])
        if kind == b"traf"
    ]
    known = [time for time in times if time is not None]
    return max(known, default=Fraction(0)) if len(known) == len(times) else None


def _time_of_track(reader: MediaReader, content: int, end: int, scales: dict[int, int]) -> Fraction | None:
    """Return the time of a track in a fragment, or None if it states none."""
    scale = time = None
    for kind, at, _ in boxes(reader, content, end):
        reader.seek(at)
        data = reader.read(12)
        if kind == b"tfhd":
            scale = scales.get(int.from_bytes(data[4:8], "big"))
        elif kind == b"tfdt":
            time = int.from_bytes(data[4:12] if data[:1] == b"\x01" else data[4:8], "big")
    return None if time is None else Fraction(time, scale or 1)


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
