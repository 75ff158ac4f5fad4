"""Full-text index over a column of words of a table: FTS5 in SQLite, a GIN index of a `tsvector` in PostgreSQL.

`clips.texts.words` splits and folds the words, so both find the same. The column `words` has no NULL. Of other columns,
rows without words are not in the index.
"""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.clips.texts.words import Phrase
from clipengine.ledger.database.backend import Run


class Fts5:
    def __init__(self, table: str, key: str, column: str) -> None:
        self._table, self._key, self._column = table, key, column
        self._name = f"{table.removesuffix('s')}_{column}"
        self._triggers = table if column == "words" else f"{table}_{column}"
        self.tables = f"{self._name} CROSS JOIN {table} c ON c.{key} = {self._name}.rowid"
        self.key = f"{self._name}.rowid"
        self.match = f"{self._name} MATCH ?"
        self.differs = f"c.{key} NOT IN (SELECT rowid FROM {self._name} WHERE {self._name} MATCH ?)"

    def create(self, run: Run) -> None:
        table, key, name, column = self._table, self._key, self._name, self._column
        run(f"CREATE VIRTUAL TABLE {name} USING fts5 ({column}, content='{table}', content_rowid='{key}')")
        for event, statement in (("INSERT", self._added), ("DELETE", self._removed)):
            trigger = f"{self._triggers}_{event.lower().removesuffix('e')}ed"
            run(f"CREATE TRIGGER {trigger} AFTER {event} ON {table} BEGIN {statement}; END")

    def follow_updates(self, run: Run) -> None:
        trigger = f"CREATE TRIGGER {self._triggers}_updated AFTER UPDATE OF {self._column} ON {self._table}"
        run(f"{trigger} BEGIN {self._removed}; {self._added}; END")

    @property
    def _added(self) -> str:
        return f"INSERT INTO {self._name} (rowid, {self._column}) SELECT {self._values('new')}"

    @property
    def _removed(self) -> str:
        """Return the statement that removes the old words. Other words than were added damage the index."""
        return f"INSERT INTO {self._name} ({self._name}, rowid, {self._column}) SELECT 'delete', {self._values('old')}"

    def _values(self, row: str) -> str:
        where = "" if self._column == "words" else f" WHERE {row}.{self._column} <> ''"
        return f"{row}.{self._key}, {row}.{self._column}{where}"

    def query(self, phrases: Sequence[Phrase]) -> str:
        return " ".join(f'"{" ".join(phrase.words)}"{" *" if phrase.prefix else ""}' for phrase in phrases)


class Tsvector:
    def __init__(self, table: str, key: str, column: str) -> None:
        self._table, self._column = table, column
        self.tables = f"{table} c"
        self.key = f"c.{key}"
        found = f"to_tsvector('simple', c.{column}) @@ to_tsquery('simple', ?)"
        self.match = found if column == "words" else f"c.{column} <> '' AND {found}"
        self.differs = f"NOT ({found})"

    def create(self, run: Run) -> None:
        where = "" if self._column == "words" else f" WHERE {self._column} <> ''"
        index = f"CREATE INDEX {self._table}_{self._column} ON {self._table}"
        run(f"{index} USING gin (to_tsvector('simple', {self._column})){where}")

    def follow_updates(self, run: Run) -> None:
        """Do nothing: PostgreSQL updates its indexes."""

    def query(self, phrases: Sequence[Phrase]) -> str:
        # Words have letters and digits only, so the quotes need no escapes.
        quoted = [" <-> ".join(f"'{word}'" for word in phrase.words) for phrase in phrases]
        return " & ".join(
            f"({words}{':*' if phrase.prefix else ''})" for words, phrase in zip(quoted, phrases, strict=True)
        )
