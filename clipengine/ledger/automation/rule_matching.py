"""Cursor over the stored events with which rules act.

One engine at a time reads the events after the cursor. In the transaction that advances it, each complete recording
that a rule matches becomes a batch, so that no event is missed or counted twice. Events of engines of an older release,
which know no rules, are read like any others.

A rule that needs a newer format of rows stops the cursor until an engine reads it that knows the format.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

from clipengine.basis.row_format import ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.ledger.automation.rule_batches import RuleBatches
from clipengine.ledger.automation.rules import LAST_READ, TURN_OF_RULES, Rules, as_rule, next_recordings
from clipengine.ledger.database.database import Database, Row, Statement, param
from clipengine.ledger.database.schema import BatchItemRow, BatchRow, EventRow, RecordingRow, RuleRow
from clipengine.ledger.recordings.recordings import as_recording
from clipengine.ledger.webhooks.events import Events
from clipengine.rules.rule import Rule, RuleSpec

_EVENTS_AT_ONCE = 500
BATCHES_AT_ONCE = 500  # in a transaction, for which other writers wait
_RECORDINGS_AT_ONCE = 100
_OF_TRANSCRIPT = ("transcript.ready", "transcript.stored")
_TRIGGERS = frozenset({"recording.complete", *_OF_TRANSCRIPT, "marker.added"})
_MORE_MARKERS_MS = 10_000  # after a marker that comes late, before the rule acts on all of them
_IS_DUE = f"""SELECT 1 WHERE EXISTS (SELECT 1 FROM rules)
    AND EXISTS (SELECT 1 FROM events WHERE seq > {LAST_READ})
    OR EXISTS (SELECT 1 FROM rules WHERE backfilling AND enabled)"""
_AFTER = Statement(
    EventRow.select(EventRow.seq, EventRow.type, EventRow.clip_id, EventRow.recording_id, EventRow.error_code)
    .where(EventRow.seq > param(EventRow.seq))
    .order_by(EventRow.seq)
    .limit(_EVENTS_AT_ONCE)
)


class RuleMatching:
    """Matches events, and the recordings of backfills, with the rules."""

    def __init__(self, database: Database, events: Events, rules: Rules, batches: RuleBatches) -> None:
        self._database = database
        self._events = events
        self._rules = rules
        self._batches = batches

    def is_due(self) -> bool:
        """Return True if there are rules, and events or recordings of a backfill that they have not seen."""
        return bool(self._database.run(_IS_DUE))

    def act(self) -> int:
        """Read the next events, or the next recordings of a backfill, and return their number.

        Returns 0 if there are none, or if newer engines must read them.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(TURN_OF_RULES)
            rows = self._database.rows(RuleRow.select().where(RuleRow.enabled))
            if any(row["needs"] > ROW_FORMAT for row in rows):
                return 0
            events = self._database.rows(_AFTER, seq=self._rules.cursor())
            if not events:
                return self._backfill(rows)
            events = _at_once(events, len(rows))
            rules = [(rule, rule.spec) for rule in map(as_rule, rows)]
            self._match(rules, events)
            if self._match_markers(rules, events[-1]):
                self._rules.set_cursor(events[-1]["seq"])
                self._count(events)
            return len(events)

    def _match(self, rules: Sequence[tuple[Rule, RuleSpec]], events: Sequence[Row]) -> None:
        """Insert a batch for each rule and each complete recording that it matches, unless there is one.

        Transcripts and markers may be stored before their recording is complete, and after it.
        """
        acting = [(rule, spec, triggers) for rule, spec in rules if (triggers := _triggers_of(spec))]
        for recording_id, seqs in _newest(events).items() if acting else ():
            row = self._database.by_key(RecordingRow, recording_id)
            if row is None or row["state"] != "complete":
                continue
            recording, languages, labels = as_recording(row), self._batches.languages(row), self._batches.labels(row)
            for rule, spec, triggers in acting:
                new = {each for each in triggers if seqs.get(each, 0) > rule.since_seq}
                if new and spec.when.matches(recording):
                    delay_ms = _MORE_MARKERS_MS if new == {"marker.added"} else 0
                    self._batches.insert_complete(rule, spec, row, languages, labels, delay_ms=delay_ms)

    def _match_markers(self, rules: Sequence[tuple[Rule, RuleSpec]], event: Row) -> bool:
        """Insert a batch for each rule and each marker of the event, up to the most clips of a recording.

        Returns False after BATCHES_AT_ONCE of them: the next call continues.
        """
        wanting = [(rule, spec) for rule, spec in rules if spec.when.event == "marker.added"]
        if event["type"] != "marker.added" or not wanting:
            return True
        row = self._database.by_key(RecordingRow, event["recording_id"])
        stored = self._database.row(EventRow.select(EventRow.payload).where(EventRow.seq == event["seq"]))
        if row is None or stored is None:
            return True
        recording, room = as_recording(row), BATCHES_AT_ONCE
        markers = [(each["key"], each["label"]) for each in json.loads(stored["payload"])["data"]["markers"]]
        for rule, spec in wanting:
            if event["seq"] > rule.since_seq and spec.when.matches(recording):
                room -= self._batches.insert_markers(rule, spec, row, markers, most=room)
            if room == 0:
                return False
        return True

    def _backfill(self, rows: Iterable[Row]) -> int:
        """Match the next recordings of the first rule that has a backfill, and return their number."""
        row = next((each for each in rows if each["backfilling"]), None)
        if row is None:
            return 0
        rule, state = as_rule(row), dict(row["backfill"])
        most = min(_RECORDINGS_AT_ONCE, state["total"] - state["seen"])
        found = self._database.rows(next_recordings(state, most)) if most else []
        spec, before, batches = rule.spec, state["seen"], 0
        for each in found:
            if spec.when.matches(as_recording(each)):
                state["matched"] += 1
                batches += self._batches.insert_past(rule, spec, each)
            state["seen"] += 1
            state["position"] = [each["created_at"], each["recording_id"]]
            if batches >= BATCHES_AT_ONCE:
                break
        if not found:
            state |= {"state": "complete", "ended_at": now_ms()}
        self._rules.set_backfill(rule.rule_id, state)
        return state["seen"] - before or 1

    def _count(self, events: Sequence[Row]) -> None:
        """Count how the clips of rules have ended, and stop rules with too many failures."""
        ends = {row["clip_id"]: row for row in events if row["type"] in ("clip.ready", "clip.failed")}
        if not ends:
            return
        of_rules = (
            BatchItemRow.select(BatchItemRow.clip_id, BatchRow.rule_id)
            .join(BatchRow, on=(BatchRow.batch_id == BatchItemRow.batch_id))
            .where(BatchItemRow.clip_id.in_(list(ends)), BatchRow.rule_id.is_null(False))
        )
        found = {row["clip_id"]: row["rule_id"] for row in self._database.rows(of_rules)}
        stopped: Sequence[Rule] = ()
        for rule_id in sorted(set(found.values())):
            own = [row for clip_id, row in ends.items() if found.get(clip_id) == rule_id]
            stopped = (*stopped, *self._rules.note(rule_id, [row["error_code"] for row in own]))
        for rule in stopped:
            self._events.rule_stopped(rule)  # last: from here on, other transactions wait for this one


def _at_once(events: list[Row], rules: int) -> list[Row]:
    """Return the first events, of which so many rules make about BATCHES_AT_ONCE batches.

    One with markers, of which each rule may make many batches, stands alone.
    """
    batches = 0
    for number, each in enumerate(events):
        if each["type"] == "marker.added":
            return events[: max(1, number)]
        batches += rules if each["type"] in _TRIGGERS else 0
        if batches >= BATCHES_AT_ONCE:
            return events[: number + 1]
    return events


def _triggers_of(spec: RuleSpec) -> Collection[str]:
    """Return the types of events on which a rule acts on a complete recording as a whole, if it meets the rule then."""
    if spec.when.event == "marker.added":
        return ()
    of_transcript = _OF_TRANSCRIPT if spec.when.event == "transcript.ready" else ()
    of_markers = ("marker.added",) if spec.ranges.kind == "markers" else ()
    return ("recording.complete", *of_transcript, *of_markers)


def _newest(events: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return the numbers of the newest events that trigger rules, by recording and type."""
    found: dict[str, dict[str, int]] = {}
    for row in events:
        if row["type"] in _TRIGGERS:
            found.setdefault(row["recording_id"], {})[row["type"]] = row["seq"]
    return found
