"""Parsers of the structure of MP4 (ISO/IEC 14496-12, 4.2), RIFF, AIFF, ASF and Matroska (RFC 8794). Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_MAX_BOXES = 1000
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MAX_RIFF_BYTES = 0x7FFF_F000  # writers to a pipe state this size or a larger one


class SeekableReader(Protocol):
    """Bytes that can be read from any position."""

    @property
    def size(self) -> int: ...

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int: ...

    def read(self, length: int) -> bytes: ...


def boxes(
    reader: SeekableReader, start: int = 0, end: int | None = None, *, limit: int = _MAX_BOXES
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type, content offset and stated end of each box between two offsets."""
    end = reader.size if end is None else end
    offset = start
    for _ in range(limit):
        if offset + 8 > end:
            return
        reader.seek(offset)
        header = reader.read(16)
        length, content = int.from_bytes(header[:4], "big"), offset + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16], "big"), offset + 16
        elif length == 0:
            length = end - offset
        yield header[4:8], content, offset + length
        if length < 8:
            return
        offset += length


def time_scales(reader: SeekableReader, start: int, end: int) -> dict[int, int]:
    """Return the time scale of each track by its id, from the content of `moov`; empty if it is not fragmented."""
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


def _field(reader: SeekableReader, content: int, short: int, long: int) -> int:
    """Return the u32 of a full box at offset `short` in version 0 or `long` in version 1."""
    reader.seek(content)
    header = reader.read(long + 4)
    at = long if header[:1] == b"\x01" else short
    return int.from_bytes(header[at : at + 4], "big")


def stated_size(reader: SeekableReader) -> int | None:
    """Return the size that the header of AVI, WAV, AIFF or ASF states, or None if it states none."""
    reader.seek(0)
    header = reader.read(28)
    kind, size = header[:4], int.from_bytes(header[4:8], "big" if header[:4] == b"FORM" else "little")
    if header[:16] == _ASF_HEADER:
        return _asf_size(reader)
    if kind in (b"RF64", b"BW64") and header[12:16] == b"ds64":  # EBU Tech 3306
        size = int.from_bytes(header[20:28], "little")
    elif kind not in (b"RIFF", b"FORM") or size >= _MAX_RIFF_BYTES:
        return None
    return 8 + size if size else None


def _asf_size(reader: SeekableReader) -> int | None:
    """Return the size in the File Properties Object, or None if the file was streamed, which has no valid size."""
    offset = 30  # of the first object in the header object
    for _ in range(_MAX_BOXES):
        if offset >= reader.size:
            break
        reader.seek(offset)
        found = reader.read(92)
        length = int.from_bytes(found[16:24], "little")
        if len(found) < 92 or length < 24:
            break
        if found[:16] == _ASF_FILE_PROPERTIES:
            return None if found[88] & 1 else int.from_bytes(found[40:48], "little")
        offset += length
    return None


class Element(NamedTuple):
    """Offsets of an element, its content and its end; `end` is None if its size is unknown."""

    id: int
    start: int
    content: int
    end: int | None


def element_at(reader: SeekableReader, offset: int) -> Element | None:
    """Return the element at the offset, or None if it is not valid."""
    if offset < 0 or offset >= reader.size:
        return None
    reader.seek(offset)
    header = reader.read(12)
    length = 9 - header[0].bit_length() if header[0] else 0
    if not 0 < length <= 4 or len(header) <= length or not header[length]:
        return None
    id, rest = int.from_bytes(header[:length], "big"), header[length:]
    width = 9 - rest[0].bit_length()
    if len(rest) < width:
        return None
    size = int.from_bytes(rest[:width], "big") & ((1 << 7 * width) - 1)
    content = offset + length + width
    return Element(id, offset, content, None if size == (1 << 7 * width) - 1 else content + size)


def element_number(reader: SeekableReader, element: Element) -> int:
    """Return the content of an element as an unsigned number."""
    reader.seek(element.content)
    return int.from_bytes(reader.read(min((element.end or 0) - element.content, 8)), "big")
