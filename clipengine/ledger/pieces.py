"""Pieces of recordings of many files, in packed pages: a row for each piece would take many times as much room."""

from __future__ import annotations

from base64 import b85decode, b85encode

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import PieceIndexRow, PiecePageRow
from clipengine.recordings.piece_pages import PiecePage, pack_head, pack_pages, unpack
from clipengine.recordings.pieces import PieceIndex

_ROWS_AT_ONCE = 50


class Pieces:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, recording_id: str, index: PieceIndex) -> None:
        """Store the index of a recording. Call it in a transaction, once."""
        self._database.insert(PieceIndexRow.insert(recording_id=recording_id, data=_text(pack_head(index))))
        rows = [
            {**page._asdict(), "recording_id": recording_id, "data": _text(page.data)} for page in pack_pages(index)
        ]
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            self._database.insert(PiecePageRow.insert_many(rows[first : first + _ROWS_AT_ONCE]))

    def get(self, recording_id: str) -> PieceIndex | None:
        """Return the index of a recording, or None if it is one file."""
        row = self._database.by_key(PieceIndexRow, recording_id)
        if row is None:
            return None
        query = PiecePageRow.select().where(PiecePageRow.recording_id == recording_id)
        pages = [
            PiecePage(page["track"], page["first"], page["start_us"], b85decode(page["data"]))
            for page in self._database.rows(query.order_by(PiecePageRow.track, PiecePageRow.first))
        ]
        return unpack(b85decode(row["data"]), pages)


def _text(data: bytes) -> str:
    return b85encode(data).decode()
