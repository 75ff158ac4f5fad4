"""The audit log: who has changed, downloaded or disclosed what. `audit_chain` seals it.

Changes are recorded in their transaction (see `Database.recorded`), each object in a row. Downloads are recorded once
for each viewing, because players send many requests. Refused requests and visits of shares are counted in memory, and
each count is a row once a minute, so that a flood of requests neither slows the ledger nor fills its disk; a killed
engine loses the counts of its last minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import peewee

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import StorageError
from clipengine.ledger.audit.counts import AuditCounts, Counted
from clipengine.ledger.database.act import Act, Actor
from clipengine.ledger.database.database import Database, Row, insert_statement
from clipengine.ledger.database.schema import AuditRow
from clipengine.ledger.rows.cursors import encode_cursor
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.objects.audit import ActorKind, AuditAction, Means, Outcome

VIEWING_SECONDS = 600  # without a request, after which a viewing has ended
_VIEWINGS = 10_000  # that are remembered; older ones would begin again
_READ_AT_ONCE = 500
_NUMBERS = ("at", "count", "batch")
_LAST_MS = 253_402_300_799_999  # end of the year 9999
_INSERT = insert_statement(AuditRow)
# A row that a cursor can name.
_HAS_PLACE_POSTGRES = f"(at BETWEEN 0 AND {_LAST_MS} AND audit_id ~ '^[0-9a-z_]+$')"
_HAS_PLACE_SQLITE = f"""(typeof(at) = 'integer' AND at BETWEEN 0 AND {_LAST_MS} AND typeof(audit_id) = 'text'
    AND audit_id NOT GLOB '*[^0-9a-z_]*' AND audit_id > '' AND instr(audit_id, char(0)) = 0)"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditEntry:
    """A row of the audit log. Times are in ms since 1970, UTC."""

    audit_id: str
    at: int
    action: AuditAction
    outcome: Outcome
    count: int
    actor_kind: ActorKind
    actor_id: str | None
    means: Means | None
    means_id: str | None
    peer: str | None
    object_id: str | None
    within_id: str | None
    request_id: str | None
    batch: int | None


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """One page of the log. `after` is inclusive, `before` is not (ms). `object` may also contain the changed object."""

    limit: int
    cursor: str | None = None
    actor: str | None = None
    object: str | None = None
    action: AuditAction | None = None
    after: int | None = None
    before: int | None = None


