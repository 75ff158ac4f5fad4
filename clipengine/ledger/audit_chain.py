"""The chain that seals the audit log, so that a change behind the back of the engines is found.

A seal is an HMAC with a key that is derived from the key of the secrets, which is not in the database. It covers a
batch of rows and the seal of the batch before; the newest is the head. The heads are logged, so that the end of the
log cannot be cut off and its head be put back unnoticed (see `AuditChain.verify`).

Writers of rows do not wait for each other. A row has no place in the chain until it is sealed: a batch takes rows that
are visible and have none yet, whatever their ids and times. A transaction that commits late is therefore sealed in a
later batch. One engine seals at a time, each batch in one transaction, so that a crash leaves nothing half sealed.
Engines of 0.2.0 write no rows.

Retention deletes whole batches from the oldest on, and moves the anchor, a sealed record of the last one that it has
deleted. After the key of the secrets was lost, the anchor also says which batches nobody can verify any more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from clipengine.ledger.audit import AuditEntry, as_entry
from clipengine.ledger.database.database import Database, Statement, compact_json, insert_statement, param
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import AuditBatchRow, AuditRow
from clipengine.timecode import now_ms

ROWS_OF_A_BATCH = 500
_TAG_CHARACTERS = 32  # 128 bits
_ANCHOR, _HEAD = "audit_anchor", "audit_head"
_TURN = "audit chain"
_UNKNOWN = "?"  # head of a batch whose record is missing
_UNSEALED = AuditRow.batch.is_null()
_INSERT = insert_statement(AuditBatchRow)
# A range, because SQLite also stores fractions, which a writer of the database may have inserted.
_BATCH = Statement(
    AuditRow.select()
    .where(AuditRow.batch >= param(AuditRow.batch, "number"), AuditRow.batch < param(AuditRow.batch, "next"))
    .order_by(AuditRow.audit_id)
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Link:
    """A position in the chain: the number of a batch and its seal. The chain begins with batch 0."""

    number: int
    head: str
    unverifiable: int = 0  # batches up to this one were sealed with a lost key; of an anchor

    def __str__(self) -> str:
        return f"{self.number}:{self.head}"


@dataclass(frozen=True)
class Fault:
    """A row or batch that differs from what was sealed."""

    kind: Literal["changed", "missing", "inserted", "batch", "head"]
    id: str
    message: str


class AuditChain:
    def __init__(self, database: Database, derive: Callable[[str], bytes]) -> None:
        self._database = database
        self._key = derive("audit log")

    # ---- sealing

    def seal(self) -> Link | None:
        """Seal one batch of the rows that are not sealed yet, and return the new head, or None without such rows."""
        if self._database.row(AuditRow.select(AuditRow.audit_id).where(_UNSEALED).limit(1)) is None:
            return None
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            query = AuditRow.select().where(_UNSEALED).order_by(AuditRow.at, AuditRow.audit_id).limit(ROWS_OF_A_BATCH)
            rows = sorted(map(as_entry, self._database.rows(query)), key=lambda each: each.audit_id)
            if not rows:
                return None
            last = self._link(_HEAD)
            entries = [[each.audit_id, self._tag(last.number + 1, each)] for each in rows]
            head = self._after(last, entries)
            newest = max(each.at for each in rows)
            row = {"number": head.number, "entries": entries, "newest_at": newest, "sealed_at": now_ms()}
            self._database.insert(_INSERT, **row, head=head.head)
            these = AuditRow.audit_id.in_([each.audit_id for each in rows])
            self._database.change(AuditRow.update(batch=head.number).where(these))
            self._store(_HEAD, head)
        log.info("the audit log is sealed up to batch %d with %d rows: head %s", head.number, len(rows), head)
        return head

    def remove(self, *, keep_ms: int | None) -> int:
        """Delete the oldest batch if all its rows are older than `keep_ms`, and return the number of rows.

        None keeps everything.
        """
        if keep_ms is None:
            return 0
        before = now_ms() - keep_ms
        if not self._is_old(before):
            return 0
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            oldest = self._is_old(before)
            if not oldest:
                return 0
            number = oldest["number"]
            removed = self._database.change(AuditRow.delete().where(AuditRow.batch == number))
            self._database.change(AuditBatchRow.delete().where(AuditBatchRow.number == number))
            anchor = self._link(_ANCHOR)
            if number > anchor.number:
                self._store(_ANCHOR, Link(number, oldest["head"], anchor.unverifiable))
            return removed or 1

    def _is_old(self, before: int) -> Any:
        """Return number and head of the oldest batch if all its rows are old enough to be deleted, or None."""
        columns = (AuditBatchRow.number, AuditBatchRow.head, AuditBatchRow.newest_at)
        oldest = self._database.row(AuditBatchRow.select(*columns).order_by(AuditBatchRow.number).limit(1))
        return oldest if oldest is not None and oldest["newest_at"] < before else None

    def begin_again(self) -> None:
        """Continue the chain with a new key. Call it in the transaction that replaces the key of the secrets.

        Batches that were sealed with the lost key cannot be verified any more.
        """
        columns = (AuditBatchRow.number, AuditBatchRow.head)
        newest = self._database.row(AuditBatchRow.select(*columns).order_by(AuditBatchRow.number.desc()).limit(1))
        if newest is not None:
            link = Link(newest["number"], newest["head"], unverifiable=newest["number"])
        else:
            link = Link(0, "")
        self._store(_HEAD, link)
        self._store(_ANCHOR, link)

    # ---- verification

    def verify(self, known: Sequence[Link] = ()) -> Iterator[Fault | Link]:
        """Yield the faults of the log and then its head. `known` are heads of log lines, which must be in the chain.

        Rows that are not sealed yet are not verified. Batches that are sealed or deleted meanwhile are no faults.
        """
        try:
            yield from self._verified({each.number: each.head for each in known})
        except _Forged as error:
            yield Fault("head", error.name, f"the record `{error.name}` was changed or removed")

    def _verified(self, wanted: dict[int, str]) -> Iterator[Fault | Link]:
        last, end = self._link(_ANCHOR), self._link(_HEAD)
        yield from self._unexpected(last, end)
        if wanted.pop(last.number, last.head) != last.head:
            yield Fault("head", str(last.number), f"batch {last.number} has another head than the one given")
        while last.number < end.number:
            with self._database.transaction(durable=False, ordered=False):
                self._database.turn(_TURN)  # nothing is deleted while the batch is read
                anchor = self._link(_ANCHOR)
                if anchor.number > last.number:  # deleted meanwhile
                    last = anchor
                    continue
                link, faults = self._verify_batch(last)
            yield from faults
            if wanted.pop(link.number, link.head) != link.head:
                yield Fault("head", str(link.number), f"batch {link.number} has another head than the one given")
            last = link
        if last.head not in (end.head, _UNKNOWN) and last.number == end.number:
            yield Fault("head", str(end.number), f"the head of batch {end.number} differs from the stored one")
        for number in sorted(each for each in wanted if each > end.number):
            yield Fault("head", str(number), f"batch {number} is missing at the end of the log")
        yield end

    def _verify_batch(self, last: Link) -> tuple[Link, list[Fault]]:
        """Return the link after `last`, and the faults of its batch. Without its record, all links are unknown."""
        number = last.number + 1
        stored = self._database.row(AuditBatchRow.select().where(AuditBatchRow.number == number))
        rows = {
            each.audit_id: each for each in map(as_entry, self._database.rows(_BATCH, number=number, next=number + 1))
        }
        if stored is None:
            return Link(number, _UNKNOWN), [Fault("batch", str(number), f"the record of batch {number} is missing")]
        faults = []
        link = self._after(last, stored["entries"])
        if last.head != _UNKNOWN and not hmac.compare_digest(link.head, stored["head"]):
            faults.append(Fault("batch", str(number), f"the record of batch {number} was changed"))
        for id, tag in stored["entries"]:
            row = rows.pop(id, None)
            if row is None:
                faults.append(Fault("missing", id, f"row {id} of batch {number} is missing"))
            elif not hmac.compare_digest(self._tag(number, row), tag):
                faults.append(Fault("changed", id, f"row {id} of batch {number} was changed"))
        faults += [Fault("inserted", id, f"row {id} was inserted into batch {number}") for id in rows]
        return Link(number, stored["head"]), faults

    def _unexpected(self, start: Link, end: Link) -> Iterator[Fault]:
        """Yield rows that claim to be in batches that the chain does not have."""
        deleted = (AuditRow.batch > start.unverifiable) & (AuditRow.batch < start.number + 1)
        for outside in (AuditRow.batch <= 0, deleted, AuditRow.batch >= end.number + 1):
            query = AuditRow.select(AuditRow.audit_id, AuditRow.batch).where(outside)
            for row in self._database.rows(query.order_by(AuditRow.batch, AuditRow.audit_id).limit(ROWS_OF_A_BATCH)):
                id, batch = row["audit_id"], row["batch"]
                is_number = isinstance(batch, int)  # SQLite stores others, too
                if not (is_number and end.number < batch <= self._link(_HEAD).number):  # else it was sealed meanwhile
                    yield Fault("inserted", id, f"row {id} is in batch {batch}, which does not exist")

    # ---- seals

    def _tag(self, number: int, row: AuditEntry) -> str:
        """Return the seal of one row in a batch."""
        values = {**vars(row), "batch": number}
        given = {name: values[name] for name in sorted(values) if values[name] is not None}  # as before later columns
        return self._mac("row", given)[:_TAG_CHARACTERS]

    def _after(self, last: Link, entries: Sequence[Sequence[str]]) -> Link:
        number = last.number + 1
        return Link(number, self._mac("batch", [number, last.head, entries]))

    def _mac(self, what: str, value: Any) -> str:
        return hmac.new(self._key, compact_json([what, value]).encode(), hashlib.sha256).hexdigest()

    def _store(self, name: str, link: Link) -> None:
        store_meta(self._database, name, compact_json({**vars(link), "seal": self._mac(name, vars(link))}))

    def _link(self, name: str) -> Link:
        """Return the anchor or the head. Raises _Forged if it was not stored with the key of this chain."""
        stored = read_meta(self._database, name)
        if stored is None:
            # Only before the first batch is there none.
            if self._database.row(AuditBatchRow.select(AuditBatchRow.number).limit(1)) is None or name == _ANCHOR:
                return Link(0, "")
            raise _Forged(name)
        try:
            values = json.loads(stored)
            seal = str(values.pop("seal"))
            link = Link(**values)
        except (ValueError, KeyError, TypeError):
            raise _Forged(name) from None
        if not hmac.compare_digest(seal, self._mac(name, vars(link))):
            raise _Forged(name)
        return link


class _Forged(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
