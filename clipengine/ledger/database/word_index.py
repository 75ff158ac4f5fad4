"""Full-text index over the words of cues: FTS5 in SQLite, a GIN index of a `tsvector` in PostgreSQL.

`clips.words` splits and folds the words, so both find the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.clips.words import Phrase
from clipengine.ledger.database.backend import Run


class Fts5:
    tables = "cue_words CROSS JOIN cues c ON c.cue_id = cue_words.rowid"
    cue_id = "cue_words.rowid"
    match = "cue_words MATCH ?"

    def create(self, run: Run) -> None:
        run("CREATE VIRTUAL TABLE cue_words USING fts5 (words, content='cues', content_rowid='cue_id')")
        run(
            """CREATE TRIGGER cues_inserted AFTER INSERT ON cues BEGIN
                INSERT INTO cue_words (rowid, words) VALUES (new.cue_id, new.words);
            END"""
        )
        run(
            """CREATE TRIGGER cues_deleted AFTER DELETE ON cues BEGIN
                INSERT INTO cue_words (cue_words, rowid, words) VALUES ('delete', old.cue_id, old.words);
            END"""
        )

    def query(self, phrases: Sequence[Phrase]) -> str:
        return " ".join(f'"{" ".join(phrase.words)}"{" *" if phrase.prefix else ""}' for phrase in phrases)


class Tsvector:
    tables = "cues c"
    cue_id = "c.cue_id"
    match = "to_tsvector('simple', c.words) @@ to_tsquery('simple', ?)"

    def create(self, run: Run) -> None:
        run("CREATE INDEX cues_words ON cues USING gin (to_tsvector('simple', words))")

    def query(self, phrases: Sequence[Phrase]) -> str:
        # Words have letters and digits only, so the quotes need no escapes.
        quoted = [" <-> ".join(f"'{word}'" for word in phrase.words) for phrase in phrases]
        return " & ".join(
            f"({words}{':*' if phrase.prefix else ''})" for words, phrase in zip(quoted, phrases, strict=True)
        )
