"""Words of clips and recordings, and the filters of their lists by words, tags and metadata.

The words of the speech in clips are beside them, see `spoken`.

The index of words finds the candidates of each filter, so that it does not read all rows. Tags and metadata are then
compared exactly, in their JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import peewee

from clipengine.clips.texts.words import Phrase, indexed_words, parse_query
from clipengine.ledger.database.database import Database, Row, compact_json, insert_statement
from clipengine.ledger.database.schema import ClipDocumentRow, ClipRow
from clipengine.ledger.rows.pages import ListFilter, Search

# More than a valid row has. It fits into a tsvector, whose limit is a megabyte.
MAX_CHARACTERS = 250_000
TURN_OF_SPEECH = "said"
_MAX_WORDS = 20  # of tags and metadata that are looked up in the index
_FEW = 1000
_NEWER = 5000  # matches that are read to find those among the first rows of a list
_BATCH = 500


class Documents:
    """The documents of one table: `model` has the words, and `key` is the key of the rows that it describes."""

    def __init__(
        self, database: Database, model: type[peewee.Model], key: peewee.Field[Any], title: peewee.Field[Any]
    ) -> None:
        self._database = database
        self._table = model._meta.table_name
        self._model, self._key, self._title = model, key, title
        self._insert, self._insert_missing, self._put = (
            insert_statement(model, without=("document_id", "said")) for _ in range(3)
        )
        self._insert_missing.sql += " ON CONFLICT DO NOTHING"
        unread = ", said = NULL" if "said" in model._meta.fields else ""
        self._put.sql += f" ON CONFLICT ({key.name}) DO UPDATE SET words = excluded.words{unread}"

    def add(self, row: Mapping[str, Any]) -> None:
        """Index the words of a new row. Call it in the transaction that inserts the row."""
        self._database.insert(self._insert, **self._document(row))

    def replace(self, row: Mapping[str, Any]) -> None:
        """Index the words of a changed row. Call it in the transaction that changes the row."""
        self._database.insert(self._put, **self._document(row))

    def remove(self, id: str) -> None:
        """Delete the words of a row that the transaction deletes afterwards."""
        column = self._model._meta.fields[self._key.name]
        self._database.change(self._model.delete().where(column == id))

    def forget_said(self, id: str) -> None:
        """Let the engines read the speech of this clip again."""
        column = self._model._meta.fields[self._key.name]
        self._database.change(self._model.update(said=None).where(column == id))

    def add_missing(self) -> Iterator[int]:
        """Index the rows that an older version wrote, in batches, and yield the number of rows of each batch.

        Engines take turns. A row that another transaction has locked is left for the next call.
        """
        rows, last = self._key.model, ""
        if self._count(rows) == self._count(self._model):
            return
        column = self._model._meta.fields[self._key.name]
        indexed = peewee.fn.EXISTS(self._model.select(peewee.SQL("1")).where(column == self._key))
        while True:
            missing = rows.select().where(self._key > last, ~indexed).order_by(self._key).limit(_BATCH)
            with self._database.transaction(durable=False, ordered=False):
                self._database.turn(self._table)
                found = self._database.rows(self._database.unlocked(missing))
                for row in found:
                    self._database.insert(self._insert_missing, **self._document(row))
            if not found:
                return
            yield len(found)
            last = found[-1][self._key.name]

    def _count(self, model: type[peewee.Model]) -> int:
        return int(self._database.run(f"SELECT count(*) FROM {model._meta.table_name}")[0][0])

    def _document(self, row: Mapping[str, Any]) -> Row:
        pairs = [text for pair in row["metadata"].items() for text in pair]
        text = "\n".join([row[self._title.name] or "", *row["tags"], *pairs])
        return {self._key.name: row[self._key.name], "words": indexed_words(text[:MAX_CHARACTERS])}

    def filter(self, query: Any, wanted: ListFilter, *, only_said: bool = False) -> tuple[Any, Search | None]:
        """Return the query of the rows that have the words, tags and metadata of a filter.

        With `only_said`, these are rows in which some of the words are only said. If many rows have the words,
        return the query without these conditions, and the search for `read_page`. Raises InvalidRequest if `q` has no
        words.
        """
        phrases = [] if wanted.q is None else [*parse_query(wanted.q)]
        exact = [*wanted.tag, *(text for pair in wanted.metadata.items() for text in pair)]
        phrases += [Phrase((word,)) for text in exact for word in indexed_words(text).split()][:_MAX_WORDS]
        fields = self._key.model._meta.fields
        conditions = [self._database.contains(fields["tags"], compact_json(tag)) for tag in wanted.tag]
        for name, value in wanted.metadata.items():
            pair = f"{compact_json(name)}:{compact_json(value)}"
            conditions.append(self._database.contains(fields["metadata"], pair))
        if not phrases:
            return query.where(*conditions) if conditions else query, None
        index = self._database.backend.word_index(self._table, "document_id")
        words: tuple[str, ...] = (index.query(phrases),)
        match = index.match
        if only_said:
            differs, index = index.differs, self._database.backend.word_index(self._table, "document_id", "said")
            match, words = f"{index.match} AND {differs}", words * 2
        select = f"SELECT c.{self._key.name} FROM {index.tables} WHERE {match}"
        found = [ident for (ident,) in self._database.run(f"{select} LIMIT {_FEW + 1}", words)]
        if len(found) <= _FEW:
            return query.where(self._key.in_(found), *conditions), None
        # The database would look up and sort all rows. If many match, the first ones are found sooner in the order of
        # the list: an expression prevents that the rows are looked up by their key.
        matches = self._database.any_of(self._key.concat(""), select, *words)
        if self._database.shared:
            return query.where(matches, *conditions), None

        def among(idents: Sequence[str]) -> list[str]:
            """Read the index from the oldest of these rows on: SQLite would read all of it for `matches`."""
            these = f"{self._key.name} IN (SELECT value FROM json_each(?))"
            oldest = f"SELECT MIN(document_id) FROM {self._table} WHERE {these}"
            ((since,),) = self._database.run(oldest, (compact_json(idents),))
            newer = f"{select} AND {index.key} >= ? LIMIT {_NEWER + 1}"
            found = {ident for (ident,) in self._database.run(newer, (*words, since or 0))}
            return [ident for ident in idents if ident in found] if len(found) <= _NEWER else []

        return query, Search(among, conditions, matches)


def forget_said(database: Database, recording_id: str) -> None:
    """Let the engines read the speech of a recording's clips again. Other words find them meanwhile.

    Call it in the transaction that changes the transcripts, which has locked the recording.
    """
    database.turn(TURN_OF_SPEECH)  # two recordings may have clips in common
    of_part = peewee.Expression(ClipRow.parts, peewee.OP.ILIKE, peewee.Value(f'%"{recording_id}"%', converter=False))
    of_own = ClipRow.recording_id == recording_id
    # Each row once: PostgreSQL locks the clip of a row that a transaction changes again.
    for condition in (of_own, ~of_own & ClipRow.parts.is_null(False) & of_part):
        # Also of clips that were not indexed yet: another engine may be reading the former transcripts.
        clips = ClipRow.select(ClipRow.clip_id).where(condition)
        database.change(ClipDocumentRow.update(said=None).where(ClipDocumentRow.clip_id.in_(clips)))
