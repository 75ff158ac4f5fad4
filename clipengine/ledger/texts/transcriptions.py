"""Transcriptions: jobs that make transcripts, one passage after the other.

A passage is kept when it is finished, so that a killed engine loses one at most. When all are, one transaction makes
the transcript of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.clips.texts.cues import MAX_CUES, Cue, TimedWord
from clipengine.clips.transcription import Passage, Transcriber, Transcription
from clipengine.errors import (
    Cancelled,
    ClipEngineError,
    QueueFull,
    RecordingNotFound,
    TranscriptExists,
    TranscriptionEnded,
    TranscriptNotFound,
)
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import PassageRow, RecordingRow, TranscriptionRow
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.lock_order import lock_recordings
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.rows.permission import Permit, by_engine
from clipengine.ledger.texts.transcripts import MAX_TRANSCRIPTS, Transcripts
from clipengine.ledger.webhooks.events import Events

_UNKNOWN = "und"  # the language of a transcript without a known one
_CLAIMED = owned_rows(TranscriptionRow, TranscriptionRow.state == "processing")


class Transcriptions:
    def __init__(self, database: Database, events: Events, transcripts: Transcripts, *, max_queued: int) -> None:
        self._database = database
        self._events = events
        self._transcripts = transcripts
        self._max_queued = max_queued
        self._leases = Leases(database, TranscriptionRow.transcript_id, TranscriptionRow.lease, kind="transcription")

    def add(
        self,
        recording_id: str,
        *,
        source: Transcriber,
        language: str | None = None,
        track: int = 0,
        created_by: str | None = None,
    ) -> Transcription:
        """Queue a transcription. One with the same values that has not ended is returned instead.

        Raises RecordingNotFound, QueueFull, and TranscriptExists if the recording has a transcript in this language
        that was not made.
        """
        with self._database.transaction(ordered=False):
            if self._database.by_key(RecordingRow, recording_id, lock=True) is None:
                raise RecordingNotFound.of(recording_id)
            rows = self._database.rows(_newest(recording_id))
            for row in rows:
                if row["state"] == "processing" and _request(row) == (language, source, track):
                    return _transcription(row)
            known = None if language is None else self._transcripts.find(recording_id, language)
            if known is not None and known.source != "made":
                raise TranscriptExists(f"the recording has a transcript in {language} ({known.source})")
            if len(self._waiting()) >= self._max_queued:
                raise QueueFull(f"{self._max_queued} transcriptions are queued")
            for row in rows[MAX_TRANSCRIPTS - 1 :]:
                if row["state"] != "processing":
                    self._database.change(TranscriptionRow.delete().where(_is(row["transcript_id"])))
            values = {**_new_row(recording_id, language, source, track), "created_by": created_by}
            self._database.insert(TranscriptionRow.insert(values))
            self._database.record_change("transcription", values["transcript_id"])
            self._database.enqueue("transcriptions", values["transcript_id"])
            return self.get(values["transcript_id"])

    def add_ahead(self, recording_id: str, *, source: Transcriber, language: str | None) -> None:
        """Queue the transcription of a recording that has no transcript yet. Call it in a transaction."""
        if self._transcripts.preferred(recording_id, None) is None and len(self._waiting()) < self._max_queued:
            self.add(recording_id, source=source, language=language)

    def get(self, transcript_id: str, *, lock: bool = False) -> Transcription:
        """Return a transcription. Raises TranscriptNotFound."""
        row = self._database.by_key(TranscriptionRow, transcript_id, lock=lock)
        if row is None:
            raise TranscriptNotFound(f"there is no transcription {transcript_id}")
        return _transcription(row)

    def list(
        self, *, recording_id: str | None = None, status: str | None = None, limit: int, cursor: str | None = None
    ) -> Page[Transcription]:
        """Return a page of transcriptions, newest first."""
        query = TranscriptionRow.select()
        if recording_id is not None:
            query = query.where(TranscriptionRow.recording_id == recording_id)
        if status is not None:
            query = query.where(TranscriptionRow.state == status)
        return read_page(
            self._database,
            query,
            of="transcriptions",
            created_at=TranscriptionRow.created_at,
            ident=TranscriptionRow.transcript_id,
            limit=limit,
            cursor=cursor,
            make=_transcription,
        )

    def claim(self, owner: str, sources: Collection[Transcriber]) -> Transcription | None:
        """Claim the transcription by one of `sources` that has waited longest, or return None."""
        values = {"attempts": TranscriptionRow.attempts + 1}
        claimed = self._leases.claim(lambda: _due(sources), owner, values=values)
        return _transcription(claimed[0]) if claimed else None

    def is_due(self, sources: Collection[Transcriber]) -> bool:
        return self._database.row(_due(sources)) is not None

    def passages(self, transcription: Transcription) -> Sequence[Passage]:
        """Return the finished passages in order of time."""
        query = PassageRow.select().where(PassageRow.transcript_id == transcription.transcript_id)
        return [_passage(row) for row in self._database.rows(query.order_by(PassageRow.start_sample))]

    def keep(self, transcription: Transcription, passage: Passage, *, progress: float) -> bool:
        """Store a finished passage, after which earlier attempts do not count. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            if not self._change(transcription, {"progress": progress, "attempts": 1, "error": None}):
                return False
            self._database.insert(PassageRow.insert(_passage_row(transcription, passage)))
        return True

    def report(self, transcription: Transcription, progress: float) -> bool:
        """Record the progress. Return False if the claim was lost, such as by a cancellation."""
        with self._database.transaction(durable=False, ordered=False):
            return self._change(transcription, {"progress": progress}, notify=False)

    def complete(self, transcription: Transcription) -> bool:
        """Make the transcript of the finished passages. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            lock_recordings(self._database, [transcription.recording_id])
            passages = self.passages(transcription)
            language = transcription.language or _most_spoken(passages)
            cues, warnings = _all_cues(passages)
            values = {
                "state": "complete",
                "progress": 1.0,
                "found_language": language,
                "cues": len(cues),
                "error": None,
            }
            if not self._end(transcription.transcript_id, self._held(transcription), values):
                return False
            stored, _ = self._transcripts.put(
                transcription.recording_id,
                language,
                cues,
                source="made",
                transcript_id=transcription.transcript_id,
                created_by=transcription.created_by,
            )
            if stored.source != "made":
                warnings.append(f"transcript_kept: the recording has a transcript in {language} ({stored.source})")
            update = TranscriptionRow.update(warnings=warnings).where(_is(transcription.transcript_id))
            self._database.change(update)
            self._events.transcription_ended(self.get(transcription.transcript_id))
        return True

    def fail(self, transcription: Transcription, error: ClipEngineError) -> bool:
        """Set the transcription `failed` and write its event. Return False if the claim was lost."""
        return self._failed(transcription.transcript_id, self._held(transcription), error)

    def cancel(self, transcript_id: str, *, permit: Permit = by_engine) -> Transcription:
        """End a transcription. Raises TranscriptNotFound or TranscriptionEnded."""
        with self._database.transaction(ordered=False):
            found = self.get(transcript_id, lock=True)
            permit(lambda: found.created_by)
            running = _is(transcript_id) & (TranscriptionRow.state == "processing")
            cancelled = Cancelled(
                "the transcription was cancelled", hint="Transcribe it again if that is still needed."
            )
            if not self._failed(transcript_id, running, cancelled):
                raise TranscriptionEnded(f"the transcription has ended: it is {found.state}")
            return self.get(transcript_id)

    def later(
        self,
        transcription: Transcription,
        *,
        delay_ms: int,
        error: ClipEngineError | None = None,
        counts: bool = True,
    ) -> bool:
        """Release the claim; it is due again after `delay_ms`. Return False if the claim was lost.

        The `error` of the attempt is kept until a passage is finished.
        """
        values: dict[str, Any] = {"owner": None, "next_at": now_ms() + delay_ms}
        if error is not None:
            values["error"] = error.to_object()
        if not counts:
            values["attempts"] = TranscriptionRow.attempts - 1
        with self._database.transaction(ordered=False):
            return self._change(transcription, values)

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned claims and return their number, see `Leases.orphans`."""
        return self._leases.release_orphans(_CLAIMED, owner, {"next_at": now_ms()}, in_flight=in_flight, living=living)

    def _waiting(self) -> Sequence[Row]:
        waiting = TranscriptionRow.select(TranscriptionRow.transcript_id)
        return self._database.rows(waiting.where(TranscriptionRow.state == "processing").limit(self._max_queued))

    def _held(self, transcription: Transcription) -> Any:
        held = self._leases.held([transcription.transcript_id], fence=transcription.lease, owner=transcription.owner)
        return held & (TranscriptionRow.state == "processing")

    def _change(self, transcription: Transcription, values: Row, *, notify: bool = True) -> bool:
        if not self._database.change(TranscriptionRow.update(values).where(self._held(transcription))):
            return False
        record = self._database.record_change if notify else self._database.record_progress
        record("transcription", transcription.transcript_id)
        return True

    def _failed(self, transcript_id: str, where: Any, error: ClipEngineError) -> bool:
        with self._database.transaction(ordered=False):
            if not self._end(transcript_id, where, {"state": "failed", "error": error.to_object()}):
                return False
            self._events.transcription_ended(self.get(transcript_id))
        return True

    def _end(self, transcript_id: str, where: Any, values: Row) -> bool:
        """End a transcription and delete its passages. Return False if `where` does not hold."""
        ended = {**values, "owner": None, "completed_at": now_ms()}
        if not self._database.change(TranscriptionRow.update(ended).where(where)):
            return False
        self._database.change(PassageRow.delete().where(PassageRow.transcript_id == transcript_id))
        self._database.record_change("transcription", transcript_id)
        return True


