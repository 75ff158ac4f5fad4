"""Speech of clips, for the search: the words of all transcripts of their recordings, in their ranges.

A document without them is read later, beside the engine's other work: a new or changed clip has one, and the clips of a
recording whose transcripts change.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from clipengine.clips.clip import Clip
from clipengine.clips.texts.cues import TimedWord
from clipengine.clips.texts.fillers import is_filler
from clipengine.clips.texts.word_times import is_said
from clipengine.clips.texts.words import indexed_words
from clipengine.ledger.clips.clips import as_clip
from clipengine.ledger.database.database import Database, Row, Statement, param
from clipengine.ledger.database.schema import ClipDocumentRow, ClipRow, CueRow, TranscriptRow
from clipengine.ledger.rows.documents import MAX_CHARACTERS

# Of the speech of one clip: about 100 minutes. PostgreSQL finds phrases among 16,383 words.
MAX_SAID_WORDS = 16_000
MAX_SAID_CHARACTERS = 100_000
_BATCH = 100
_BATCH_SECONDS = 0.05  # no further recording is read in a transaction after this time
_UNREAD = (
    ClipDocumentRow.select(ClipDocumentRow.document_id, ClipDocumentRow.clip_id, ClipDocumentRow.words)
    .where(ClipDocumentRow.said.is_null())
    .order_by(ClipDocumentRow.document_id.desc())
)
_IS_UNREAD = Statement(_UNREAD.limit(1))
_WRITE = Statement(
    ClipDocumentRow.update(said=param(ClipDocumentRow.said)).where(
        ClipDocumentRow.document_id == param(ClipDocumentRow.document_id)
    )
)
_TRANSCRIPTS = Statement(
    TranscriptRow.select(TranscriptRow.transcript_id, TranscriptRow.language)
    .where(TranscriptRow.recording_id == param(TranscriptRow.recording_id), TranscriptRow.cues > 0)
    .order_by(TranscriptRow.created_at, TranscriptRow.language)
)
_TIMED_WORDS = Statement(CueRow.select(CueRow.timed_words).where(CueRow.cue_id == param(CueRow.cue_id)))
_CUES = (
    "SELECT cue_id, start_ms, end_ms, text FROM cues WHERE transcript_id = ? AND end_ms > ? AND start_ms < ?"
    " ORDER BY cue_id DESC"
)


class _Span(NamedTuple):
    """A range of a recording that a clip contains, in ms."""

    clip: Clip
    start: int
    end: int


class _Cue(NamedTuple):
    cue_id: int
    start: int
    end: int
    text: str


class Spoken:
    def __init__(self, database: Database) -> None:
        self._database = database

    def is_unread(self) -> bool:
        """Return True if the speech of a clip was not read yet."""
        return self._database.row(_IS_UNREAD) is not None

    def read(self) -> Iterator[int]:
        """Read the speech of clips, the newest first, and yield the number of clips of each short transaction.

        Engines share the work: documents that another transaction has locked are left.
        """
        while True:
            with self._database.transaction(durable=False, ordered=False):
                documents = self._database.rows(self._database.unlocked(_UNREAD.limit(_BATCH)))
                if not documents:
                    return
                number = self._read_batch(documents)
            yield number

    def _read_batch(self, documents: Sequence[Row]) -> int:
        until = time.monotonic() + _BATCH_SECONDS
        of_clip = {document["clip_id"]: document for document in documents}
        of_recording: dict[str, list[str]] = {}
        clips = ClipRow.select(ClipRow.clip_id, ClipRow.recording_id).where(ClipRow.clip_id.in_([*of_clip]))
        for row in self._database.rows(clips):
            of_recording.setdefault(row["recording_id"], []).append(row["clip_id"])
        number = 0
        for ids in of_recording.values():
            found = self._database.rows(ClipRow.select().where(ClipRow.clip_id.in_(ids)))
            said = self._said([as_clip(row) for row in found])
            for clip_id in ids:
                document, words = of_clip[clip_id], said.get(clip_id, "")
                whole = f"{words} {document['words']}"[:MAX_CHARACTERS] if words else ""
                self._database.change(_WRITE, said=whole, document_id=document["document_id"])
            number += len(ids)
            if time.monotonic() > until:
                break
        return number

    def _said(self, clips: Iterable[Clip]) -> dict[str, str]:
        """Return the speech of clips by their ids."""
        spans: dict[str, list[_Span]] = {}
        for clip in clips:
            if clip.output is None or not clip.output.is_timelapse:  # which has no audio
                for part in clip.contained:
                    span = _Span(clip, round(part.start_seconds * 1000), round(part.end_seconds * 1000))
                    spans.setdefault(part.recording_id, []).append(span)
        found: dict[str, list[str]] = {}
        for recording_id, own in spans.items():
            transcripts = self._database.rows(_TRANSCRIPTS, recording_id=recording_id)
            for transcript in transcripts:
                for clip_id, text in self._texts(transcript, own).items():
                    words = _first(indexed_words(text), MAX_SAID_WORDS // len(transcripts))
                    found.setdefault(clip_id, []).append(words)
        return {clip_id: _first(" ".join(texts), MAX_SAID_WORDS).strip() for clip_id, texts in found.items()}

    def _texts(self, transcript: Row, spans: Sequence[_Span]) -> dict[str, str]:
        """Return the text of a transcript in the spans, by the ids of their clips."""
        first, last = min(span.start for span in spans), max(span.end for span in spans)
        cues = [_Cue(*row) for row in self._database.run(_CUES, (transcript["transcript_id"], first, last))]
        starts = [cue.start for cue in cues]
        ends = [*accumulate((cue.end for cue in cues), max)]  # the latest end so far, which can be searched
        texts: dict[str, str] = {}
        for span in spans:
            text = texts.get(span.clip.clip_id, "")
            for cue in cues[bisect_right(ends, span.start) : bisect_left(starts, span.end)]:
                if cue.end > span.start and len(text) < MAX_SAID_CHARACTERS:
                    text += self._text(cue, transcript["language"], span) + "\n"
            texts[span.clip.clip_id] = text
        return texts

    def _text(self, cue: _Cue, language: str, span: _Span) -> str:
        """Return the text of a cue: only its words in the span if the times of words are known."""
        without_fillers = "fillers" in span.clip.without.kinds
        if span.start <= cue.start and cue.end <= span.end and not without_fillers:
            return cue.text
        (row,) = self._database.rows(_TIMED_WORDS, cue_id=cue.cue_id)
        words = [TimedWord(*word) for word in row["timed_words"] or ()]
        said = [
            word.text
            for word in words
            if is_said(word, span.start, span.end)
            if not (without_fillers and is_filler(word.text, language))
            or span.clip.without.keeps(word.start_ms, word.end_ms)
        ]
        return " ".join(said) if words else cue.text


def _first(words: str, most: int) -> str:
    return " ".join(words.split(" ", most)[:most])[:MAX_SAID_CHARACTERS]
