"""Clock of MPEG-TS (ISO/IEC 13818-1): its references (PCR), and the packets that a clock begins with. Pure.

Times are in ticks of 90 kHz. They wrap after 26.5 hours.
"""

from __future__ import annotations

from collections.abc import Iterator

from clipengine.recordings.containers import SeekableReader

PACKET_BYTES = 188
HZ = 90_000
_WRAP = 1 << 33
_BLOCK_BYTES = 5_000 * PACKET_BYTES  # several references, which come every tenth of a second
_FORWARD, _BACKWARD = 10 * HZ, 1 * HZ  # farther is a jump, as in a file that is finished
_TABLES = 0x20  # PIDs below it belong to tables
_NULL = 0x1FFF


def nearest(ticks: int, expected: int | None) -> int:
    """Return the time plus the multiple of the wrap that comes nearest to the expected time."""
    return ticks if expected is None else ticks + (expected - ticks + _WRAP // 2) // _WRAP * _WRAP


def is_jump(before: int, time: int) -> bool:
    """Return True if two references that follow each other are of two clocks."""
    return not -_BACKWARD <= time - before <= _FORWARD


def references(reader: SeekableReader, offset: int) -> Iterator[tuple[int, int | None]]:
    """Yield the packets with a clock reference, as their offset and its time, up to the first one without sync byte.

    Of a whole block without a reference, yield the last packet, with None.
    """
    for begin, data in _blocks(reader, offset, reader.size):
        marks = data[::PACKET_BYTES]
        count = len(marks) - len(marks.lstrip(b"\x47"))
        found = False
        for number, flags in enumerate(data[3 : count * PACKET_BYTES : PACKET_BYTES]):
            at = number * PACKET_BYTES
            if flags & 0x20 and data[at + 4] >= 7 and data[at + 5] & 0x10:
                yield begin + at, int.from_bytes(data[at + 6 : at + 11], "big") >> 7
                found = True
        if count < len(marks):  # space that was allocated, or damage
            return
        if not found and len(data) == _BLOCK_BYTES:
            yield begin + len(data) - PACKET_BYTES, None


def begin_of_clock(reader: SeekableReader, begin: int, end: int, before: int, after: int) -> int:
    """Return the offset of the first packet of a clock that shows `after` at `end`: another one showed `before`.

    The clock begins with the first PES packet whose time is nearer to `after`, and with the tables directly before it.
    """
    packets = dict(_packets(reader, begin, end))
    times = ((offset, _pes_time(data)) for offset, data in packets.items())
    found = (offset for offset, time in times if time is not None and _distance(time, after) < _distance(time, before))
    first = next(found, end)
    while first > begin and _is_table(packets[first - PACKET_BYTES]):
        first -= PACKET_BYTES
    return first


def has_other_clock(reader: SeekableReader, begin: int, end: int, clock: int) -> bool:
    """Return True if a PES packet has a time that is far from the time of the clock."""
    times = (_pes_time(data) for _, data in _packets(reader, begin, end))
    return any(time is not None and _distance(time, clock) > _FORWARD for time in times)


def _packets(reader: SeekableReader, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    for offset, data in _blocks(reader, begin, end):
        for at in range(0, len(data), PACKET_BYTES):
            yield offset + at, data[at : at + PACKET_BYTES]


def _blocks(reader: SeekableReader, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the whole packets between two offsets in blocks, each with its offset."""
    whole = begin + (end - begin) // PACKET_BYTES * PACKET_BYTES
    for offset in range(begin, whole, _BLOCK_BYTES):
        reader.seek(offset)
        yield offset, reader.read(min(_BLOCK_BYTES, whole - offset))


def _distance(time: int, other: int) -> int:
    return abs(time - nearest(other, time))


def _payload(packet: bytes) -> bytes:
    """Return the payload with which a table or a PES packet begins, or nothing."""
    if not packet[1] & 0x40 or not packet[3] & 0x10:
        return b""
    return packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]


def _pes_time(packet: bytes) -> int | None:
    """Return the presentation time of the PES packet that begins in a packet, or None."""
    data = _payload(packet)
    if not data.startswith(b"\0\0\1") or len(data) < 14 or not data[7] & 0x80:
        return None
    return (data[9] >> 1 & 7) << 30 | (data[10] << 7 | data[11] >> 1) << 15 | data[12] << 7 | data[13] >> 1


def _is_table(packet: bytes) -> bool:
    pid = (packet[1] & 0x1F) << 8 | packet[2]
    payload = _payload(packet)
    return pid < _TABLES or pid == _NULL or (payload != b"" and not payload.startswith(b"\0\0\1"))
