"""MP4 at box level: track durations, and replacement of edit lists in files with the index at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """One entry of an edit list: `duration` in the movie's time scale, `media_time` in the track's (-1: empty)."""

    duration: int
    media_time: int


def rewrite_edits(path: Path, edits: dict[int, list[Edit]]) -> None:
    """Replace the edit lists of tracks (numbered from 0). The index must be the last box of the file."""
    data = path.read_bytes()
    boxes = list(_boxes(data))
    kind, start, _ = boxes[-1]
    if kind != b"moov":
        raise ValueError("the index is not the last box")
    moov, tracks = bytearray(), -1
    for kind, body in _children(data[start + 8 :]):
        if kind == b"trak":
            tracks += 1
            if tracks in edits:
                body = _with_edits(body, edits[tracks])
        moov += _box(kind, body)
    path.write_bytes(data[:start] + _box(b"moov", bytes(moov)))


def movie_timescale(path: Path) -> int:
    """Return the units per second of edit durations."""
    data = path.read_bytes()
    at = data.index(b"mvhd") + 4
    return int.from_bytes(data[at + 12 : at + 16], "big")


def lengths(path: Path) -> tuple[Fraction, list[Fraction]]:
    """Return the seconds of the movie and each track, after edit lists (`mvhd`, `tkhd`); 0 if fragmented."""
    index = next((body for kind, body in _children(path.read_bytes()) if kind == b"moov"), b"")
    scale, whole, tracks = 1, 0, []
    for kind, body in _children(index):
        if kind == b"mvhd":
            scale = _number(body, 20, 4) if body[0] else _number(body, 12, 4)
            whole = _number(body, 24, 8) if body[0] else _number(body, 16, 4)
        for inner, header in _children(body) if kind == b"trak" else ():
            if inner == b"tkhd":
                tracks.append(_number(header, 28, 8) if header[0] else _number(header, 20, 4))
    return Fraction(whole, scale), [Fraction(length, scale) for length in tracks]


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _with_edits(trak: bytes, edits: list[Edit]) -> bytes:
    entries = b"".join(
        e.duration.to_bytes(4, "big") + e.media_time.to_bytes(4, "big", signed=True) + b"\x00\x01\x00\x00"
        for e in edits
    )
    table = _box(b"edts", _box(b"elst", bytes(4) + len(edits).to_bytes(4, "big") + entries))
    rewritten = bytearray()
    for kind, body in _children(trak):
        if kind != b"edts":
            rewritten += _box(kind, body)
        if kind == b"tkhd":
            rewritten += table
    return bytes(rewritten)


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, size
        at += size


def _children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, at, size in _boxes(data):
        yield kind, data[at + 8 : at + size]