class Audit:
    """The rows of the log. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = AuditCounts()
        self._viewings: OrderedDict[tuple[Any, ...], float] = OrderedDict()
        self._has_place = peewee.SQL(_HAS_PLACE_POSTGRES if database.shared else _HAS_PLACE_SQLITE)
        database.on_act(self.record)

    def record(self, act: Act) -> None:
        """Write a row for each object of an act, in this thread's transaction."""
        actor, now = act.actor, now_ms()
        assert actor is not None
        rows = [
            _row(act.action, actor, now, object_id=id, within_id=within, request_id=act.request_id)
            for id, within in act.objects
        ]
        self._database.insert_many(_INSERT, rows)

    def begins_viewing(self, act: Act) -> bool:
        """Return True if no equal act was seen in the last minutes, and remember this one."""
        key, now = (act.action, act.actor, *act.objects), self._clock()
        with self._lock:
            seen = self._viewings.pop(key, None)
            self._viewings[key] = now
            while len(self._viewings) > _VIEWINGS:
                self._viewings.popitem(last=False)
        return seen is None or now - seen > VIEWING_SECONDS

    def record_viewing(self, act: Act) -> None:
        """Record a download, whose response must not fail if the row cannot be written."""
        try:
            with self._database.transaction(durable=False, ordered=False):
                self.record(act)
        except StorageError as error:
            log.warning("%s by %s was not recorded: %s", act.action, act.actor, error.message)

    def count(
        self, action: AuditAction, actor: Actor, object_id: str | None = None, *, outcome: Outcome = "done"
    ) -> None:
        """Count an action until the next flush, see `AuditCounts`."""
        self._counts.add(Counted(outcome, action, actor, object_id))

    def flush(self) -> int:
        """Write the counts as rows, and return their number. They are kept if that fails."""
        counts = self._counts.take()
        if not counts:
            return 0
        now = now_ms()
        rows = [
            _row(each.action, each.actor, now, object_id=each.object_id, outcome=each.outcome, count=count)
            for each, count in counts.items()
        ]
        try:
            with self._database.transaction(durable=False, ordered=False):
                self._database.insert_many(_INSERT, rows)
        except BaseException:
            for each, count in counts.items():
                self._counts.add(each, count)
            raise
        return len(rows)

    def list(self, wanted: AuditFilter) -> Page[AuditEntry]:
        """Return a page of the log, newest first, without rows whose id or time no engine has stored."""
        query = AuditRow.select().where(self._has_place)
        for column, value in ((AuditRow.actor_id, wanted.actor), (AuditRow.action, wanted.action)):
            if value is not None:
                query = query.where(column == value)
        if wanted.object is None:
            return self._page(query, wanted)
        # Two queries, each of which one index answers in the order of the list.
        pages = [
            self._page(query.where(column == wanted.object), wanted)
            for column in (AuditRow.object_id, AuditRow.within_id)
        ]
        found = sorted({entry for page in pages for entry in page.data}, key=lambda each: (each.at, each.audit_id))
        shown = found[::-1][: wanted.limit]
        if len(found) <= wanted.limit and all(page.next_cursor is None for page in pages):
            return Page(shown, None)
        return Page(shown, encode_cursor("audit", shown[-1].at, shown[-1].audit_id))

    def _page(self, query: Any, wanted: AuditFilter) -> Page[AuditEntry]:
        with self._database.any_text():
            return read_page(
                self._database,
                query,
                of="audit",
                created_at=AuditRow.at,
                ident=AuditRow.audit_id,
                limit=wanted.limit,
                cursor=wanted.cursor,
                after=wanted.after,
                before=wanted.before,
                make=as_entry,
            )

    def all(self) -> Iterator[AuditEntry]:
        """Yield the whole log, oldest first. Rows that are added meanwhile may be missing."""
        query = AuditRow.select().order_by(AuditRow.at, AuditRow.audit_id).limit(_READ_AT_ONCE)
        following = query
        while True:
            with self._database.any_text():
                rows = self._database.rows(following)
            yield from map(as_entry, rows)
            if len(rows) < _READ_AT_ONCE:
                return
            last = peewee.Tuple(*(_as_stored(rows[-1][name]) for name in ("at", "audit_id")))
            following = query.where(peewee.Tuple(AuditRow.at, AuditRow.audit_id) > last)


def _row(
    action: AuditAction,
    actor: Actor,
    now: int,
    *,
    object_id: str | None = None,
    within_id: str | None = None,
    request_id: str | None = None,
    outcome: Outcome = "done",
    count: int = 1,
) -> Row:
    return {
        "audit_id": new_id("aud"),
        "at": now,
        "action": action,
        "outcome": outcome,
        "count": count,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "means": actor.means,
        "means_id": actor.means_id,
        "peer": actor.peer,
        "object_id": object_id,
        "within_id": within_id,
        "request_id": request_id,
        "batch": None,
    }


def _as_stored(value: Any) -> peewee.Node:
    """Return a parameter with the value of a column, which may be text that is not UTF-8."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return peewee.Cast(peewee.Value(value.encode(errors="surrogateescape"), converter=False), "TEXT")
    return peewee.Value(value, converter=False)


def as_entry(row: Row) -> AuditEntry:
    """Return the entry of a row. Values that no engine stores are shown as text, or as 0 in place of a number."""
    shown: dict[str, Any] = {name: (_number if name in _NUMBERS else _text)(value) for name, value in row.items()}
    return AuditEntry(**shown)


def _number(value: Any) -> int | None:
    return value if value is None or (isinstance(value, int) and 0 <= value <= _LAST_MS) else 0


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if value is None else str(value).encode(errors="backslashreplace").decode()
