"""Matroska at element level: the cluster positions in the cues."""

from __future__ import annotations

from collections.abc import Iterator

_CUES, _CUE_POINT, _TRACK_POSITIONS, _CLUSTER_POSITION = 0x1C53BB6B, 0xBB, 0xB7, 0xF1


def cue_positions(data: bytes) -> list[tuple[int, int, int]]:
    """Return for each cue the offset and length of its cluster position field, and the position."""
    start = data.rindex(_CUES.to_bytes(4, "big"))
    (_, at, end), *_ = _elements(data, start, len(data))
    found = []
    for kind, point, point_end in _elements(data, at, end):
        if kind != _CUE_POINT:
            continue
        for inner, track, track_end in _elements(data, point, point_end):
            for field, value, value_end in _elements(data, track, track_end) if inner == _TRACK_POSITIONS else ():
                if field == _CLUSTER_POSITION:
                    found.append((value, value_end - value, int.from_bytes(data[value:value_end], "big")))
    return found


def _elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the identifier of each element, and the start and end of its content."""
    while at < end:
        identifier, at = _number(data, at, keep_marker=True)
        size, at = _number(data, at, keep_marker=False)
        yield identifier, at, at + size
        at += size


def _number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return value if keep_marker else value & (1 << 7 * length) - 1, at + length
