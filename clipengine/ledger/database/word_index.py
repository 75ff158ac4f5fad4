"""Full-text index over the column `words` of a table: FTS5 in SQLite, a GIN index of a `tsvector` in PostgreSQL.

`clips.texts.words` splits and folds the words, so both find the same. Rows are added and deleted, never updated.
"""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.clips.texts.words import Phrase
from clipengine.ledger.database.backend import Run


class Fts5:
    def __init__(self, table: str, key: str) -> None:
        self._table, self._key = table, key
        self._name = f"{table.removesuffix('s')}_words"
        self.tables = f"{self._name} CROSS JOIN {table} c ON c.{key} = {self._name}.rowid"
        self.key = f"{self._name}.rowid"
        self.match = f"{self._name} MATCH ?"

    def create(self, run: Run) -> None:
        table, key, name = self._table, self._key, self._name
        run(f"CREATE VIRTUAL TABLE {name} USING fts5 (words, content='{table}', content_rowid='{key}')")
        run(
            f"""CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN
                INSERT INTO {name} (rowid, words) VALUES (new.{key}, new.words);
            END"""
        )
        run(
            f"""CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN
                INSERT INTO {name} ({name}, rowid, words) VALUES ('delete', old.{key}, old.words);
            END"""
        )

    def query(self, phrases: Sequence[Phrase]) -> str:
        return " ".join(f'"{" ".join(phrase.words)}"{" *" if phrase.prefix else ""}' for phrase in phrases)


class Tsvector:
    def __init__(self, table: str, key: str) -> None:
        self._table = table
        self.tables = f"{table} c"
        self.key = f"c.{key}"
        self.match = "to_tsvector('simple', c.words) @@ to_tsquery('simple', ?)"

    def create(self, run: Run) -> None:
        run(f"CREATE INDEX {self._table}_words ON {self._table} USING gin (to_tsvector('simple', words))")

    def query(self, phrases: Sequence[Phrase]) -> str:
        # Words have letters and digits only, so the quotes need no escapes.
        quoted = [" <-> ".join(f"'{word}'" for word in phrase.words) for phrase in phrases]
        return " & ".join(
            f"({words}{':*' if phrase.prefix else ''})" for words, phrase in zip(quoted, phrases, strict=True)
        )
