"""The fragments of an ISO media file: where each begins and, by its own index, when (ISO/IEC 14496-12, 8.8, 8.16).

A demuxer that is not told walks over all of a file's fragments when it opens it, with a request for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from clipengine.media.input.mp4_boxes import boxes
from clipengine.media.input.source import MediaReader

_FIRST_BOXES = 8
_MOST = 1_000_000


@dataclass(frozen=True)
class Fragments:
    """`offsets` of the `moof` boxes, and when each begins, about, in seconds; no times where no index says them."""

    head_end: int  # behind the movie header
    offsets: tuple[int, ...]
    times: tuple[Fraction, ...]


def read_fragments(reader: MediaReader) -> Fragments | None:
    """None where the file is no ISO file in fragments. Reads every fragment's header where the file has no index."""
    reader.seek(4)
    if reader.read(4) != b"ftyp":
        return None
    at, scales, head_end = 0, None, 0
    for kind, content, end in islice(boxes(reader), _FIRST_BOXES):
        if kind == b"moov" and scales is None:
            scales, head_end = _time_scales(reader, content, end), end
            if not scales:
                return None
        elif kind == b"sidx" and scales is not None and (found := list(_by_sidx(reader, content, end))):
            return _indexed(head_end, found)
        elif kind in (b"moof", b"mdat"):
            break
        at = end
    if not scales:
        return None
    if found := list(_by_mfra(reader, scales)):
        return _indexed(head_end, found)
    offsets = []
    for kind, _, end in boxes(reader, at, most=_MOST):
        if kind == b"moof":
            offsets.append(at)
        at = end
    return Fragments(head_end, tuple(offsets), ()) if offsets else None


def _indexed(head_end: int, found: list[tuple[int, Fraction]]) -> Fragments:
    offsets, times = zip(*sorted(set(found)), strict=True)
    return Fragments(head_end, offsets, times)


def _time_scales(reader: MediaReader, start: int, end: int) -> dict[int, int]:
    """Of each track, by its id, the ticks in a second; none where the file is not made for fragments."""
    scales: dict[int, int] = {}
    fragmented = False
    for kind, content, after in boxes(reader, start, end):
        fragmented = fragmented or kind == b"mvex"
        if kind == b"trak":
            track = scale = 0
            for inner, at, past in boxes(reader, content, after):
                if inner == b"tkhd":
                    track = _field(reader, at, 12, 20)
                elif inner == b"mdia":
                    scale = next(
                        (_field(reader, on, 12, 20) for each, on, _ in boxes(reader, at, past) if each == b"mdhd"), 0
                    )
            scales[track] = scale
    return scales if fragmented else {}


def _field(reader: MediaReader, content: int, short: int, long: int) -> int:
    """A u32 of a full box that lies at `short` in version 0 and at `long` in version 1."""
    reader.seek(content)
    header = reader.read(long + 4)
    at = long if header[:1] == b"\x01" else short
    return int.from_bytes(header[at : at + 4], "big")


def _by_sidx(reader: MediaReader, content: int, end: int) -> Iterator[tuple[int, Fraction]]:
    """The subsegments of a segment index, if they reach to the file's end or to the index that is there."""
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
            return  # an index of indexes
        found.append((offset, Fraction(time, scale or 1)))
        offset, time = offset + kind_size, time + duration
    if scale and offset in (reader.size, reader.size - _mfra_bytes(reader)):
        yield from found


def _mfra_bytes(reader: MediaReader) -> int:
    """The length of the random access box at the file's end, by its last field; 0 where none is there."""
    reader.seek(max(0, reader.size - 16))
    last = reader.read(16)
    return int.from_bytes(last[12:], "big") if last[4:8] == b"mfro" else 0


def _by_mfra(reader: MediaReader, scales: dict[int, int]) -> Iterator[tuple[int, Fraction]]:
    """What the random access box says of the first track in it."""
    length = _mfra_bytes(reader)
    outer = next(boxes(reader, reader.size - length), None) if 0 < length <= reader.size else None
    if outer is None or outer[0] != b"mfra":
        return
    for kind, content, end in boxes(reader, outer[1], outer[2]):
        if kind != b"tfra":
            continue
        reader.seek(content)
        data = reader.read(end - content)
        width = 8 if data[:1] == b"\x01" else 4
        step = 2 * width + sum((data[11] >> shift & 3) + 1 for shift in (4, 2, 0))
        scale = scales.get(int.from_bytes(data[4:8], "big"), 0)
        for at in range(16, len(data) - step + 1, step):
            time, offset = (int.from_bytes(data[on : on + width], "big") for on in (at, at + width))
            if scale and offset < reader.size:
                yield offset, Fraction(time, scale)
        return
