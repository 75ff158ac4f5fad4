"""Mutations: random ones of bytes, and structural ones of MP4 boxes, Matroska elements and MPEG-TS packets.

A mutant is a function of its seed's bytes and one random number generator, so its number reproduces it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Mutation = Callable[[bytearray, Random], None]

_MOST_BYTES = 1 << 20
_INTERESTING = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
_BOXES_WITH_BOXES = {
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"mvex", b"dinf", b"meta",
}  # fmt: skip
_ELEMENTS_WITH_ELEMENTS = {
    0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1C53BB6B, 0xBB, 0xB7,
    0x114D9B74, 0x4DBB, 0x6D80, 0x6240, 0x5034,
}  # fmt: skip
_TS_PACKET = 188


@dataclass(frozen=True)
class Part:
    """A structural part: its start, the start of its payload, and its end."""

    start: int
    payload: int
    end: int


def mutant(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Apply one to four mutations to `data`, sometimes with a piece of another seed."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if not made:
            break
        if random.random() < 0.05:
            _splice(made, random.choice(others), random)
            continue
        parts = structure(made)
        if parts and random.random() < 0.65:
            random.choice(_OF_PARTS)(made, random.choice(parts), parts, random)
        else:
            random.choice(_OF_BYTES)(made, random)
    return bytes(made[:_MOST_BYTES])


def structure(data: bytes | bytearray) -> list[Part]:
    """Return the parts of a container whose structure is known, else nothing."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"styp"):
        return list(_boxes(data, 0, len(data), 0))
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return list(_elements(data, 0, len(data), 0))
    if len(data) > 4 * _TS_PACKET and data[0] == data[_TS_PACKET] == data[2 * _TS_PACKET] == 0x47:
        return [Part(at, at + 4, at + _TS_PACKET) for at in range(0, len(data) - _TS_PACKET + 1, _TS_PACKET)]
    if data[:4] == b"OggS":
        return list(_pages(data))
    return []


def _boxes(data: bytes | bytearray, start: int, end: int, depth: int) -> list[Part]:
    found: list[Part] = []
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        size = end - start if size in (0, 1) else size
        if size < 8:
            break
        stop = min(start + size, end)
        found.append(Part(start, start + 8, stop))
        if kind in _BOXES_WITH_BOXES and depth < 8:
            inner = _boxes(data, start + 8, stop, depth + 1)
            found += inner * (1 if kind == b"udta" else 2)  # prefers nested parts, which are small and important
        start = stop
    return found


def _elements(data: bytes | bytearray, start: int, end: int, depth: int) -> list[Part]:
    found: list[Part] = []
    while start < end and len(found) < 5000:
        width = 9 - data[start].bit_length()
        at = start + width
        if width > 4 or at >= end:
            break
        number = int.from_bytes(data[start:at], "big")
        length_width = 9 - data[at].bit_length()
        payload = at + length_width
        if length_width > 8 or payload > end:
            break
        length = int.from_bytes(data[at:payload], "big") & ((1 << 7 * length_width) - 1)
        unknown = length == (1 << 7 * length_width) - 1
        stop = end if unknown else min(payload + length, end)
        found.append(Part(start, payload, stop))
        if number in _ELEMENTS_WITH_ELEMENTS and depth < 8:
            found += _elements(data, payload, stop, depth + 1)
        start = stop
    return found


def _pages(data: bytes | bytearray) -> list[Part]:
    starts = []
    at = 0
    while (at := data.find(b"OggS", at)) >= 0:
        starts.append(at)
        at += 4
    return [Part(a, min(a + 27, b), b) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


# ---- mutations of parts


def _header(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    at = random.randrange(part.start, max(part.start + 1, part.payload))
    data[at] = random.choice((data[at] ^ 1 << random.randrange(8), random.randrange(256), 0, 0xFF))


def _field(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    """Pick an integer near the start of the payload, where counts, sizes and times are."""
    reach = min(part.end, part.payload + random.choice((8, 32, 128, 100_000)))
    if part.payload < reach:
        _number(data, random.randrange(part.payload, reach), random)


def _repeat(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    piece = bytes(data[part.start : part.end])
    times = random.choice((1, 1, 2, 60)) if len(piece) < 10_000 else 1
    data[part.end : part.end] = piece * times


def _remove(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    if part.end - part.start < len(data):
        del data[part.start : part.end]


def _replace(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    other = random.choice(parts)
    data[part.start : part.end] = data[other.start : other.end]


def _empty(data: bytearray, part: Part, parts: Sequence[Part], random: Random) -> None:
    data[part.payload : part.end] = random.choice((b"", b"\0", b"\xff" * min(part.end - part.payload, 4096)))


# ---- mutations of bytes


def _flip(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 4, 32))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _number(data: bytearray, at: int, random: Random) -> None:
    width = random.choice((1, 2, 4, 4, 8))
    value = random.choice((random.choice(_INTERESTING), random.getrandbits(8 * width))) & ((1 << 8 * width) - 1)
    piece = value.to_bytes(width, random.choice(("big", "big", "little")))
    data[at : at + width] = piece[: len(data) - at]


def _anywhere(data: bytearray, random: Random) -> None:
    _number(data, random.randrange(len(data)), random)


def _in_head(data: bytearray, random: Random) -> None:
    _number(data, random.randrange(min(len(data), 512)), random)


def _run(data: bytearray, random: Random) -> None:
    at, length = random.randrange(len(data)), random.choice((16, 1000, 60_000))
    length = min(length, len(data) - at)
    data[at : at + length] = random.choice((b"\xff", b"\0")) * length


def _cut_out(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 3, 188, 5000, 60_000))]


def _cut_off(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _insert(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    data[at:at] = random.randbytes(random.choice((1, 4, 100)))


def _double(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    data[at:at] = data[at : at + random.choice((64, 4096, 60_000))]


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    at, start = random.randrange(len(data)), random.randrange(len(other))
    data[at:] = other[start:]


_OF_BYTES: tuple[Mutation, ...] = (
    _flip, _flip, _anywhere, _anywhere, _in_head, _run, _cut_out, _cut_off, _insert, _double,
)  # fmt: skip
_OF_PARTS = (_header, _field, _field, _field, _repeat, _remove, _replace, _empty)
