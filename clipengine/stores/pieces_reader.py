"""Reader of a recording of many files: its pieces, one after the other, as one object."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict

from clipengine.errors import ObjectChanged, ObjectMissing, PieceMissing
from clipengine.recordings.piece_columns import ObjectRanges
from clipengine.recordings.pieces import ObjectRange, PieceIndex
from clipengine.stores.base import ObjectReader, Store, StoredObject

_OPEN_OBJECTS = 8


class PiecesReader:
    """ObjectReader over the virtual object of an index. Each piece is pinned to its own ETag. Thread-safe.

    At most 8 objects are open at a time. Its size spans the space between the tracks; `stored_bytes` is without that.
    """

    def __init__(self, store: Store, key: str, index: PieceIndex, *, etag: str, modified: int = 0) -> None:
        self._store = store
        self._offsets, self._ranges = array("q"), ObjectRanges()
        for offset, data in index.located():
            self._offsets.append(offset)
            self._ranges.append(data)
        self._open: OrderedDict[tuple[str, str], ObjectReader] = OrderedDict()
        self._lock = threading.Lock()
        self._used: set[int] = set()
        self.info = StoredObject(key, self._offsets[-1] + self._ranges[-1].length, etag, modified)
        self.stored_bytes = sum(each.length for each in self._ranges)

    def read_at(self, offset: int, length: int) -> bytes:
        end, parts = min(offset + length, self.info.size), []
        while offset < end:
            number = bisect_right(self._offsets, offset) - 1
            piece = self._ranges[number]
            skipped = offset - self._offsets[number]
            if skipped >= piece.length:
                break  # between two tracks
            self._used.add(number)
            taken = min(end - offset, piece.length - skipped)
            parts.append(self._read(piece, piece.offset + skipped, taken))
            offset += taken
        return b"".join(parts)

    def _read(self, piece: ObjectRange, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                data = self._opened(piece).read_at(offset, length)
        except ObjectMissing as error:
            raise PieceMissing(f"{piece.key}, a file of the recording, is missing") from error
        if len(data) < length:
            raise ObjectChanged(f"{piece.key} was shortened")
        return data

    def _opened(self, piece: ObjectRange) -> ObjectReader:
        known = self._open.pop((piece.key, piece.etag), None)
        reader = self._store.open(piece.key, etag=piece.etag) if known is None else known
        self._open[piece.key, piece.etag] = reader
        if len(self._open) > _OPEN_OBJECTS:
            self._open.popitem(last=False)[1].close()
        return reader

    @property
    def used(self) -> list[ObjectRange]:
        """The pieces, and the headers, from which bytes were read."""
        return [self._ranges[number] for number in sorted(self._used)]

    def fileno(self) -> int | None:
        """Return None: a child never gets the descriptors of pieces."""
        return None

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
