"""Batches of requests: variants of clips, and deletions of clips, whose items are stored with the request.

The ids of the clips are frozen then: a clip that matches the filter of the request later is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clipengine.basis.ids import new_id
from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.errors import BatchEnded, BatchNotFound, QueueFull
from clipengine.ledger.automation.batches import Batch, BatchItem, BatchKind, as_batch, as_item, insert_items
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import BatchItemRow, BatchRow
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.rows.permission import Permit, by_engine

_MAX_UNFINISHED = 100
_OF_REQUESTS = BatchRow.rule_id.is_null()


class RequestedBatches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        kind: BatchKind,
        items: Sequence[BatchItem],
        *,
        recording_id: str | None = None,
        created_by: str | None = None,
    ) -> Batch:
        """Store a batch, which the workers carry out. Their numbers are the order of the items. Raises QueueFull."""
        batch_id, now = new_id("bat"), now_ms()
        values: Row = {
            "batch_id": batch_id,
            "kind": kind,
            "needs": FIRST_FORMAT if kind == "delete" else ROW_FORMAT,
            "recording_id": recording_id,
            "state": "making",
            "total": len(items),
            "skipped": sum(item.state == "skipped" for item in items),
            "has_items": True,  # also without any: the retention deletes the batch
            "next_at": now,
            "created_at": now,
            "created_by": created_by,
        }
        numbered = [replace(item, batch_id=batch_id, number=number) for number, item in enumerate(items)]
        with self._database.transaction(ordered=False):
            self._database.turn("requested batches")
            unfinished = BatchRow.select(BatchRow.batch_id).where(_OF_REQUESTS, BatchRow.ended_at.is_null())
            if len(self._database.rows(unfinished.limit(_MAX_UNFINISHED))) >= _MAX_UNFINISHED:
                raise QueueFull(f"{_MAX_UNFINISHED} batches are unfinished, which is the limit")
            self._database.insert(BatchRow.insert(values))
            insert_items(self._database, numbered)
            self._database.enqueue("batches", batch_id)
            return self.get(batch_id)

    def get(self, batch_id: str, *, lock: bool = False) -> Batch:
        """Return a batch. Raises BatchNotFound."""
        row = self._database.by_key(BatchRow, batch_id, lock=lock)
        if row is None or row["rule_id"] is not None:
            raise BatchNotFound.of(batch_id)
        return as_batch(row)

    def list(self, *, limit: int, cursor: str | None = None) -> Page[Batch]:
        """Return a page of the batches, newest first."""
        return read_page(
            self._database,
            BatchRow.select().where(_OF_REQUESTS),
            of="batches",
            created_at=BatchRow.created_at,
            ident=BatchRow.batch_id,
            limit=limit,
            cursor=cursor,
            make=as_batch,
        )

    def items(self, batch_id: str, *, state: str | None, after: int, limit: int) -> Sequence[BatchItem]:
        """Return the items of a batch with a number above `after` and with this state, in their order."""
        query = BatchItemRow.select().where(BatchItemRow.batch_id == batch_id, BatchItemRow.number > after)
        if state is not None:
            query = query.where(BatchItemRow.state == state)
        return [as_item(row) for row in self._database.rows(query.order_by(BatchItemRow.number).limit(limit))]

    def cancel(self, batch_id: str, *, permit: Permit = by_engine) -> Batch:
        """End a batch. What it has made or deleted stays so. Raises BatchNotFound or BatchEnded."""
        with self._database.transaction(ordered=False):
            batch = self.get(batch_id, lock=True)
            permit(lambda: batch.created_by)
            if batch.ended_at is not None:
                raise BatchEnded(f"the batch {batch_id} is {batch.state}")
            ended = {"state": "cancelled", "ended_at": now_ms(), "owner": None, "reason": None}
            self._database.change(BatchRow.update(ended).where(BatchRow.batch_id == batch_id))
            self._database.record_change("batch", batch_id)
            return self.get(batch_id)
