"""The header of a run and consecutive pieces of it as one file, so that one demuxer can read them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from av.packet import Packet

from clipengine.media.input.containers.cached_reader import ByteSource, Span
from clipengine.media.input.containers.header_splice import HeaderSplice, splice_at
from clipengine.recordings.containers import EBML_MAGIC
from clipengine.recordings.piece_seek_index import PlacedRun


class PieceSource:
    """Byte source of a part of a run, of which the pieces with the numbers `first` to `last` are read.

    Behind a header, the pieces keep their distance from it, because fragments and clusters may state byte offsets. The
    bytes of the pieces before them are not read.
    """

    def __init__(self, source: ByteSource, run: PlacedRun, first: int, last: int) -> None:
        self._source = source
        self._head_offset, self._head = run.head
        pieces = run.pieces[first : last + 1]
        self._base = self._head_offset if self._head else pieces[0].offset
        self.begin = pieces[0].offset - self._base
        self.ends = [piece.offset + piece.length - self._base for piece in pieces]
        self.size = self.ends[-1]
        self.remote = source.remote

    @cached_property
    def _header(self) -> bytes:
        return self._source.read_at(self._head_offset, self._head)

    @property
    def splice(self) -> HeaderSplice | None:
        """The place of the header: a demuxer that knows it does not look for an index in all pieces."""
        if not self._head:
            return None
        container = "matroska" if self._header.startswith(EBML_MAGIC) else "mov"
        return splice_at(container, self._head, self.begin) or HeaderSplice(self._head, self._head, b"")

    def certain(self, length: int) -> list[Span]:
        """Return the ranges of the header and of the first `length` bytes of the pieces."""
        return [(0, self._head), (self.begin, self.begin + length)]

    def has(self, packet: Packet[Any]) -> bool:
        """Return False for a packet that the header describes, and that lies before the pieces."""
        return not self._head or packet.pos is None or not self._head <= packet.pos < self.begin

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        """Read the range. Nothing is kept: a cache of blocks would also read pieces that the clip does not need."""
        end = min(offset + length, self.size)
        data = self._header[offset:end] if offset < self._head else b""
        offset += len(data)
        skipped = max(0, min(end, self.begin) - offset)
        if offset + skipped < end:
            read = self._source.read_at(self._base + offset + skipped, end - offset - skipped)
            return data + bytes(skipped) + read
        return data + bytes(skipped)
