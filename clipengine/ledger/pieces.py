"""Pieces of recordings of many files, in packed pages: a row for each piece would take many times as much room."""

from __future__ import annotations

from base64 import b85decode, b85encode

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import PieceIndexRow, PiecePageRow
from clipengine.recordings.piece_pages import PiecePage, pack_head, pack_pages, unpack
from clipengine.recordings.pieces import PieceIndex

_ROWS_AT_ONCE = 50


class Pieces:
    """The indexes of recordings. The one that was read last is kept, because a job needs it several times."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[str, PieceIndex] | None = None

    def put(self, recording_id: str, index: PieceIndex) -> None:
        """Store the index of a recording. Call it in a transaction, once."""
        self._database.insert(PieceIndexRow.insert(recording_id=recording_id, data=_text(pack_head(index))))
        rows = [
            {**page._asdict(), "recording_id": recording_id, "data": _text(page.data)} for page in pack_pages(index)
        ]
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            self._database.insert(PiecePageRow.insert_many(rows[first : first + _ROWS_AT_ONCE]))

    def get(self, recording_id: str) -> PieceIndex | None:
        """Return the index of a recording, which must not be changed, or None if it is one file."""
        last = self._last
        if last is not None and last[0] == recording_id:
            return last[1]
        row = self._database.by_key(PieceIndexRow, recording_id)
        if row is None:
            return None
        query = PiecePageRow.select().where(PiecePageRow.recording_id == recording_id)
        pages = [
            PiecePage(page["track"], page["first"], page["start_us"], b85decode(page["data"]))
            for page in self._database.rows(query.order_by(PiecePageRow.track, PiecePageRow.first))
        ]
        index = unpack(b85decode(row["data"]), pages)
        self._last = recording_id, index
        return index


def _text(data: bytes) -> str:
    return b85encode(data).decode()
