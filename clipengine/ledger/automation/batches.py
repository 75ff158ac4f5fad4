"""Batches: what a rule makes of one recording, and what a request makes or deletes.

A rule's batch is `waiting` until its items, the requests for clips, are stored in one transaction; they do not change
after that. A request stores its items at once, see `requested_batches`. A batch is `making` until each item has become
a clip, was deleted, or has an outcome without either, and then `complete`. A clip, the state of its item and the counts
are one transaction, so that each clip is made or deleted once, whenever an engine is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from peewee import fn

from clipengine.basis.row_format import ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.errors import ClipEngineError, ClipNotFound
from clipengine.ledger.automation.rules import Rules
from clipengine.ledger.database.database import Bound, Database, Row, Statement, insert_statement, param
from clipengine.ledger.database.schema import BatchItemRow, BatchRow, ClipRow, RuleRow
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.lock_order import lock_clips
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.rules.expansion import Expansion

_INSERT_ITEM = insert_statement(BatchItemRow)
_RUNNABLE = RuleRow.select(RuleRow.rule_id).where(RuleRow.enabled, RuleRow.needs <= ROW_FORMAT)
# An expression, so that SQLite goes through `batches_due`, whose order it needs, instead of all batches of the rules.
_RULE = fn.COALESCE(BatchRow.rule_id, "")
_DUE = Statement(
    BatchRow.select(BatchRow.batch_id)
    .where(BatchRow.ended_at.is_null(), BatchRow.owner.is_null(), BatchRow.next_at <= param(BatchRow.next_at, "now"))
    .where((BatchRow.rule_id.is_null() & (BatchRow.needs <= ROW_FORMAT)) | _RULE.in_(_RUNNABLE))
    .order_by(BatchRow.next_at, BatchRow.batch_id)
    .limit(1)
)
_OWNED = owned_rows(BatchRow, BatchRow.ended_at.is_null())


BatchKind = Literal["rule", "variants", "delete"]


@dataclass(frozen=True)
class Batch:
    """One batch. Times are in ms since 1970, UTC. `reason` is the code for which it waits."""

    batch_id: str
    kind: BatchKind
    rule_id: str | None
    revision: int
    occasion: str | None
    recording_id: str | None
    state: str
    reason: str | None
    total: int
    made: int
    skipped: int
    failed: int
    left_out: int
    attempts: int
    owner: str | None
    lease: int
    created_at: int
    ended_at: int | None
    created_by: str | None = None  # of a request

    @property
    def marker(self) -> str | None:
        """The key of the marker that is the occasion; None for another one."""
        kind, _, key = (self.occasion or "").partition(":")
        return key if kind == "marker" else None


@dataclass(frozen=True)
class BatchItem:
    """One clip of a batch. `body` is the body of its request.

    `clip_id` is the clip that was made, `source_clip_id` the clip of which a variant is made, or that is deleted.
    """

    batch_id: str
    number: int
    state: str
    body: dict[str, Any] | None = None
    clip_id: str | None = None
    code: str | None = None
    message: str | None = None
    source_clip_id: str | None = None


class Batches:
    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules
        self._leases = Leases(database, BatchRow.batch_id, BatchRow.lease, BatchRow.state)

    def list(self, rule_id: str, *, limit: int, cursor: str | None = None) -> Page[Batch]:
        """Return a page of the batches of a rule, newest first."""
        return read_page(
            self._database,
            BatchRow.select().where(BatchRow.rule_id == rule_id),
            of=f"batches/{rule_id}",
            created_at=BatchRow.created_at,
            ident=BatchRow.batch_id,
            limit=limit,
            cursor=cursor,
            make=as_batch,
        )

    def items(self, ids: Sequence[str]) -> dict[str, Sequence[BatchItem]]:
        """Return the items of batches in their order, by the id of the batch."""
        query = BatchItemRow.select().where(BatchItemRow.batch_id.in_([*ids]))
        rows = self._database.rows(query.order_by(BatchItemRow.batch_id, BatchItemRow.number)) if ids else ()
        found = {id: [*of_batch] for id, of_batch in groupby(map(as_item, rows), lambda item: item.batch_id)}
        return {id: found.get(id, ()) for id in ids}

    def pending(self, batch: Batch, *, limit: int) -> Sequence[BatchItem]:
        """Return the next items that have no outcome."""
        query = BatchItemRow.select().where(BatchItemRow.batch_id == batch.batch_id, BatchItemRow.state == "pending")
        return [as_item(row) for row in self._database.rows(query.order_by(BatchItemRow.number).limit(limit))]

    def is_due(self) -> bool:
        return self._database.row(_due()) is not None

    def claim(self, owner: str) -> Batch | None:
        """Claim the batch that has waited longest, of a request or of a rule that is enabled."""
        claimed = self._leases.claim(_due, owner, values={"attempts": BatchRow.attempts + 1})
        return as_batch(claimed[0]) if claimed else None

    def freeze(self, batch: Batch, revision: int, expansion: Expansion) -> bool:
        """Store the items of a batch, which become clips. Return False if the claim was lost."""
        wanted = [BatchItem(batch.batch_id, 0, "pending", dict(body)) for body in expansion.bodies]
        skipped = [
            BatchItem(batch.batch_id, 0, "skipped", code=each.code, message=each.message) for each in expansion.skipped
        ]
        items = [replace(item, number=number) for number, item in enumerate([*wanted, *skipped])]
        values: Row = {
            "state": "making",
            "reason": None,
            "revision": revision,
            "total": len(items),
            "skipped": len(skipped),
            "left_out": expansion.left_out,
            "has_items": bool(items),
            "attempts": 1,
        }
        with self._database.transaction(ordered=False):
            if not self._change(batch, values, state="waiting"):
                return False
            insert_items(self._database, items)
            self._count(batch, skipped=len(skipped))
        return True

    def make(self, item: BatchItem, batch: Batch, create: Callable[[], Clip]) -> bool:
        """Store the clip that `create` queues as the clip of an item. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            if not self._settle(batch, "made"):
                return False
            clip = create()
            self._set_item(item, state="made", clip_id=clip.clip_id)
            self._count(batch, made=1)
        return True

    def delete(self, items: Sequence[BatchItem], batch: Batch, delete: Callable[[str], object]) -> bool:
        """Delete the clips of items with `delete`, which raises ClipNotFound. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            if not self._change(batch, {"attempts": 1, "reason": None}, state="making"):
                return False
            missing = 0
            lock_clips(self._database, ClipRow.clip_id.in_([str(item.source_clip_id) for item in items]))
            for item in items:
                try:
                    delete(str(item.source_clip_id))
                except ClipNotFound as error:
                    missing += 1
                    self._set_item(item, state="skipped", code=error.code, message=error.message)
                else:
                    self._set_item(item, state="made")
            counts = {"made": BatchRow.made + len(items) - missing, "skipped": BatchRow.skipped + missing}
            return self._change(batch, counts, state="making")

    def refuse(self, item: BatchItem, batch: Batch, error: ClipEngineError) -> bool:
        """Record that the request of an item was refused. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            if not self._settle(batch, "failed"):
                return False
            self._set_item(item, state="failed", code=error.code, message=error.message)
            self._refused(batch, error)
        return True

    def skip(self, item: BatchItem, batch: Batch, error: ClipEngineError) -> bool:
        """Record that no clip can be made of an item. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            if not self._settle(batch, "skipped"):
                return False
            self._set_item(item, state="skipped", code=error.code, message=error.message)
            self._count(batch, skipped=1)
        return True

    def complete(self, batch: Batch) -> bool:
        """End a batch without pending items. Return False if the claim was lost."""
        ended = {"state": "complete", "ended_at": now_ms(), "owner": None, "reason": None}
        with self._database.transaction(ordered=False):
            return self._end(batch, ended, state="making")

    def fail(self, batch: Batch, error: ClipEngineError) -> bool:
        """End a batch of which nothing more can be made. Return False if the claim was lost."""
        ended = {"state": "complete", "ended_at": now_ms(), "owner": None, "reason": error.code}
        with self._database.transaction(ordered=False):
            if not self._end(batch, ended):
                return False
            self._refused(batch, error)
        return True

    def later(self, batch: Batch, *, delay_ms: int, reason: str | None = None) -> bool:
        """Release the claim; the batch is due again after `delay_ms`. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            return self._change(batch, {"owner": None, "next_at": now_ms() + delay_ms, "reason": reason})

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned claims and return their number, see `Leases.orphans`."""
        return self._leases.release_orphans(_OWNED, owner, {"next_at": now_ms()}, in_flight=in_flight, living=living)

    def _settle(self, batch: Batch, outcome: str) -> bool:
        """Count the outcome of an item in its batch, whose row it locks. Return False if the claim was lost."""
        counted = {outcome: getattr(BatchRow, outcome) + 1, "attempts": 1, "reason": None}
        return self._change(batch, counted, state="making")

    def _change(self, batch: Batch, values: Row, *, state: str | None = None) -> bool:
        return self._leases.transition(batch.batch_id, values, fence=batch.lease, owner=batch.owner, state=state)

    def _set_item(self, item: BatchItem, **values: Any) -> None:
        this = (BatchItemRow.batch_id == item.batch_id, BatchItemRow.number == item.number)
        self._database.change(BatchItemRow.update(values).where(*this))

    def _end(self, batch: Batch, values: Row, *, state: str | None = None) -> bool:
        if batch.rule_id is None:  # a request may wait for it
            self._database.record_change("batch", batch.batch_id)
        return self._change(batch, values, state=state)

    def _count(self, batch: Batch, *, made: int = 0, skipped: int = 0) -> None:
        if batch.rule_id is not None and made + skipped:
            self._rules.count(batch.rule_id, made=made, skipped=skipped)

    def _refused(self, batch: Batch, error: ClipEngineError) -> None:
        if batch.rule_id is not None:
            self._rules.refused(batch.rule_id, error)


def insert_items(database: Database, items: Sequence[BatchItem]) -> None:
    """Insert the items of a batch. Call it in a transaction."""
    database.insert_many(_INSERT_ITEM, [vars(item) for item in items])


def _due() -> Bound:
    return _DUE.bind(now=now_ms())


def as_item(row: Row) -> BatchItem:
    return BatchItem(**row)


def as_batch(row: Row) -> Batch:
    return Batch(**{name: row[name] for name in Batch.__dataclass_fields__})
