"""The stored records of the audit log and of its chain, and their seals.

Everything is read whatever its type, because a writer of the database may have stored anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from clipengine.ledger.audit.head import Link
from clipengine.ledger.database.database import Database, Row, compact_json
from clipengine.ledger.database.meta import store_meta
from clipengine.ledger.database.schema import AuditRow

ANCHOR, HEAD = "audit_anchor", "audit_head"
_LARGEST_OF_A_HEAD = 10**18
_MOST_BATCHES = 10**15  # larger numbers are followed only one by one, so that a batch always has a next number
_TURN = "audit chain"
_TAG_CHARACTERS = 32  # 128 bits
_COLUMNS = tuple(AuditRow._meta.sorted_field_names)
_RECORD = ("entries", "newest_at", "sealed_at", "head")
ROWS = f"SELECT {', '.join(_COLUMNS)} FROM audit"


@dataclass(frozen=True)
class Fault:
    """A row or batch that differs from its seal."""

    kind: Literal["changed", "missing", "inserted", "batch", "head", "table"]
    id: str
    message: str


class AuditRecords:
    """Reads rows and batches, and computes their seals."""

    def __init__(self, database: Database, derive: Callable[[str], bytes]) -> None:
        self._database = database
        self._key = derive("audit log")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Enclose a transaction in which no other one changes the chain."""
        with self._database.transaction(ordered=False):
            self._database.turn(_TURN)
            yield

    def _rows(self, sql: str, *params: Any) -> list[Row]:
        with self._database.any_text():
            return [dict(zip(_COLUMNS, each, strict=True)) for each in self._database.run(sql, params)]

    def _batch(self, number: int) -> Row | None:
        """Return the record of a batch, or None if it is missing.

        Its `entries` are None if no engine can have stored them. Its other values are returned unchanged.
        """
        with self._database.any_text():
            found = self._database.run(f"SELECT {', '.join(_RECORD)} FROM audit_batches WHERE number = ?", (number,))
        if not found:
            return None
        stored = dict(zip(_RECORD, found[0], strict=True))
        return {**stored, "entries": entries_of(stored["entries"])}

    def _newest(self) -> int:
        """Return the number of the newest batch, or 0."""
        return self._nearest("number < ? ORDER BY number DESC", _MOST_BATCHES) or 0

    def _following(self, number: int) -> int | None:
        """Return the number of the batch that follows a number, or None."""
        return self._nearest("number > ? ORDER BY number", number)

    def _nearest(self, which: str, number: int) -> int | None:
        # A writer of the database may have inserted any number, and in SQLite any type.
        batches = f"audit_batches WHERE CAST(number AS BIGINT) = number AND number < {_LARGEST_OF_A_HEAD}"
        query = f"SELECT number FROM {batches} AND {which} LIMIT 1"
        found = self._database.run(query, (number,))
        return int(found[0][0]) if found else None

    def _head(self) -> Link:
        """Return the head. Raises Forged unless it belongs to the newest batch."""
        head = self._link(HEAD)
        if self._newest() > head.number or self._batch(head.number + 1) is not None:
            raise Forged(HEAD)
        return head

    def _anchor(self) -> Link | None:
        """Return the anchor, or None if it was changed."""
        try:
            return self._link(ANCHOR)
        except Forged:
            return None

    def _verify_rows(self, number: int, entries: Sequence[Sequence[str]]) -> list[Fault]:
        """Return the faults of the rows of a batch."""
        # A range, because SQLite also stores fractions, which a writer of the database may have inserted.
        found = self._rows(f"{ROWS} WHERE batch >= ? AND batch < ?", number, number + 1)
        rows, faults = {each["audit_id"]: each for each in found}, []
        for id, count in Counter(each["audit_id"] for each in found).items():
            if count > 1:  # in a table that was rebuilt without its primary key
                faults.append(fault_of_row("inserted", id, f"is {count} times in batch {number}"))
        for id, tag in entries:
            row = rows.pop(id, None)
            if row is None:
                faults.append(fault_of_row("missing", id, f"of batch {number} is missing"))
            elif not _equal(self._tag(number, row), tag):
                faults.append(fault_of_row("changed", id, f"of batch {number} was changed"))
        faults += [fault_of_row("inserted", id, f"was inserted into batch {number}") for id in sorted(rows, key=ascii)]
        return faults

    def _unchanged(self, number: int, entries: Sequence[Sequence[str]] | None) -> list[str]:
        """Return the ids of the rows of a batch that equal their seals."""
        tags = {each[0]: each[1] for each in entries or ()}
        rows = self._rows(f"{ROWS} WHERE batch = ?", number)
        return [id for each in rows if (id := each["audit_id"]) in tags and _equal(self._tag(number, each), tags[id])]

    def _tag(self, number: int, row: Row) -> str:
        """Return the seal of one row in a batch."""
        values = {**row, "batch": number}
        given = {name: values[name] for name in sorted(values) if values[name] is not None}  # as before later columns
        return self._mac("row", given)[:_TAG_CHARACTERS]

    def _after(self, last: Link, record: Row) -> Link:
        """Return the link of the batch with this record, whose times are sealed as well: retention trusts them."""
        number = last.number + 1
        values = [number, last.head, record["entries"], record["newest_at"], record["sealed_at"]]
        return Link(number, self._mac("batch", values))

    def _mac(self, what: str, value: Any) -> str:
        text = json.dumps([what, value], ensure_ascii=False, separators=(",", ":"), default=repr)
        return hmac.new(self._key, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    def _store(self, name: str, link: Link) -> None:
        store_meta(self._database, name, compact_json({**vars(link), "seal": self._mac(name, vars(link))}))

    def _link(self, name: str) -> Link:
        """Return the anchor or the head. Raises Forged if it was removed or not stored with the key of this chain."""
        with self._database.any_text():
            found = self._database.run("SELECT value FROM meta WHERE name = ?", (name,))
        if not found:
            if name == HEAD and self._has_begun():
                raise Forged(name)
            return Link(0, "")
        try:
            values = json.loads(found[0][0])
            seal = values.pop("seal")
            link = Link(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Forged(name) from None
        if not _equal(self._mac(name, vars(link)), seal):
            raise Forged(name)
        return link

    def _has_begun(self) -> bool:
        """Return True if anything of a chain exists besides its head."""
        for rows in ("audit_batches", "audit WHERE batch > 0", f"meta WHERE name = '{ANCHOR}'"):
            if self._database.run(f"SELECT 1 FROM {rows} LIMIT 1"):
                return True
        return False


class Forged(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"the record `{name}` was changed or removed")
        self.name = name


def fault_of_row(kind: Literal["changed", "missing", "inserted"], id: Any, what: str) -> Fault:
    return Fault(kind, shown(id), f"row {shown(id)} {what}")


def shown(stored: Any) -> str:
    """Return text unchanged if a terminal can show it, and anything else escaped."""
    return stored if isinstance(stored, str) and stored.isascii() and stored.isprintable() else ascii(stored)


def entries_of(stored: Any) -> list[list[str]] | None:
    """Return id and tag of each row of a batch, or None if the text is not what an engine has stored."""
    try:
        entries = json.loads(stored) if isinstance(stored, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(entries, list):
        return None
    for each in entries:
        if not (isinstance(each, list) and len(each) == 2 and all(isinstance(part, str) for part in each)):
            return None
    return entries


def _equal(expected: str, found: Any) -> bool:
    return hmac.compare_digest(expected.encode(), str(found).encode(errors="surrogatepass"))