def _new_row(recording_id: str, language: str | None, source: Transcriber, track: int) -> Row:
    now = now_ms()
    return {
        "transcript_id": new_id("trn"),
        "recording_id": recording_id,
        "language": language,
        "source": source,
        "track": track,
        "state": "processing",
        "progress": 0.0,
        "cues": 0,
        "warnings": [],
        "attempts": 0,
        "lease": 0,
        "next_at": now,
        "created_at": now,
    }


def _due(sources: Collection[Transcriber]) -> Any:
    row = TranscriptionRow
    waiting = row.select().where(row.state == "processing", row.owner.is_null(), row.next_at <= now_ms())
    return waiting.where(row.source.in_(list(sources))).order_by(row.next_at, row.transcript_id).limit(1)


def _newest(recording_id: str) -> Any:
    row = TranscriptionRow
    return row.select().where(row.recording_id == recording_id).order_by(row.created_at.desc(), row.transcript_id)


def _is(transcript_id: str) -> Any:
    return TranscriptionRow.transcript_id == transcript_id


def _request(row: Row) -> tuple[str | None, str, int]:
    return row["language"], row["source"], row["track"]


def _most_spoken(passages: Sequence[Passage]) -> str:
    """Return the language of most of the cues."""
    found: Counter[str] = Counter()
    for passage in passages:
        if passage.language is not None:
            found[passage.language] += len(passage.cues)
    return found.most_common(1)[0][0] if found else _UNKNOWN


def _all_cues(passages: Sequence[Passage]) -> tuple[list[Cue], list[str]]:
    cues = [cue for passage in passages for cue in passage.cues]
    if not cues:
        return [], ["no_speech: nothing is said in the recording"]
    if len(cues) > MAX_CUES:
        return cues[:MAX_CUES], [f"transcript_shortened: {len(cues) - MAX_CUES} cues at the end are left out"]
    return cues, []


def _transcription(row: Row) -> Transcription:
    return Transcription(**{name: row[name] for name in Transcription.__dataclass_fields__})


def _passage_row(transcription: Transcription, passage: Passage) -> Row:
    cues = [[cue.start_ms, cue.end_ms, cue.text, cue.speaker, cue.timed_words] for cue in passage.cues]
    return {**asdict(passage), "cues": cues, "transcript_id": transcription.transcript_id}


def _passage(row: Row) -> Passage:
    cues = tuple(
        Cue(start, end, text, speaker, tuple(TimedWord(*word) for word in words))
        for start, end, text, speaker, words in row["cues"]
    )
    return Passage(row["start_sample"], row["end_sample"], row["language"], cues)
