"""Rules: the table, its changes by requests and settings, and how the clips of each rule have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clipengine.basis.ids import new_id
from clipengine.basis.row_format import ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError, Conflict, RecordingError, RuleNotFound
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import BatchRow, RecordingRow, RuleRow
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.webhooks.events import Events
from clipengine.objects.webhook import DISABLED_BY_REQUEST, Origin
from clipengine.rules.rule import (
    DISABLED_IN_SETTINGS,
    MAX_RULES,
    ConfiguredRule,
    Rule,
    RuleSpec,
)

MAX_BACKFILL = 10_000  # recordings
TURN_OF_RULES = "rules"
_CURSOR = "rules_seq"  # in `meta`: the number of the last event that was read
LAST_READ = f"(SELECT CAST(value AS BIGINT) FROM meta WHERE name = '{_CURSOR}')"
# Condition of events that the rules have read.
READ_BY_RULES = f"(NOT EXISTS (SELECT 1 FROM rules) OR seq <= {LAST_READ})"


def _codes(kind: type[ClipEngineError]) -> Iterable[str]:
    yield kind.code
    for each in kind.__subclasses__():
        yield from _codes(each)


_FIELDS = ("spec", *(name for name in Rule.__dataclass_fields__ if name != "stored"))
# Failures for which a rule is not to blame.
_OF_OTHERS = frozenset({"cancelled", *_codes(RecordingError)})


class Rules:
    def __init__(self, database: Database, events: Events, *, stop_after: int) -> None:
        """Disable a rule after `stop_after` failures in a row."""
        self._database = database
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
            self._database.turn(TURN_OF_RULES)
            shown = self.all()
            if len(shown) >= MAX_RULES:
                raise Conflict(f"there are {MAX_RULES} rules, which is the limit", hint="Delete a rule first.")
            _check_name(name, shown)
            seq, now = self._events.last_seq(), now_ms()
            if self._database.row(RuleRow.select(RuleRow.rule_id).limit(1)) is None:
                self.set_cursor(seq)
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
        self,
        rule_id: str,
        *,
        name: str | None = None,
        spec: RuleSpec | None = None,
        enabled: bool | None = None,
        revise: Callable[[Rule], RuleSpec | None] = lambda rule: None,
    ) -> Rule:
        """Change the values that are not None. Raises RuleNotFound or Conflict.

        `revise` returns the spec of the rule as it is stored now, or None, and raises if the rule must not be changed.

        A rule that is enabled acts on later events, and on recordings that it had matched before it was disabled. A
        changed rule makes nothing again.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(TURN_OF_RULES)
            before = self.get(rule_id, lock=True)
            spec = revise(before) or spec
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

    def delete(self, rule_id: str, *, check: Callable[[Rule], None] = lambda rule: None) -> None:
        """Delete a rule, unless `check` raises, and cancel what it has not made yet. Its clips stay.

        Raises RuleNotFound.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(TURN_OF_RULES)
            check(self.get(rule_id))
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
            self._database.turn(TURN_OF_RULES)
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

    # ---- backfills

    def start_backfill(self, rule_id: str, *, created_after: int | None) -> Rule:
        """Let an enabled rule act on the complete recordings that were registered until now and after a time.

        Raises RuleNotFound, and Conflict if it is disabled or acts on them already.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(TURN_OF_RULES)
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
            total = len(self._database.rows(next_recordings(backfill, MAX_BACKFILL + 1, RecordingRow.recording_id)))
            backfill |= {"total": min(total, MAX_BACKFILL), "left_out": total > MAX_BACKFILL}
            self.set_backfill(rule_id, backfill)
            return self.get(rule_id)

    def cancel_backfill(self, rule_id: str) -> Rule:
        """End the backfill of a rule, if it has one. Its batches stay. Raises RuleNotFound."""
        with self._database.transaction(ordered=False):
            self._database.turn(TURN_OF_RULES)
            rule = self.get(rule_id, lock=True)
            if rule.backfill is not None and rule.backfill["state"] == "running":
                self.set_backfill(rule_id, {**rule.backfill, "state": "cancelled", "ended_at": now_ms()})
            return self.get(rule_id)

    def set_backfill(self, rule_id: str, state: dict[str, Any]) -> None:
        """Store the state of a backfill. Call it in a transaction."""
        self._change(rule_id, {"backfill": state, "backfilling": state["state"] == "running"})

    def refused(self, rule_id: str, error: ClipEngineError) -> None:
        """Count a request of the rule that was refused. Call it at the end of a transaction."""
        for rule in self.note(rule_id, [error.code], error):
            self._events.rule_stopped(rule)

    def count(self, rule_id: str, *, made: int = 0, skipped: int = 0) -> None:
        """Count clips that were queued, and ranges that were skipped. Call it in a transaction."""
        changes: dict[str, Any] = {"made": RuleRow.made + made, "skipped": RuleRow.skipped + skipped}
        if made:
            changes["last_at"] = now_ms()
        self._change(rule_id, changes)

    def note(self, rule_id: str, codes: Sequence[str | None], error: ClipEngineError | None = None) -> Sequence[Rule]:
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

    def cursor(self) -> int:
        """Return the number of the last event that the rules have read."""
        return int(read_meta(self._database, _CURSOR) or 0)

    def set_cursor(self, seq: int) -> None:
        """Store the number of the last event that the rules have read."""
        store_meta(self._database, _CURSOR, str(seq))


def as_rule(row: Row) -> Rule:
    """Return the rule of a row."""
    return Rule(**{"stored" if name == "spec" else name: row[name] for name in _FIELDS})


def next_recordings(backfill: Mapping[str, Any], limit: int, *columns: Any) -> Any:
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
