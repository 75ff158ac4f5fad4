"""The header of a run and consecutive pieces of it as one file, so that one demuxer can read them."""

from __future__ import annotations

from clipengine.media.input.header_splice import HeaderSplice
from clipengine.media.input.source import ByteSource
from clipengine.recordings.piece_seek_index import PlacedRun


class PieceSource:
    """Byte source of a part of a run, of which the pieces with the numbers `first` to `last` are read."""

    def __init__(self, source: ByteSource, run: PlacedRun, first: int, last: int) -> None:
        self._source = source
        self._head_offset, self._head = run.head
        pieces = run.pieces[first : last + 1]
        self._begin = pieces[0].offset
        self.ends = [self._head + piece.offset + piece.length - self._begin for piece in pieces]
        self.size = self.ends[-1]
        self.remote = source.remote

    @property
    def splice(self) -> HeaderSplice | None:
        """The place of the header: a demuxer that knows it does not look for an index in all pieces."""
        return HeaderSplice(self._head, self._head, b"") if self._head else None

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        """Read the range. Nothing is kept: a cache of blocks would also read pieces that the clip does not need."""
        end = min(offset + length, self.size)
        data = b""
        if offset < min(end, self._head):
            data = self._source.read_at(self._head_offset + offset, min(end, self._head) - offset)
            offset += len(data)
        if offset < end:
            data += self._source.read_at(self._begin + offset - self._head, end - offset)
        return data
