"""Sessions and transactions on the ledger's database, and who is told after a commit.

What is special about SQLite or PostgreSQL is their `Backend`'s. Refuses to hold a cursor: what is read is fetched
before it is returned, so that no reader is left open behind a slow client. Every error of the driver leaves here as
one of ours.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import peewee

from clipengine.errors import Internal, StorageUnavailable
from clipengine.ledger.database.backend import BUSY_SECONDS, Backend
from clipengine.ledger.database.statements import Row as Row
from clipengine.ledger.database.statements import Statement, param

logger = logging.getLogger(__name__)

Kind = Literal["clip", "recording", "delivery", "removal"]
Listener = Callable[[str, str], None]


class _PendingChanges(threading.local):
    """What this thread's open transaction has changed, in order."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, str], None] = {}


class Database:
    """One ledger. Safe to use from any thread of the process that opened it, and from no other process.

    `secrets_key` is the file with the key of its secrets.
    """

    def __init__(self, backend: Backend, *, secrets_key: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.backend = backend
        self.name = backend.name
        self.shared = backend.shared
        self.secrets_key = secrets_key
        self._errors: tuple[type[Exception], ...] = (peewee.PeeweeException, *backend.errors)
        self._busy_seconds = busy_seconds
        self._connections = backend.connections
        self._pending = _PendingChanges()
        self._by_key: dict[type[peewee.Model], Statement] = {}
        self._listeners: list[Listener] = []
        self._pid = os.getpid()
        # The database lets waiting writers poll, or keep a connection each; in this process they queue here instead.
        self._writer = threading.Lock()

    def close(self) -> None:
        self.backend.close_all()

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def follow(self) -> None:
        """Tell the listeners of what other engines change too, until `close`."""
        self.backend.follow(lambda kind, ident: self._tell([(kind, ident)]))

    @contextmanager
    def session(self) -> Iterator[None]:
        """One connection for this thread. Inside another session, that one is used."""
        if os.getpid() != self._pid:
            raise Internal("the ledger was opened by another process; a child never shares its connection")
        if not self._connections.is_closed():
            yield
            return
        with self._translated():
            self._connections.connect()
        try:
            yield
        finally:
            self._connections.close()

    @contextmanager
    def transaction(self, *, durable: bool = True, ordered: bool = True) -> Iterator[None]:
        """One writer's turn, begin to commit; inside another transaction, a savepoint of it.

        Turns come one after the other, over all engines: what is read in one stays true until its end, and events are
        numbered in the order in which they become visible. `ordered=False` does without where other engines share
        the ledger: for a change of one row that depends on nothing else. `durable=False` commits without waiting for
        the disk: a power cut may undo it, but never what was committed durably before or after. Neither has an effect
        inside another transaction.
        """
        with self.session():
            if self._connections.in_transaction():
                with self._savepoint():
                    yield
                return
            asked = time.monotonic()
            alone = ordered or not self.shared
            if alone and not self._writer.acquire(timeout=self._busy_seconds):
                raise StorageUnavailable("the ledger was busy for too long", hint=self.backend.busy_hint)
            try:
                waited = time.monotonic() - asked
                with self.backend.begin_writing(self.run, durable=durable, ordered=ordered, waited=waited) as how:
                    self._pending.changes = {}
                    with self._atomic(how):
                        yield
                        if self._pending.changes:
                            self.backend.notify_engines(self.run, list(self._pending.changes))
            finally:
                if alone:
                    self._writer.release()
                changes, self._pending.changes = list(self._pending.changes), {}
        # Only after a commit: an exception has left above.
        self._tell(changes)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is in a transaction. No longer, once the database has rolled it back by itself."""
        if self._connections.is_closed():
            return False
        connection = self._connections.connection()  # type: ignore[no-untyped-call]
        return self.backend.in_transaction(connection)

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        before = dict(self._pending.changes)
        try:
            with self._atomic(""):
                yield
        except BaseException:
            self._pending.changes = before
            raise

    @contextmanager
    def _atomic(self, how: str) -> Iterator[None]:
        block = self._connections.atomic(how)
        with self._translated():
            block.__enter__()
        try:
            yield
        except BaseException:
            try:
                block.__exit__(*sys.exc_info())
            except peewee.PeeweeException as error:
                # The database has rolled back by itself (a full disk does that); the first error is the one to tell.
                logger.debug("rollback: %s", error)
            raise
        with self._translated():
            block.__exit__(None, None, None)

    def record_change(self, kind: Kind, ident: str) -> None:
        """Note a change; listeners hear of it after the commit, once. Call it inside a transaction."""
        self._pending.changes[kind, ident] = None

    def _tell(self, changes: list[tuple[str, str]]) -> None:
        for kind, ident in changes:
            for listener in self._listeners:
                try:
                    listener(kind, ident)
                except Exception:
                    logger.exception("a listener failed on %s %s", kind, ident)

    def rows(self, query: peewee.BaseQuery | Statement, **values: Any) -> list[Row]:
        """All rows of a SELECT; `values` are those that a statement takes."""
        if isinstance(query, Statement):
            return [query.row(stored) for stored in self.run(query.sql, query.params(values))]
        with self.session(), self._translated():
            return list(query.dicts().execute(self._connections))

    def row(self, query: peewee.BaseQuery | Statement, **values: Any) -> Row | None:
        """The first row of a SELECT, None where there is none."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def by_key(self, model: type[peewee.Model], value: str) -> Row | None:
        """The row with this primary key, None where there is none. What every request asks."""
        statement = self._by_key.get(model)
        if statement is None:
            key = cast("peewee.Field[Any]", model._meta.primary_key)
            statement = self._by_key[model] = Statement(model.select().where(key == param(key, "key")))
        return self.row(statement, key=value)

    def change(self, query: peewee.BaseQuery | Statement, **values: Any) -> int:
        """Run an UPDATE or a DELETE; how many rows it touched decides who won a race."""
        with self._writing(), self._translated():
            if isinstance(query, Statement):
                return int(self._execute(query.sql, query.params(values)).rowcount)
            return int(query.execute(self._connections))

    def insert(self, query: peewee.Insert | Statement, **values: Any) -> Any:
        """Run an INSERT; of a query, the new row's number where the table counts them."""
        with self._writing(), self._translated():
            if isinstance(query, Statement):
                self._execute(query.sql, query.params(values))
                return None
            return query.execute(self._connections)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The transaction of this thread, or one for a single statement, so that it too waits its turn."""
        if self._connections.in_transaction():
            yield
        else:
            with self.transaction():
                yield

    def run(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Plain SQL with `?` for each value, for migrations and what Peewee has no words for."""
        with self.session(), self._translated():
            cursor = self._execute(sql, params)
            try:
                return list(cursor.fetchall()) if cursor.description else []
            finally:
                cursor.close()

    def has_table(self, name: str) -> bool:
        return self.backend.has_table(self.run, name)

    def clock_ms(self) -> int:
        """The time by which engines judge each other, ms since 1970: the database's own where they share it."""
        return self.backend.clock_ms(self.run)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the ledger and of its write-ahead log."""
        return self.backend.sizes(self.run)

    def _execute(self, sql: str, params: tuple[Any, ...]) -> Any:
        return self._connections.execute_sql(self.backend.dialect(sql), params)  # type: ignore[no-untyped-call]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise self.backend.translate(error) from error
