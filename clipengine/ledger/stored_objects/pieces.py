"""Pieces of recordings of many files, in packed pages: a row for each piece would take many times as much room."""

from __future__ import annotations

from base64 import b85decode, b85encode
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import peewee

from clipengine.errors import RecordingNotFound
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import PieceFolderRow, PieceIndexRow, PiecePageRow
from clipengine.recordings.piece_pages import PiecePage, pack_added, pack_head, pack_pages, unpack, unpack_end
from clipengine.recordings.pieces import PieceIndex

_ROWS_AT_ONCE = 50
_KEYS_AT_ONCE = 500
# Indexes that an engine of 0.2.0 has stored.
_UNLISTED = (
    "SELECT piece_indexes.recording_id, recordings.bucket_path FROM piece_indexes"
    " JOIN recordings ON recordings.recording_id = piece_indexes.recording_id WHERE NOT listed"
)


class Pieces:
    """The indexes of recordings. The one that was read last is kept, because a job needs it several times.

    The head of one that is still written changes with its pages.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[str, str, PieceIndex] | None = None  # with its head

    def put(self, recording_id: str, index: PieceIndex) -> None:
        """Store the index of a recording. Call it in a transaction, once."""
        head = _text(pack_head(index))
        self._database.insert(PieceIndexRow.insert(recording_id=recording_id, data=head, listed=True))
        rows = [
            {**page._asdict(), "recording_id": recording_id, "data": _text(page.data)} for page in pack_pages(index)
        ]
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            self._database.insert(PiecePageRow.insert_many(rows[first : first + _ROWS_AT_ONCE]))
        self._add_folders(recording_id, index)

    def remove(self, recording_id: str) -> None:
        """Delete the index of a recording. Call it in a transaction."""
        for row in (PieceIndexRow, PiecePageRow, PieceFolderRow):
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
        self._add_folders(recording_id, tail)

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

    def among(self, keys: Collection[str]) -> set[str]:
        """Return the keys that are pieces of recordings."""
        by_folder: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            by_folder[_split(key)[0]].add(_split(key)[1])
        candidates: dict[str, set[str]] = defaultdict(set)
        for row in self._folders(by_folder):
            names = {each for each in by_folder[row["folder"]] if row["first_name"] <= each <= row["last_name"]}
            if names:
                candidates[row["recording_id"]] |= {row["folder"] + each for each in names}
        for recording_id, bucket_path in self._database.run(_UNLISTED):
            candidates[recording_id] |= {each for each in keys if each.startswith(_split(bucket_path)[0])}
        found: set[str] = set()
        for recording_id, wanted in candidates.items():
            if not wanted <= found and (index := self.get(recording_id)) is not None:
                found |= wanted & {each.key for each in index.ranges()}
        return found

    def list_folders(self) -> Iterator[int]:
        """List the folders of the indexes that an engine of 0.2.0 has stored. Yield 1 after each."""
        for recording_id, _ in self._database.run(_UNLISTED):
            with self._database.transaction(ordered=False):
                is_left = self._database.by_key(PieceIndexRow, recording_id, lock=True) is not None
                if is_left and (index := self.get(recording_id)) is not None:
                    self._add_folders(recording_id, index)
                listed = PieceIndexRow.update(listed=True).where(PieceIndexRow.recording_id == recording_id)
                self._database.change(listed)
            yield 1

    def _folders(self, folders: Collection[str]) -> Iterator[Row]:
        wanted = [*folders]
        for first in range(0, len(wanted), _KEYS_AT_ONCE):
            of_these = PieceFolderRow.folder.in_(wanted[first : first + _KEYS_AT_ONCE])
            yield from self._database.rows(PieceFolderRow.select().where(of_these))

    def _add_folders(self, recording_id: str, index: PieceIndex) -> None:
        """Add the folders of pieces, each with the first and the last of their names in the order of characters."""
        names: dict[str, list[str]] = defaultdict(list)
        for folder, name in {_split(each.key) for each in index.ranges()}:
            names[folder].append(name)
        own = PieceFolderRow.recording_id == recording_id
        for row in self._database.rows(PieceFolderRow.select().where(own)):
            if row["folder"] in names:
                names[row["folder"]] += [row["first_name"], row["last_name"]]
        key = [PieceFolderRow.folder, PieceFolderRow.recording_id]
        for folder, found in names.items():
            ends = {"first_name": min(found), "last_name": max(found)}
            insert = PieceFolderRow.insert(folder=folder, recording_id=recording_id, **ends)
            self._database.insert(insert.on_conflict(conflict_target=key, update=ends))


def _split(key: str) -> tuple[str, str]:
    """Return the folder of a key, empty or with a slash at its end, and its name."""
    folder, slash, name = key.rpartition("/")
    return folder + slash, name


def _text(data: bytes) -> str:
    return b85encode(data).decode()
