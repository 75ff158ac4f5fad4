"""Batches of rules: what a rule makes of a recording, or of a marker, becomes a batch (see `batches`).

The unique key of a batch holds if an event comes twice, or the same content is registered again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import Any

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import BatchRow
from clipengine.ledger.recordings.markers import Markers
from clipengine.ledger.texts.transcripts import Transcripts
from clipengine.rules.rule import Rule, RuleSpec, contains_one

_Read = Callable[[], Collection[str]]


class RuleBatches:
    """Inserts the batches of rules. All methods run in the transaction of the caller."""

    def __init__(self, database: Database, transcripts: Transcripts, markers: Markers) -> None:
        self._database = database
        self._transcripts = transcripts
        self._markers = markers

    def languages(self, row: Row) -> _Read:
        """Return the languages of a recording's transcripts, read when they are needed first."""
        return cache(lambda: self._transcripts.languages(row["recording_id"]))

    def labels(self, row: Row) -> _Read:
        """Return the labels of a recording's markers, read when they are needed first."""
        return cache(lambda: [each.label for each in self._markers.list(row["recording_id"])])

    def insert_past(self, rule: Rule, spec: RuleSpec, row: Row) -> int:
        """Insert the batches of a recording of a backfill, and return the greatest number that these may be."""
        recording_id, event = row["recording_id"], spec.when.event
        if event == "marker.added":
            markers = self._markers.list(recording_id)
            named = [(each.key, each.label) for each in markers]
            return self.insert_markers(rule, spec, row, named, most=spec.max_clips)
        self.insert_complete(rule, spec, row, self.languages(row), self.labels(row))
        return 1

    def insert_complete(
        self, rule: Rule, spec: RuleSpec, row: Row, languages: _Read, labels: _Read, *, delay_ms: int = 0
    ) -> None:
        """Insert the batch of a complete recording, if it has the transcript and the markers that the rule needs."""
        when, occasion = spec.when, "complete"
        if when.event == "transcript.ready":
            if not languages() or when.language not in (None, *languages()):
                return
            occasion = f"transcript:{when.language}" if when.language else "transcript"
        if spec.ranges.kind == "markers" and not any(contains_one(each, spec.ranges.labels) for each in labels()):
            return
        self._insert(rule, row, occasion, delay_ms=delay_ms)

    def insert_markers(
        self, rule: Rule, spec: RuleSpec, row: Row, markers: Iterable[tuple[str, str]], *, most: int
    ) -> int:
        """Insert a batch of each new marker, given by key and label, up to the most clips of a recording, and count."""
        subject = _subject_of_markers(row)
        this = (BatchRow.rule_id == rule.rule_id, BatchRow.subject == subject)
        known = {each["occasion"] for each in self._database.rows(BatchRow.select(BatchRow.occasion).where(*this))}
        named = [f"marker:{key}" for key, label in markers if contains_one(label, spec.ranges.labels)]
        new = [each for each in named if each not in known]
        wanted = new[: max(0, min(most, spec.max_clips - len(known)))]
        for occasion in wanted:
            self._insert(rule, row, occasion, subject=subject)
        return len(wanted)

    def _insert(
        self, rule: Rule, recording: Row, occasion: str, *, subject: str | None = None, delay_ms: int = 0
    ) -> None:
        now = now_ms()
        values = {
            "batch_id": new_id("bat"),
            "rule_id": rule.rule_id,
            "revision": 0,
            "subject": subject or _subject_of(recording),
            "occasion": occasion,
            "recording_id": recording["recording_id"],
            "state": "waiting",
            "next_at": now + delay_ms,
            "created_at": now,
        }
        self._database.insert(BatchRow.insert(values).on_conflict_ignore())
        self._database.enqueue("batches", values["batch_id"])


def _subject_of(recording: Row) -> str:
    """Return the hash of a recording's content: the same if it is deleted and registered again."""
    if recording["source_id"] is not None:
        of: list[Any] = ["src", recording["source_id"]]
    elif recording["folder"] is not None:
        of = ["cam", recording["folder"]]
    else:
        of = ["obj", recording["bucket_path"], recording["digest"] or recording["etag"]]
    return _hashed(of)


def _subject_of_markers(recording: Row) -> str:
    """Return the hash of a recording that gets markers: the same before and after its end."""
    etag = recording["etag"] if recording["revision"] is None else None
    return _hashed(["mark", recording["bucket_path"], recording["source_id"] or recording["folder"] or etag])


def _hashed(of: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
