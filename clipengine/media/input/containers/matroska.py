"""Parser for the Matroska elements that FFmpeg's demuxer does not expose (RFC 8794, RFC 9559)."""

from __future__ import annotations

from collections.abc import Iterator

from clipengine.media.input.containers.cached_reader import MediaReader, Span
from clipengine.recordings.containers import Element, element_at, element_number

_EBML, _SEGMENT, _CLUSTER, _CUES = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1C53BB6B
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_MAX_ELEMENTS = 100


def cues_span(reader: MediaReader) -> Span | None:
    """Return the byte range of the Cues, or None if the file has none or is not Matroska."""
    segment: int | None = None
    for element in _head(reader):
        if element.id == _SEGMENT:
            segment = element.content
        elif element.id == _CUES and element.end is not None:
            return element.start, element.end
        elif element.id == _SEEK_HEAD and segment is not None:
            position = _seek_position(reader, element, _CUES)
            found = None if position is None else element_at(reader, segment + position)
            if found is not None and found.id == _CUES and found.end is not None:
                return found.start, found.end
    return None


def head_end(reader: MediaReader) -> int | None:
    """Return the offset of the first cluster, or None if the file has none or is not Matroska."""
    return next((element.start for element in _head(reader) if element.id == _CLUSTER), None)


def _head(reader: MediaReader) -> Iterator[Element]:
    """Yield the EBML header, the segment, and the segment's elements up to the first cluster."""
    offset: int | None = 0
    for number in range(_MAX_ELEMENTS):
        element = None if offset is None else element_at(reader, offset)
        if element is None or (number == 0) != (element.id == _EBML):
            return
        yield element
        if element.id == _CLUSTER:
            return
        offset = element.content if element.id == _SEGMENT else element.end


def _seek_position(reader: MediaReader, seek_head: Element, id: int) -> int | None:
    """Return the position of an element from a SeekHead, relative to the segment's content."""
    for seek in _inside(reader, seek_head):
        if seek.id != _SEEK:
            continue
        values = {field.id: element_number(reader, field) for field in _inside(reader, seek)}
        if values.get(_SEEK_ID) == id:
            return values.get(_SEEK_POSITION)
    return None


def _inside(reader: MediaReader, outer: Element) -> Iterator[Element]:
    offset, end = outer.content, outer.end or 0
    for _ in range(_MAX_ELEMENTS):
        element = element_at(reader, offset) if offset < end else None
        if element is None or element.end is None:
            return
        yield element
        offset = element.end
