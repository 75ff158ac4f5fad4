"""The chain that seals the audit log, so that a change behind the back of the engines is found.

A seal is an HMAC with a key that is derived from the key of the secrets, which is not in the database. It covers a
batch of rows and the seal of the batch before; the newest is the head. The heads are logged, and each host keeps the
newest one in a file, so that the end of the log cannot be cut off, or the log be replaced, unnoticed (see `remember`).

Writers of rows do not wait for each other. A row has no place in the chain until it is sealed: a batch takes rows that
are visible and have none yet, whatever their ids and times. A transaction that commits late is therefore sealed in a
later batch. One engine seals at a time, each batch in one transaction, so that a crash leaves nothing half sealed.
Engines of 0.2.0 write no rows.

Retention deletes whole batches from the oldest on, and moves the anchor, a sealed record of the last one that it has
deleted. After the key of the secrets was lost, the anchor also says which batches cannot be verified any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.ledger.audit.head import HeadFile, Link
from clipengine.ledger.audit.records import (
    ANCHOR,
    HEAD,
    ROWS,
    AuditRecords,
    Fault,
    Forged,
    fault_of_row,
    shown,
)
from clipengine.ledger.database.audit_definitions import SEALED_DEFINITIONS, SEALED_TABLES
from clipengine.ledger.database.database import Database, Row, insert_statement
from clipengine.ledger.database.schema import AuditBatchRow, AuditRow

ROWS_OF_A_BATCH = 500
_UNKNOWN = "?"  # head of a batch whose record is missing
_BATCHES_WITH_FAULTS = 100  # that retention passes at once
_INSERT = insert_statement(AuditBatchRow)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wanted:
    """A head that must be in the chain, and its origin."""

    link: Link
    origin: str


class AuditChain(AuditRecords):
    def __init__(self, database: Database, derive: Callable[[str], bytes], file: HeadFile | None = None) -> None:
        super().__init__(database, derive)
        self._file = file
        self._logged: set[str] = set()

    # ---- sealing

    def seal(self) -> Link | None:
        """Seal one batch of the rows that are not sealed yet, and return the new head, or None without such rows."""
        unsealed = f"{ROWS} WHERE batch IS NULL ORDER BY at, audit_id LIMIT {ROWS_OF_A_BATCH}"
        while self._database.run("SELECT 1 FROM audit WHERE batch IS NULL LIMIT 1"):
            try:
                with self._turn():
                    found = self._rows(unsealed)
                    rows = sorted(
                        (each for each in found if _is_id(each["audit_id"])), key=lambda each: str(each["audit_id"])
                    )
                    self._set_aside([each["audit_id"] for each in found if not _is_id(each["audit_id"])])
                    head = self._sealed(rows) if rows else None
            except _Unchanged:
                reason = "something in the database prevents it"
                self._log_once(
                    logging.ERROR, f"the audit log cannot be sealed: {reason}, see `clipengine audit verify`"
                )
                return None
            if head is not None:
                log.info("the audit log is sealed up to batch %d with %d rows: head %s", head.number, len(rows), head)
                return head
        return None

    def _sealed(self, rows: Sequence[Row]) -> Link:
        """Store a batch of these rows in this transaction, and return the new head."""
        last = self._last()
        entries = [[each["audit_id"], self._tag(last.number + 1, each)] for each in rows]
        newest = max((each["at"] for each in rows if isinstance(each["at"], int)), default=0)
        record = {"entries": entries, "newest_at": newest, "sealed_at": now_ms()}
        head = self._after(last, record)
        self._database.insert(_INSERT, **record, number=head.number, head=head.head)
        these = AuditRow.audit_id.in_([each["audit_id"] for each in rows])
        self._change_all(AuditRow.update(batch=head.number).where(these), len(rows))
        self._store(HEAD, head)
        return head

    def _set_aside(self, ids: Sequence[Any]) -> None:
        """Give rows whose ids no entry of a batch can name a batch that does not exist, which `verify` reports."""
        if not ids:
            return
        stored = [each.encode(errors="surrogateescape") if isinstance(each, str) else bytes(each) for each in ids]
        these = peewee.fn.hex(AuditRow.audit_id).in_([each.hex().upper() for each in stored])
        self._change_all(AuditRow.update(batch=-1).where(AuditRow.batch.is_null(), these), len(ids))

    def _change_all(self, query: Any, rows: int) -> None:
        """Run an UPDATE. Raises _Unchanged if a trigger or a rule keeps fewer rows from being changed."""
        if self._database.change(query) < rows:
            raise _Unchanged

    def _last(self) -> Link:
        """Return the link that the next batch follows.

        If the head was changed or removed, the chain continues after a gap, which `verify` reports from then on.
        """
        try:
            return self._head()
        except Forged as error:
            self._log_once(logging.ERROR, f"{error}; the audit log continues after a gap")
            anchor = self._anchor()
            number = max(self._newest(), anchor.number if anchor else 0) + 1
            while self._batch(number + 1) is not None:
                number += 1
            return Link(number, _UNKNOWN)

    def remember(self) -> None:
        """Write the head to the file of this host, if the chain leads to it from the head in the file.

        Otherwise the file keeps its head, so that `verify` fails, and an error is logged once.
        """
        if self._file is None:
            return
        try:
            seen = self._file.read()
            head = self._head() if seen is None else self._continued(seen)
        except (Forged, OSError, ValueError) as error:
            self._log_once(logging.ERROR, f"the audit log cannot be compared with {self._file.path}: {error}")
            return
        if head is None:
            advice = "see `clipengine audit verify`"
            self._log_once(logging.ERROR, f"the audit log does not contain head {seen} of {self._file.path}: {advice}")
        elif head.number and head != seen:
            try:
                self._file.write(head)
            except OSError as error:
                reason = f"{self._file.path} cannot be written: {error.strerror}"
                self._log_once(logging.WARNING, f"the head of the audit log is not kept: {reason}")

    def _continued(self, seen: Link) -> Link | None:
        """Return the head if the chain leads to it from `seen` or from the anchor, else None."""
        with self._turn():
            last, head = self._link(ANCHOR), self._head()
        if seen.number > head.number or (seen.number == last.number and seen.head != last.head):
            return None
        last = max(last, seen, key=lambda each: each.number)
        while last.number < head.number:
            stored = self._batch(last.number + 1)
            if stored is not None and stored["entries"] is not None:
                last = self._after(last, stored)
            elif (anchor := self._link(ANCHOR)).number > last.number:  # deleted meanwhile
                last = anchor
            else:
                return None
        return head if last.head == head.head else None

    def _log_once(self, level: int, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            log.log(level, "%s", message)

    def remove(self, *, keep_ms: int | None) -> int:
        """Delete the oldest batch if it was sealed more than `keep_ms` ago, and return the number of rows, or 1.

        Rows that differ from their seals are kept, because their age is unknown: somebody may have moved recent rows
        into the batch. `verify` reports them from then on. None keeps everything.
        """
        if keep_ms is None or self._following(0) is None:
            return 0
        before = now_ms() - keep_ms
        with self._turn():
            number, anchor = self._following(0), self._anchor()
            if number is None:
                return 0
            sealed_at = None if anchor is None else self._sealed_at(number, anchor)
            if anchor is None or sealed_at is None:
                self._log_once(logging.ERROR, "old rows of the audit log are kept: see `clipengine audit verify`")
                return 0
            if sealed_at >= before:
                return 0
            stored = self._batch(number)
            rows = AuditRow.batch == number
            if number > anchor.unverifiable:
                rows &= AuditRow.audit_id.in_(self._unchanged(number, stored["entries"] if stored else None))
            removed = self._database.change(AuditRow.delete().where(rows))
            self._database.change(AuditBatchRow.delete().where(AuditBatchRow.number == number))
            if number > anchor.number and stored is not None:
                self._store(ANCHOR, Link(number, str(stored["head"]), anchor.unverifiable))
            return removed or 1

    def _sealed_at(self, number: int, anchor: Link) -> int | None:
        """Return when a batch was sealed at the latest, or None if that is unknown.

        Only the time of an intact record counts, or of one that was sealed with a lost key: somebody may have inserted
        rows with any time, and changed records. The next intact record says it as well, because it was sealed later.
        """
        last, each = anchor, number
        for _ in range(_BATCHES_WITH_FAULTS):
            if (stored := self._batch(each)) is None:
                return None
            sealed_at: Any = stored["sealed_at"]
            is_intact = last.number == each - 1 and self._after(last, stored).head == stored["head"]
            if is_intact or (each <= anchor.unverifiable and isinstance(sealed_at, int) and sealed_at <= now_ms()):
                return int(sealed_at)
            last = Link(each, str(stored["head"]))
            if (following := self._following(each)) is None:
                return None
            each = following
        return None

    def begin_again(self) -> None:
        """Continue the chain with a new key. Call it in the transaction that replaces the key of the secrets.

        Batches that were sealed with the lost key cannot be verified any more.
        """
        number = self._newest()
        newest = self._batch(number)
        link = Link(number, "" if newest is None else str(newest["head"]), unverifiable=number)
        self._store(HEAD, link)
        self._store(ANCHOR, link)

    # ---- verification

    def verify(self, known: Sequence[Link] = ()) -> Iterator[Fault | Link]:
        """Yield the faults of the log and then its head. `known` are heads of log lines, which must be in the chain.

        So must the head in the file of this host. Rows that are not sealed yet are not verified. Batches that are
        sealed or deleted meanwhile are no faults.
        """
        wanted = [_Wanted(each, "the one given") for each in known]
        if self._file is not None:
            try:
                seen = self._file.read()  # before the head, which engines advance first
            except (OSError, ValueError) as error:
                yield Fault("head", self._file.path.name, f"{self._file.path} cannot be read: {error}")
            else:
                advice = "delete the file only after an intended restore of the database"
                wanted += [] if seen is None else [_Wanted(seen, f"the one in {self._file.path}; {advice}")]
        yield from self._verified(wanted)

    def _verified(self, wanted: Sequence[_Wanted]) -> Iterator[Fault | Link]:
        with self._database.any_text():
            wrong = self._database.backend.suspects(self._database.run, SEALED_TABLES, SEALED_DEFINITIONS)
        for name, what in wrong:
            yield Fault("table", shown(name), f"{shown(name)} {shown(what)}; rows may be hidden or changed")
        with self._turn():
            last, end, faults = self._ends()
        yield from faults
        yield from self._unexpected(last, end)
        yield from _differing(wanted, last.number - 1, last)
        while last.number < end.number:
            with self._turn():  # nothing is deleted while the batch is read
                anchor = self._anchor()
                if anchor is not None and anchor.number > last.number:  # deleted meanwhile
                    last = anchor
                    continue
                link, faults = self._verify_batch(last, end)
            yield from faults
            yield from _differing(wanted, last.number, link)
            last = link
        if _UNKNOWN not in (last.head, end.head) and (last.number, last.head) != (end.number, end.head):
            yield Fault("head", str(end.number), f"the head of batch {end.number} differs from the stored one")
        for each in sorted(wanted, key=lambda each: each.link.number):
            if (number := each.link.number) > end.number:
                message = f"batch {number} is missing at the end of the log, with the head {each.origin}"
                yield Fault("head", str(number), message)
        if end.head != _UNKNOWN:
            yield end

    def _ends(self) -> tuple[Link, Link, list[Fault]]:
        """Return the anchor and the head, or the ends of the batches in place of changed ones, and the faults."""
        faults = []
        start = self._anchor()
        if start is None:
            faults.append(_changed(ANCHOR))
            start = Link((self._following(0) or 1) - 1, _UNKNOWN)
        try:
            end = self._head()
        except Forged:
            faults.append(_changed(HEAD))
            end = Link(max(start.number, self._newest()), _UNKNOWN)
        return start, end, faults

    def _verify_batch(self, last: Link, end: Link) -> tuple[Link, list[Fault]]:
        """Return the link after `last`, and the faults of its batch.

        If records are missing, return the link before the next one. The link after it is unknown.
        """
        number = last.number + 1
        stored = self._batch(number)
        if stored is None:
            following = self._following(number)
            until = end.number if following is None else min(end.number, following - 1)
            which = f"the record of batch {number} is" if until == number else f"the records up to batch {until} are"
            return Link(until, _UNKNOWN), [Fault("batch", str(number), f"{which} missing")]
        changed = Fault("batch", str(number), f"the record of batch {number} was changed")
        link = Link(number, str(stored["head"]))
        if stored["entries"] is None:
            return link, [changed]
        faults = self._verify_rows(number, stored["entries"])
        if last.head != _UNKNOWN and self._after(last, stored) != link:
            faults.insert(0, changed)
        return link, faults

    def _unexpected(self, start: Link, end: Link) -> Iterator[Fault]:
        """Yield rows that claim to be in batches that the chain does not have, and records of such batches."""
        deleted = f"{{0}} > {start.unverifiable:d} AND {{0}} < {start.number + 1:d}"
        for outside in ("{0} <= 0", deleted, f"{{0}} >= {end.number + 1:d}"):
            query = f"{ROWS} WHERE {outside.format('batch')} ORDER BY batch, audit_id LIMIT {ROWS_OF_A_BATCH}"
            for row in self._rows(query):
                if not self._is_after(end, batch := row["batch"]):
                    yield fault_of_row("inserted", row["audit_id"], f"is in batch {batch!a}, which does not exist")
            yield from self._unexpected_records(outside.format("number"), end)
        yield from self._unexpected_records(f"number < {end.number + 1:d} AND CAST(number AS BIGINT) <> number", end)

    def _unexpected_records(self, which: str, end: Link) -> Iterator[Fault]:
        query = f"SELECT number FROM audit_batches WHERE {which} ORDER BY number LIMIT {ROWS_OF_A_BATCH}"
        with self._database.any_text():
            found = self._database.run(query)
        for (number,) in found:
            if not self._is_after(end, number):
                yield Fault("batch", ascii(number), f"the record of batch {number!a} was inserted")

    def _is_after(self, end: Link, batch: Any) -> bool:
        """Return True if a batch was sealed after the end was read."""
        return isinstance(batch, int) and end.number < batch <= self._newest()


class _Unchanged(Exception):
    pass


def _changed(name: str) -> Fault:
    return Fault("head", name, str(Forged(name)))


def _differing(wanted: Sequence[_Wanted], after: int, link: Link) -> Iterator[Fault]:
    """Yield the wanted heads of batches after one and up to the link that are not in the chain."""
    for each in wanted:
        number = each.link.number
        if after < number <= link.number and (number, each.link.head) != (link.number, link.head):
            yield Fault("head", str(number), f"batch {number} has another head than {each.origin}")


def _is_id(value: Any) -> bool:
    """Return False for bytes and for text that is not UTF-8, which only SQLite stores."""
    return isinstance(value, str) and not any("\ud800" <= each <= "\udfff" for each in value)
