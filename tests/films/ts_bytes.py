"""MPEG-TS at byte level: shift timestamps and renumber counters in muxed packets."""

from __future__ import annotations

from collections.abc import Iterator

_PACKET = 188
_WRAP = 1 << 33


def move_clock(data: bytes, since: int, by: int) -> bytes:
    """Add `by` to every PTS, DTS and PCR of the packets whose DTS is at least `since` (all in 1/90000 s).

    A program clock reference moves with the packet of its own stream that contains or follows it.
    """
    moved = bytearray(data)
    started: set[int] = set()
    for at in range(0, len(moved), _PACKET):
        pid = int.from_bytes(moved[at + 1 : at + 3], "big") & 0x1FFF
        payload = _payload(moved, at)
        if moved[at + 1] & 0x40 and moved[payload : payload + 3] == b"\x00\x00\x01":
            stamps = list(_stamps(moved, payload))
            if stamps and _read(moved, stamps[-1]) >= since:
                started.add(pid)
                for stamp in stamps:
                    _write(moved, stamp, (_read(moved, stamp) + by) % _WRAP)
        if pid in started and moved[at + 3] & 0x20 and moved[at + 4] and moved[at + 5] & 0x10:
            field = int.from_bytes(moved[at + 6 : at + 12], "big")
            base = ((field >> 15) + by) % _WRAP
            moved[at + 6 : at + 12] = (base << 15 | field & 0x7FFF).to_bytes(6, "big")
    return bytes(moved)


def renumber(data: bytes) -> bytes:
    """Make the continuity counters consecutive, as if written by one muxer."""
    fixed = bytearray(data)
    counters: dict[int, int] = {}
    for at in range(0, len(fixed), _PACKET):
        pid = int.from_bytes(fixed[at + 1 : at + 3], "big") & 0x1FFF
        if fixed[at + 3] & 0x10:
            counters[pid] = (counters.get(pid, -1) + 1) & 15
        fixed[at + 3] = fixed[at + 3] & 0xF0 | counters.get(pid, 0)
    return bytes(fixed)


def _payload(data: bytearray, at: int) -> int:
    return at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)


def _stamps(data: bytearray, pes: int) -> Iterator[int]:
    """Return the positions of the PTS and, after it, the DTS of a PES header."""
    flags = data[pes + 7] >> 6
    if flags & 2:
        yield pes + 9
    if flags == 3:
        yield pes + 14


def _read(data: bytearray, at: int) -> int:
    a, b, c, d, e = data[at : at + 5]
    return (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1


def _write(data: bytearray, at: int, value: int) -> None:
    data[at] = data[at] & 0xF1 | (value >> 30 & 7) << 1
    data[at + 1] = value >> 22 & 0xFF
    data[at + 2] = (value >> 15 & 0x7F) << 1 | 1
    data[at + 3] = value >> 7 & 0xFF
    data[at + 4] = (value & 0x7F) << 1 | 1
