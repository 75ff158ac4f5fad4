"""Rules, and the cursor over the stored events with which they act.

One engine at a time reads the events after the cursor. In the transaction that advances it, each complete recording
that a rule matches becomes a batch (see `batches`), so that no event is missed or counted twice. The unique key of a
batch also holds if an event comes twice or the same content is registered again. Events of engines of an older release,
which know no rules, are read like any others.

A rule that needs a newer format of rows stops the cursor until an engine reads it that knows the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from clipengine.errors import ClipEngineError, Conflict, RecordingError, RuleNotFound
from clipengine.ids import new_id
from clipengine.ledger.database.database import Database, Row, Statement, param
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import BatchItemRow, BatchRow, EventRow, RecordingRow, RuleRow
from clipengine.ledger.events import Events
from clipengine.ledger.markers import Markers
from clipengine.ledger.pages import Page, read_page
from clipengine.ledger.recordings import as_recording
from clipengine.ledger.transcripts import Transcripts
from clipengine.objects.webhook import DISABLED_BY_REQUEST, Origin
from clipengine.row_format import ROW_FORMAT
from clipengine.rules.rule import (
    DISABLED_IN_SETTINGS,
    MAX_RULES,
    ConfiguredRule,
    Rule,
    RuleSpec,
    contains_one,
)
from clipengine.timecode import now_ms

_EVENTS_AT_ONCE = 500
BATCHES_AT_ONCE = 500  # in a transaction, for which other writers wait
_RECORDINGS_AT_ONCE = 100
MAX_BACKFILL = 10_000  # recordings
_OF_TRANSCRIPT = ("transcript.ready", "transcript.stored")
_TRIGGERS = frozenset({"recording.complete", *_OF_TRANSCRIPT, "marker.added"})
_MORE_MARKERS_MS = 10_000  # after a marker that comes late, before the rule acts on all of them
_Read = Callable[[], Collection[str]]
_CURSOR = "rules_seq"  # in `meta`: the number of the last event that was read
_TURN = "rules"
_LAST_READ = f"(SELECT CAST(value AS BIGINT) FROM meta WHERE name = '{_CURSOR}')"
_IS_DUE = f"""SELECT 1 WHERE EXISTS (SELECT 1 FROM rules)
    AND EXISTS (SELECT 1 FROM events WHERE seq > {_LAST_READ})
    OR EXISTS (SELECT 1 FROM rules WHERE backfilling AND enabled)"""
# Condition of events that the rules have read.
READ_BY_RULES = f"(NOT EXISTS (SELECT 1 FROM rules) OR seq <= {_LAST_READ})"
_AFTER = Statement(
    EventRow.select(EventRow.seq, EventRow.type, EventRow.clip_id, EventRow.recording_id, EventRow.error_code)
    .where(EventRow.seq > param(EventRow.seq))
    .order_by(EventRow.seq)
    .limit(_EVENTS_AT_ONCE)
)


def _codes(kind: type[ClipEngineError]) -> Iterable[str]:
    yield kind.code
    for each in kind.__subclasses__():
        yield from _codes(each)


_FIELDS = ("spec", *(name for name in Rule.__dataclass_fields__ if name != "stored"))
# Failures for which a rule is not to blame.
_OF_OTHERS = frozenset({"cancelled", *_codes(RecordingError)})


class Rules:
    def __init__(
        self, database: Database, events: Events, transcripts: Transcripts, markers: Markers, *, stop_after: int
    ) -> None:
        """Disable a rule after `stop_after` failures in a row."""
        self._database = database
        self._transcripts = transcripts
        self._markers = markers
        self._events = events
        self._stop_after = stop_after

    # ---- changes by requests and settings

    def create(
        self,
        name: str,
        spec: RuleSpec,
        *,
        enabled: bool = True,
        origin: Origin = "api",
        created_by: str | None = None,
    ) -> Rule:
        """Store a rule, which acts on later events. Raises Conflict."""
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            shown = self.all()
            if len(shown) >= MAX_RULES:
                raise Conflict(f"there are {MAX_RULES} rules, which is the limit", hint="Delete a rule first.")
            _check_name(name, shown)
            seq, now = self._events.last_seq(), now_ms()
            if self._database.row(RuleRow.select(RuleRow.rule_id).limit(1)) is None:
                self._set_cursor(seq)
            rule_id = new_id("rul")
            values = {
                "rule_id": rule_id,
                "name": name,
                "origin": origin,
                "enabled": enabled,
                "spec": spec.to_stored(),
                "needs": ROW_FORMAT,
                "revision": 1,
                "since_seq": seq,
                "created_at": now,
                "updated_at": now,
                "created_by": created_by,
            }
            self._database.insert(RuleRow.insert(values))
            return self.get(rule_id)

    def update(
        self, rule_id: str, *, name: str | None = None, spec: RuleSpec | None = None, enabled: bool | None = None
    ) -> Rule:
        """Change the values that are not None. Raises RuleNotFound or Conflict.

        A rule that is enabled acts on later events, and on recordings that it had matched before it was disabled. A
        changed rule makes nothing again.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            before = self.get(rule_id, lock=True)
            changed: dict[str, Any] = {}
            if name is not None and name != before.name:
                _check_name(name, self.all())
                changed["name"] = name
            if spec is not None and (stored := spec.to_stored()) != before.stored:
                changed |= {"spec": stored, "needs": ROW_FORMAT}
            if enabled and not before.enabled:
                changed |= {"enabled": True, "since_seq": self._events.last_seq(), "failures_in_row": 0}
                changed |= {"stopped_reason": None, "last_error": None}
            elif enabled is False and before.enabled:
                changed |= {"enabled": False, "stopped_reason": DISABLED_BY_REQUEST}
            if changed:
                changed |= {"revision": before.revision + 1, "updated_at": now_ms()}
                self._change(rule_id, changed)
            return self.get(rule_id)

    def delete(self, rule_id: str) -> None:
        """Delete a rule and cancel what it has not made yet. Its clips stay. Raises RuleNotFound."""
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            self.get(rule_id)
            # Batches before their rule, in the order in which the workers lock them.
            unfinished = (BatchRow.rule_id == rule_id, BatchRow.ended_at.is_null())
            ended = {"state": "cancelled", "ended_at": now_ms(), "owner": None}
            self._database.change(BatchRow.update(ended).where(*unfinished))
            self._remove(rule_id)

    def sync_settings(self, wanted: Sequence[ConfiguredRule]) -> None:
        """Make the rules of origin `settings` match the settings, by name.

        A rule that is removed and listed again is the same one, and makes nothing again. A rule that was disabled by
        request, or has stopped, stays disabled.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            rows = self._database.rows(RuleRow.select().where(RuleRow.origin == "settings"))
            known = {row["name"]: row for row in rows}
            for each in wanted:
                self._sync(known.pop(each.name, None), each)
            for row in known.values():
                if row["removed_at"] is None:
                    self._remove(row["rule_id"])

    def _sync(self, row: Row | None, wanted: ConfiguredRule) -> None:
        spec = RuleSpec.model_validate({name: getattr(wanted, name) for name in RuleSpec.model_fields})
        if row is None:
            rule = self.create(wanted.name, spec, enabled=wanted.enabled, origin="settings")
            rule_id, is_new = rule.rule_id, True
        else:
            rule_id, is_new = row["rule_id"], row["removed_at"] is not None
            if is_new:
                _check_name(wanted.name, self.all())
                self._change(rule_id, {"removed_at": None, "stopped_reason": DISABLED_IN_SETTINGS})
            self.update(rule_id, spec=spec)
        rule = self.get(rule_id)
        if not wanted.enabled and (rule.enabled or is_new):
            self._change(rule_id, {"enabled": False, "stopped_reason": DISABLED_IN_SETTINGS})
        elif wanted.enabled and rule.stopped_reason == DISABLED_IN_SETTINGS:
            self.update(rule_id, enabled=True)

    def _remove(self, rule_id: str) -> None:
        self._change(rule_id, {"enabled": False, "removed_at": now_ms()})

    # ---- reading

    def get(self, rule_id: str, *, lock: bool = False) -> Rule:
        """Return a rule. Raises RuleNotFound."""
        row = self._database.by_key(RuleRow, rule_id, lock=lock)
        if row is None or row["removed_at"] is not None:
            raise RuleNotFound.of(rule_id)
        return as_rule(row)

    def all(self) -> list[Rule]:
        """Return all rules. There are at most MAX_RULES."""
        return [as_rule(row) for row in self._database.rows(_shown())]

    def list(self, *, limit: int, cursor: str | None = None) -> Page[Rule]:
        """Return a page of rules, newest first."""
        return read_page(
            self._database,
            _shown(),
            of="rules",
            created_at=RuleRow.created_at,
            ident=RuleRow.rule_id,
            limit=limit,
            cursor=cursor,
            make=as_rule,
        )

    # ---- acting on earlier recordings

    def start_backfill(self, rule_id: str, *, created_after: int | None) -> Rule:
        """Let an enabled rule act on the complete recordings that were registered until now and after a time.

        Raises RuleNotFound, and Conflict if it is disabled or acts on them already.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            rule, now = self.get(rule_id, lock=True), now_ms()
            if not rule.enabled:
                raise Conflict(f"The rule {rule_id} is disabled", hint="Enable it first.")
            if rule.backfill is not None and rule.backfill["state"] == "running":
                raise Conflict(f"The rule {rule_id} has a backfill already", hint="Wait for its end, or cancel it.")
            backfill: dict[str, Any] = {
                "state": "running",
                "created_after": created_after,
                "started_at": now,
                "ended_at": None,
                "position": [-1 if created_after is None else created_after, ""],
                "seen": 0,
                "matched": 0,
            }
            total = len(self._database.rows(_next_recordings(backfill, MAX_BACKFILL + 1, RecordingRow.recording_id)))
            backfill |= {"total": min(total, MAX_BACKFILL), "left_out": total > MAX_BACKFILL}
            self._set_backfill(rule_id, backfill)
            return self.get(rule_id)

    def cancel_backfill(self, rule_id: str) -> Rule:
        """End the backfill of a rule, if it has one. Its batches stay. Raises RuleNotFound."""
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            rule = self.get(rule_id, lock=True)
            if rule.backfill is not None and rule.backfill["state"] == "running":
                self._set_backfill(rule_id, {**rule.backfill, "state": "cancelled", "ended_at": now_ms()})
            return self.get(rule_id)

    def _backfill(self, rows: Iterable[Row]) -> int:
        """Match the next recordings of the first rule that has a backfill, and return their number."""
        row = next((each for each in rows if each["backfilling"]), None)
        if row is None:
            return 0
        rule, state = as_rule(row), dict(row["backfill"])
        most = min(_RECORDINGS_AT_ONCE, state["total"] - state["seen"])
        found = self._database.rows(_next_recordings(state, most)) if most else []
        spec, before, batches = rule.spec, state["seen"], 0
        for each in found:
            if spec.when.matches(as_recording(each)):
                state["matched"] += 1
                batches += self._insert_past(rule, spec, each)
            state["seen"] += 1
            state["position"] = [each["created_at"], each["recording_id"]]
            if batches >= BATCHES_AT_ONCE:
                break
        if not found:
            state |= {"state": "complete", "ended_at": now_ms()}
        self._set_backfill(rule.rule_id, state)
        return state["seen"] - before or 1

    def _insert_past(self, rule: Rule, spec: RuleSpec, row: Row) -> int:
        """Insert the batches of a recording of a backfill, and return the greatest number that these may be."""
        recording_id, event = row["recording_id"], spec.when.event
        if event == "marker.added":
            markers = self._markers.list(recording_id)
            named = [(each.key, each.label) for each in markers]
            return self._insert_markers(rule, spec, row, named, most=spec.max_clips)
        self._insert_complete(rule, spec, row, self._languages(row), self._labels(row))
        return 1

    def _set_backfill(self, rule_id: str, state: dict[str, Any]) -> None:
        self._change(rule_id, {"backfill": state, "backfilling": state["state"] == "running"})

    # ---- acting on events

    def is_due(self) -> bool:
        """Return True if there are rules, and events or recordings of a backfill that they have not seen."""
        return bool(self._database.run(_IS_DUE))

    def act(self) -> int:
        """Read the next events, or the next recordings of a backfill, and return their number.

        Returns 0 if there are none, or if newer engines must read them.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            rows = self._database.rows(RuleRow.select().where(RuleRow.enabled))
            if any(row["needs"] > ROW_FORMAT for row in rows):
                return 0
            events = self._database.rows(_AFTER, seq=self._cursor())
            if not events:
                return self._backfill(rows)
            events = _at_once(events, len(rows))
            rules = [(rule, rule.spec) for rule in map(as_rule, rows)]
            self._match(rules, events)
            if self._match_markers(rules, events[-1]):
                self._set_cursor(events[-1]["seq"])
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
            recording, languages, labels = as_recording(row), self._languages(row), self._labels(row)
            for rule, spec, triggers in acting:
                new = {each for each in triggers if seqs.get(each, 0) > rule.since_seq}
                if new and spec.when.matches(recording):
                    delay_ms = _MORE_MARKERS_MS if new == {"marker.added"} else 0
                    self._insert_complete(rule, spec, row, languages, labels, delay_ms=delay_ms)

    def _languages(self, row: Row) -> _Read:
        """Return the languages of a recording's transcripts, read when they are needed first."""
        return cache(lambda: self._transcripts.languages(row["recording_id"]))

    def _labels(self, row: Row) -> _Read:
        """Return the labels of a recording's markers, read when they are needed first."""
        return cache(lambda: [each.label for each in self._markers.list(row["recording_id"])])

    def _insert_complete(
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
        self._insert_batch(rule, row, occasion, delay_ms=delay_ms)

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
                room -= self._insert_markers(rule, spec, row, markers, most=room)
            if room == 0:
                return False
        return True

    def _insert_markers(
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
            self._insert_batch(rule, row, occasion, subject=subject)
        return len(wanted)

    def _insert_batch(
        self, rule: Rule, recording: Row, occasion: str, *, subject: str | None = None, delay_ms: int = 0
    ) -> None:
        now = now_ms()
        values = {
            "batch_id": new_id("bat"),
            "rule_id": rule.rule_id,
            "revision": 0,
            "subject": subject or subject_of(recording),
            "occasion": occasion,
            "recording_id": recording["recording_id"],
            "state": "waiting",
            "next_at": now + delay_ms,
            "created_at": now,
        }
        self._database.insert(BatchRow.insert(values).on_conflict_ignore())
        self._database.enqueue("batches", values["batch_id"])

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
            stopped = (*stopped, *self._note(rule_id, [row["error_code"] for row in own]))
        for rule in stopped:
            self._events.rule_stopped(rule)  # last: from here on, other transactions wait for this one

    def refused(self, rule_id: str, error: ClipEngineError) -> None:
        """Count a request of the rule that was refused. Call it at the end of a transaction."""
        for rule in self._note(rule_id, [error.code], error):
            self._events.rule_stopped(rule)

    def count(self, rule_id: str, *, made: int = 0, skipped: int = 0) -> None:
        """Count clips that were queued, and ranges that were skipped. Call it in a transaction."""
        changes: dict[str, Any] = {"made": RuleRow.made + made, "skipped": RuleRow.skipped + skipped}
        if made:
            changes["last_at"] = now_ms()
        self._change(rule_id, changes)

    def _note(self, rule_id: str, codes: Sequence[str | None], error: ClipEngineError | None = None) -> Sequence[Rule]:
        """Count outcomes of clips, None for a success, and return the rule if they stop it."""
        row = self._database.by_key(RuleRow, rule_id, lock=True)
        if row is None:
            return []
        in_row, last = row["failures_in_row"], None
        for code in codes:
            if code is None:
                in_row = 0
            elif code not in _OF_OTHERS:
                in_row, last = in_row + 1, code
        values: Row = {"failures_in_row": in_row, "failed": row["failed"] + sum(code is not None for code in codes)}
        if last is not None:
            values["last_error"] = error.to_object() if error else {"code": last}
        stops = row["enabled"] and last is not None and in_row >= self._stop_after
        if stops:
            values |= {"enabled": False, "stopped_reason": f"{in_row} clips failed in a row, the last with {last}"}
        self._change(rule_id, values)
        return [as_rule(row | values)] if stops else []

    def _change(self, rule_id: str, values: Row) -> None:
        self._database.change(RuleRow.update(values).where(RuleRow.rule_id == rule_id))

    def _cursor(self) -> int:
        return int(read_meta(self._database, _CURSOR) or 0)

    def _set_cursor(self, seq: int) -> None:
        store_meta(self._database, _CURSOR, str(seq))


def subject_of(recording: Row) -> str:
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


def as_rule(row: Row) -> Rule:
    """Return the rule of a row."""
    return Rule(**{"stored" if name == "spec" else name: row[name] for name in _FIELDS})


def _next_recordings(backfill: Mapping[str, Any], limit: int, *columns: Any) -> Any:
    """Return the query of the next complete recordings of a backfill."""
    created_at, recording_id = backfill["position"]
    later = (RecordingRow.created_at > created_at) | (RecordingRow.recording_id > recording_id)
    within = (RecordingRow.created_at >= created_at, RecordingRow.created_at <= backfill["started_at"], later)
    query = RecordingRow.select(*columns).where(RecordingRow.state == "complete", *within)
    return query.order_by(RecordingRow.created_at, RecordingRow.recording_id).limit(limit)


def _shown() -> Any:
    return RuleRow.select().where(RuleRow.removed_at.is_null())


def _check_name(name: str, rules: Iterable[Rule]) -> None:
    if any(rule.name == name for rule in rules):
        raise Conflict(f"there is a rule {name!r} already", hint="Choose another name, or change that rule.")
