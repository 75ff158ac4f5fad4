"""Transcripts of recordings, one per language: cues with their times, and the search in their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.words import highlights, indexed_words, parse_query
from clipengine.errors import InvalidRequest, RecordingNotFound, TranscriptNotFound
from clipengine.ledger.database.database import Database, Row, insert_statement
from clipengine.ledger.database.schema import CueRow, RecordingRow, TranscriptRow
from clipengine.ledger.rows.cursors import decode_cursor, encode_cursor
from clipengine.ledger.rows.documents import forget_said
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.rows.permission import Permit, by_engine
from clipengine.ledger.webhooks.events import Events
from clipengine.objects.transcript import Source, TranscriptObject

_RANK: dict[str, int] = {"made": 0, "embedded": 1, "sidecar": 2, "upload": 3}
MAX_TRANSCRIPTS = 50  # of one recording
_INSERT_CUES = insert_statement(CueRow, without=("cue_id",))
_FOUND = "t.recording_id, t.language, c.start_ms, c.end_ms, c.text, c.speaker"


@dataclass(frozen=True)
class Transcript:
    """A transcript without its cues. A replaced one gets a new id."""

    transcript_id: str
    recording_id: str
    language: str
    source: Source
    cues: int
    created_at: int
    etag: str | None = None  # of the sidecar
    created_by: str | None = None

    @property
    def version(self) -> str:
        return self.transcript_id


@dataclass(frozen=True)
class SearchHit:
    """A cue that a search has found. `highlights` has start and end of each match in the text, in characters."""

    recording_id: str
    language: str
    cue: Cue
    highlights: list[list[int]]


class Transcripts:
    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events

    def put(
        self,
        recording_id: str,
        language: str,
        cues: Sequence[Cue],
        *,
        source: Source = "upload",
        etag: str | None = None,
        transcript_id: str | None = None,
        created_by: str | None = None,
        check: Callable[[Transcript | None], None] = lambda stored: None,
    ) -> tuple[Transcript, bool]:
        """Create or replace the transcript in this language, and return it with True if it is new.

        One of a better source, such as an upload, is not replaced, but returned. `transcript_id` is the id of the new
        one, if a transcription has made it. `check` raises if the stored one, or None, must not be replaced. Raises
        RecordingNotFound, and InvalidRequest if the recording has too many transcripts.

        Records `transcript.stored` if the recording is complete, unless a transcription records its own event.
        """
        ident = transcript_id or new_id("trn")
        made = Transcript(ident, recording_id, language, source, len(cues), now_ms(), etag, created_by)
        rows = [
            {
                **vars(cue),
                "transcript_id": made.transcript_id,
                "words": indexed_words(cue.text),
                "timed_words": cue.timed_words or None,
            }
            for cue in reversed(cues)
        ]
        with self._database.transaction(ordered=False):
            recording = self._database.by_key(RecordingRow, recording_id, lock=True)
            if recording is None:
                raise RecordingNotFound.of(recording_id)
            others = self._database.rows(_of(recording_id))
            stored = next((_transcript(row) for row in others if row["language"] == language), None)
            check(stored)
            if stored is not None and _RANK[stored.source] > _RANK[source]:
                return stored, False
            if stored is not None:
                made = replace(made, created_by=stored.created_by)  # who changes it does not own it
            replaced = self._database.change(
                TranscriptRow.delete().where(
                    TranscriptRow.recording_id == recording_id, TranscriptRow.language == language
                )
            )
            if len(others) - replaced >= MAX_TRANSCRIPTS:
                raise InvalidRequest(
                    f"the recording has {len(others)} transcripts", hint="Delete one of another language first."
                )
            self._database.insert(TranscriptRow.insert(vars(made)))
            self._database.insert_many(_INSERT_CUES, rows)
            forget_said(self._database, recording_id)
            if recording["state"] == "complete" and transcript_id is None:
                self._events.transcript_stored(TranscriptObject.of(made))
        return made, not replaced

    def find(self, recording_id: str, language: str) -> Transcript | None:
        row = self._database.row(_of(recording_id).where(TranscriptRow.language == language))
        return None if row is None else _transcript(row)

    def get(self, recording_id: str, language: str) -> Transcript:
        """Return a transcript. Raises RecordingNotFound or TranscriptNotFound."""
        found = self.find(recording_id, language)
        if found is None:
            self._check_recording(recording_id)
            raise TranscriptNotFound(f"the recording has no transcript in the language {language}")
        return found

    def preferred(self, recording_id: str, language: str | None) -> Transcript | None:
        """Return the transcript in this language, or else the recording's first one, or None if it has none.

        A transcript without cues, of a recording in which nothing is said, comes after the others.
        """
        rows = self._database.rows(_of(recording_id).order_by(TranscriptRow.created_at, TranscriptRow.language))
        rows.sort(key=lambda row: (row["language"] != language, not row["cues"]))
        return _transcript(rows[0]) if rows else None

    def languages(self, recording_id: str) -> set[str]:
        """Return the languages of the transcripts of a recording."""
        query = TranscriptRow.select(TranscriptRow.language).where(TranscriptRow.recording_id == recording_id)
        return {row["language"] for row in self._database.rows(query)}

    def cues(self, transcript: Transcript, *, start_ms: int = 0, end_ms: int | None = None) -> list[Cue]:
        """Return the cues of a transcript that overlap the range, sorted by time."""
        columns = (CueRow.start_ms, CueRow.end_ms, CueRow.text, CueRow.speaker, CueRow.timed_words)
        query = CueRow.select(*columns).where(
            CueRow.transcript_id == transcript.transcript_id, CueRow.end_ms > start_ms
        )
        if end_ms is not None:
            query = query.where(CueRow.start_ms < end_ms)
        return [_cue(row) for row in self._database.rows(query.order_by(CueRow.cue_id.desc()))]

    def list(self, recording_id: str, *, limit: int, cursor: str | None = None) -> Page[Transcript]:
        """Return a page of the transcripts of a recording, newest first. Raises RecordingNotFound."""
        self._check_recording(recording_id)
        return read_page(
            self._database,
            _of(recording_id),
            of=f"transcripts/{recording_id}",
            created_at=TranscriptRow.created_at,
            ident=TranscriptRow.transcript_id,
            limit=limit,
            cursor=cursor,
            make=_transcript,
        )

    def delete(self, recording_id: str, language: str, *, permit: Permit = by_engine) -> None:
        """Delete a transcript. Raises RecordingNotFound or TranscriptNotFound."""
        with self._database.transaction(ordered=False):
            self._database.by_key(RecordingRow, recording_id, lock=True)
            found = self.get(recording_id, language)
            permit(lambda: found.created_by)
            forget_said(self._database, recording_id)
            self._database.change(TranscriptRow.delete().where(TranscriptRow.transcript_id == found.transcript_id))

    def search(
        self, query: str, *, within: Transcript | None = None, limit: int, cursor: str | None = None
    ) -> Page[SearchHit]:
        """Return a page of the cues that contain all words of the query: newest transcript first, then by time.

        `within` limits the search to one transcript. Raises InvalidRequest.
        """
        phrases = parse_query(query)
        index = self._database.backend.word_index("cues", "cue_id")
        of = f"search/{within.recording_id}/{within.language}" if within else "search"
        values: list[Any] = [index.query(phrases)]
        conditions = [index.match]
        if within is not None:
            conditions.append("c.transcript_id = ?")
            values.append(within.transcript_id)
        if cursor is not None:
            conditions.append(f"{index.key} < ?")
            values.append(decode_cursor(cursor, of)[0])
        rows = self._database.run(
            f"SELECT {index.key}, {_FOUND} FROM {index.tables}"
            " JOIN transcripts t ON t.transcript_id = c.transcript_id"
            f" WHERE {' AND '.join(conditions)} ORDER BY {index.key} DESC LIMIT ?",
            (*values, limit + 1),
        )
        shown = rows[:limit]
        hits = [
            SearchHit(recording_id, language, Cue(*cue), highlights(cue[2], phrases))
            for _, recording_id, language, *cue in shown
        ]
        return Page(hits, encode_cursor(of, shown[-1][0], "cue") if len(rows) > limit else None)

    def _check_recording(self, recording_id: str) -> None:
        if self._database.by_key(RecordingRow, recording_id) is None:
            raise RecordingNotFound.of(recording_id)


def _cue(row: Row) -> Cue:
    words = tuple(TimedWord(*word) for word in row.pop("timed_words") or ())
    return Cue(**row, timed_words=words)


def _of(recording_id: str) -> Any:
    return TranscriptRow.select().where(TranscriptRow.recording_id == recording_id)


def _transcript(row: Row) -> Transcript:
    return Transcript(**{name: row[name] for name in Transcript.__dataclass_fields__})
