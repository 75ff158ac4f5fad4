"""Retention of history: old events, deliveries with their attempts, and items of rules are deleted in small batches.

A delivery that is pending or being sent is never deleted, and neither is the event that it sends, or an event that the
rules have not read. The batches of a rule stay, so that it makes nothing again, until the rule is deleted. Batches of
requests are deleted with their items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.ledger.automation.rules import READ_BY_RULES
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import AttemptRow, BatchItemRow, BatchRow, DeliveryRow, EventRow, RuleRow

_BATCH = 500


class Retention:
    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, *, keep_ms: int | None) -> int:
        """Delete one batch of deliveries and events that are older than `keep_ms`, and return their number.

        Returns 0 when all of them are deleted. None keeps everything.
        """
        with self._database.session():
            if removed := self._delete_removed_rules():
                return removed
            if keep_ms is None:
                return 0
            before = now_ms() - keep_ms
            return self._delete_deliveries(before) or self._delete_events(before) or self._delete_items(before)

    def _delete_deliveries(self, before: int) -> int:
        ended = DeliveryRow.status.not_in(["pending", "sending"])  # not in_, for which SQLite would sort all ended ones
        old = DeliveryRow.select(DeliveryRow.delivery_id).where(DeliveryRow.created_at < before, ended)
        old = old.order_by(DeliveryRow.created_at)

        def delete(ids: list[str]) -> int:
            self._database.change(AttemptRow.delete().where(AttemptRow.delivery_id.in_(ids)))
            return self._database.change(DeliveryRow.delete().where(DeliveryRow.delivery_id.in_(ids)))

        return self._delete(old, delete)

    def _delete_events(self, before: int) -> int:
        # Also a condition of the DELETE, so that an event with a delivery is never deleted.
        unsent = ~peewee.fn.EXISTS(
            DeliveryRow.select(DeliveryRow.delivery_id).where(DeliveryRow.event_id == EventRow.event_id)
        )
        old = EventRow.select(EventRow.seq).where(EventRow.created_at < before, unsent, peewee.SQL(READ_BY_RULES))
        old = old.order_by(EventRow.created_at)
        return self._delete(
            old, lambda ids: self._database.change(EventRow.delete().where(EventRow.seq.in_(ids), unsent))
        )

    def _delete_items(self, before: int) -> int:
        """Delete the items of ended batches, and the batches of requests."""
        old = BatchRow.select(BatchRow.batch_id).where(BatchRow.has_items, BatchRow.ended_at < before)

        def delete(ids: list[str]) -> int:
            self._database.change(BatchItemRow.delete().where(BatchItemRow.batch_id.in_(ids)))
            these = BatchRow.batch_id.in_(ids)
            self._database.change(BatchRow.update(has_items=False).where(these, BatchRow.rule_id.is_null(False)))
            self._database.change(BatchRow.delete().where(these, BatchRow.rule_id.is_null()))
            return len(ids)

        return self._delete(old.order_by(BatchRow.ended_at), delete)

    def _delete_removed_rules(self) -> int:
        """Delete the batches of rules that were deleted through the API, and then the rules."""
        gone = RuleRow.select(RuleRow.rule_id).where(RuleRow.removed_at.is_null(False), RuleRow.origin == "api")
        removed = self._database.row(gone.limit(1))
        if removed is None:
            return 0
        this = BatchRow.rule_id == removed["rule_id"]

        def delete(ids: list[str]) -> int:
            self._database.change(BatchItemRow.delete().where(BatchItemRow.batch_id.in_(ids)))
            return self._database.change(BatchRow.delete().where(BatchRow.batch_id.in_(ids)))

        deleted = self._delete(BatchRow.select(BatchRow.batch_id).where(this), delete)
        return deleted or self._database.change(RuleRow.delete().where(RuleRow.rule_id == removed["rule_id"]))

    def _delete(self, old: Any, delete: Callable[[list[Any]], int]) -> int:
        """Lock one batch of the rows of the query, and call `delete` with their ids in the same transaction."""
        if self._database.row(old.limit(1)) is None:  # without a transaction: most calls find nothing
            return 0
        with self._database.transaction(ordered=False):
            rows = self._database.rows(self._database.unlocked(old.limit(_BATCH)))
            return delete([id for row in rows for id in row.values()]) if rows else 0
