"""Pieces of recordings of many files, in packed pages: a row for each piece would take many times as much room."""

from __future__ import annotations

from base64 import b85decode, b85encode
from collections.abc import Mapping
from typing import Any

import peewee

from clipengine.errors import RecordingNotFound
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import PieceIndexRow, PiecePageRow
from clipengine.recordings.piece_pages import PiecePage, pack_added, pack_head, pack_pages, unpack, unpack_end
from clipengine.recordings.pieces import PieceIndex

_ROWS_AT_ONCE = 50


class Pieces:
    """The indexes of recordings. The one that was read last is kept, because a job needs it several times.

    The head of one that is still written changes with its pages.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[str, str, PieceIndex] | None = None  # with its head

    def put(self, recording_id: str, index: PieceIndex) -> None:
        """Store the index of a recording. Call it in a transaction, once."""
        self._database.insert(PieceIndexRow.insert(recording_id=recording_id, data=_text(pack_head(index))))
        rows = [
            {**page._asdict(), "recording_id": recording_id, "data": _text(page.data)} for page in pack_pages(index)
        ]
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            self._database.insert(PiecePageRow.insert_many(rows[first : first + _ROWS_AT_ONCE]))

    def remove(self, recording_id: str) -> None:
        """Delete the index of a recording. Call it in a transaction."""
        for row in (PieceIndexRow, PiecePageRow):
            self._database.change(row.delete().where(row.recording_id == recording_id))
        self._last = None  # the ETags of pieces are not in the head

    def end(self, recording_id: str) -> PieceIndex:
        """Return the index of a recording with the last piece of each track only. Raises RecordingNotFound."""
        return unpack_end(*self._end(recording_id))

    def append(self, recording_id: str, tail: PieceIndex) -> None:
        """Add pieces to the index of a recording, see `pack_added`. Call it in a transaction."""
        head, pages = pack_added(*self._end(recording_id), tail)
        update = PieceIndexRow.update(data=_text(head))
        self._database.change(update.where(PieceIndexRow.recording_id == recording_id))
        for page in pages:
            row = {**page._asdict(), "recording_id": recording_id, "data": _text(page.data)}
            key = [PiecePageRow.recording_id, PiecePageRow.track, PiecePageRow.first]
            replaced = {"data": row["data"]}
            self._database.insert(PiecePageRow.insert(row).on_conflict(conflict_target=key, update=replaced))

    def pin(self, recording_id: str, etags: Mapping[tuple[str, str], str]) -> None:
        """Change the ETags of an index, see `PieceIndex.pinned`. Call it in a transaction."""
        index = self.get(recording_id) if etags else None
        if index is not None:
            self.remove(recording_id)
            self.put(recording_id, index.pinned(etags))

    def _end(self, recording_id: str) -> tuple[bytes, list[PiecePage]]:
        """Return the head of an index, and the last page of each track."""
        row = self._database.by_key(PieceIndexRow, recording_id)
        if row is None:
            raise RecordingNotFound.of(recording_id)
        own = PiecePageRow.recording_id == recording_id
        last = PiecePageRow.select(PiecePageRow.track, peewee.fn.MAX(PiecePageRow.first).alias("first")).where(own)
        return b85decode(row["data"]), [
            page
            for each in self._database.rows(last.group_by(PiecePageRow.track))
            for page in self._pages(own, PiecePageRow.track == each["track"], PiecePageRow.first == each["first"])
        ]

    def _pages(self, *where: Any) -> list[PiecePage]:
        query = PiecePageRow.select().where(*where).order_by(PiecePageRow.track, PiecePageRow.first)
        return [
            PiecePage(page["track"], page["first"], page["start_us"], b85decode(page["data"]))
            for page in self._database.rows(query)
        ]

    def get(self, recording_id: str) -> PieceIndex | None:
        """Return the index of a recording, which must not be changed, or None if it is one file."""
        with self._database.session():
            row = self._database.by_key(PieceIndexRow, recording_id)
            while row is not None:
                last = self._last
                if last is not None and last[:2] == (recording_id, row["data"]):
                    return last[2]
                pages = self._pages(PiecePageRow.recording_id == recording_id)
                before, row = row, self._database.by_key(PieceIndexRow, recording_id)
                if row == before:  # otherwise the pages may belong to another head, or be deleted
                    index = unpack(b85decode(row["data"]), pages)
                    self._last = recording_id, row["data"], index
                    return index
        return None


def _text(data: bytes) -> str:
    return b85encode(data).decode()
