"""The connection to the ledger's file: pragmas, sessions, transactions, and who is told after a commit.

Owns everything that is special about SQLite. Refuses to hold a cursor: what is read is fetched before it is returned,
so that no reader is left open behind a slow client. Every error of the driver leaves here as one of ours.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import peewee

from clipengine.errors import ClipEngineError, DiskFull, Internal, StorageUnavailable
from clipengine.ledger.statements import Row as Row
from clipengine.ledger.statements import Statement, given

logger = logging.getLogger(__name__)

Kind = Literal["clip", "recording", "delivery", "removal"]
Listener = Callable[[str, str], None]

BUSY_SECONDS = 10
_IDLE_CONNECTIONS = 16
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "wal_autocheckpoint": 1000,
    "journal_size_limit": 64 * 1024 * 1024,
}


class _Connections(peewee.SqliteDatabase):
    """Connections go back to a shelf instead of being closed.

    Opening one costs more than most queries, and closing the last one of a file makes SQLite checkpoint and delete
    its WAL. A connection on the shelf has no transaction, so it holds nothing back.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._shelf: list[sqlite3.Connection] = []
        self._shelf_lock = threading.Lock()
        self._open = True
        super().__init__(
            str(path),
            pragmas=_PRAGMAS,
            lock_type="IMMEDIATE",
            timeout=busy_seconds,
            autoconnect=False,
            check_same_thread=False,  # one thread at a time uses it, but not always the same one
        )

    def _connect(self) -> sqlite3.Connection:
        with self._shelf_lock:
            if not self._open:
                raise sqlite3.OperationalError("the ledger is closed")
            if self._shelf:
                return self._shelf.pop()
        return cast(sqlite3.Connection, super()._connect())  # type: ignore[misc]

    def _close(self, conn: sqlite3.Connection) -> None:
        if conn.in_transaction:
            conn.rollback()
        with self._shelf_lock:
            if self._open and len(self._shelf) < _IDLE_CONNECTIONS:
                self._shelf.append(conn)
                return
        conn.close()

    def shut(self) -> None:
        with self._shelf_lock:
            self._open = False
            shelf, self._shelf = self._shelf, []
        for conn in shelf:
            conn.close()


class _Pending(threading.local):
    """What this thread's open transaction has changed, in order."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, str], None] = {}


class Database:
    """One file of SQLite. Safe to use from any thread of the process that opened it, and from no other process."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._connections = _Connections(path, busy_seconds)
        self._pending = _Pending()
        self._by_key: dict[type[peewee.Model], Statement] = {}
        self._listeners: list[Listener] = []
        self._pid = os.getpid()
        # SQLite lets waiting writers poll with growing sleeps; in this process they queue here instead.
        self._writer = threading.Lock()

    def close(self) -> None:
        self._connections.shut()

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    @contextmanager
    def session(self) -> Iterator[None]:
        """One connection for this thread. Inside another session, that one is used."""
        if os.getpid() != self._pid:
            raise Internal("the ledger was opened by another process; a child never shares its connection")
        if not self._connections.is_closed():
            yield
            return
        with _translated():
            self._connections.connect()
        try:
            yield
        finally:
            self._connections.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """`BEGIN IMMEDIATE` to `COMMIT`; inside another transaction, a savepoint of it.

        `durable=False` commits without waiting for the disk: a power cut may undo it, but never what was committed
        durably before or after. It has no effect inside another transaction.
        """
        with self.session():
            if self._connections.in_transaction():
                with self._savepoint():
                    yield
                return
            asked = time.monotonic()
            if not self._writer.acquire(timeout=self._busy_seconds):
                raise StorageUnavailable("the ledger was busy for too long", hint=_BUSY_HINT)
            try:
                with self._patience(time.monotonic() - asked), self._outermost(durable):
                    yield
            finally:
                self._writer.release()
                changes, self._pending.changes = list(self._pending.changes), {}
        # Only after a commit: an exception has left above.
        self._tell(changes)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is in a transaction. No longer, once SQLite has rolled it back by itself."""
        if self._connections.is_closed():
            return False
        connection = cast(sqlite3.Connection, self._connections.connection())  # type: ignore[no-untyped-call]
        return connection.in_transaction

    @contextmanager
    def _patience(self, waited: float) -> Iterator[None]:
        """Leave SQLite only what is left of the time to wait, so that a caller waits for both together."""
        if waited < 0.1:
            yield
            return
        try:
            self.run(f"PRAGMA busy_timeout = {max(1, round((self._busy_seconds - waited) * 1000))}")
            yield
        finally:
            self.run(f"PRAGMA busy_timeout = {round(self._busy_seconds * 1000)}")

    @contextmanager
    def _outermost(self, durable: bool) -> Iterator[None]:
        self._pending.changes = {}
        if not durable:
            self.run("PRAGMA synchronous = NORMAL")
        try:
            with self._atomic():
                yield
        finally:
            if not durable:
                self.run("PRAGMA synchronous = FULL")

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        before = dict(self._pending.changes)
        try:
            with self._atomic():
                yield
        except BaseException:
            self._pending.changes = before
            raise

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        block = self._connections.atomic("IMMEDIATE")
        with _translated():
            block.__enter__()
        try:
            yield
        except BaseException:
            try:
                block.__exit__(*sys.exc_info())
            except peewee.PeeweeException as error:
                # SQLite has rolled back by itself (a full disk does that); the first error is the one to tell.
                logger.debug("rollback: %s", error)
            raise
        with _translated():
            block.__exit__(None, None, None)

    def changed(self, kind: Kind, ident: str) -> None:
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
        with self.session(), _translated():
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
            statement = self._by_key[model] = Statement(model.select().where(key == given(key, "key")))
        return self.row(statement, key=value)

    def change(self, query: peewee.BaseQuery | Statement, **values: Any) -> int:
        """Run an UPDATE or a DELETE; how many rows it touched decides who won a race."""
        with self._writing(), _translated():
            if isinstance(query, Statement):
                return self._execute(query.sql, query.params(values)).rowcount
            return int(query.execute(self._connections))

    def insert(self, query: peewee.Insert | Statement, **values: Any) -> Any:
        """Run an INSERT; the new row's number where the table counts them."""
        with self._writing(), _translated():
            if isinstance(query, Statement):
                return self._execute(query.sql, query.params(values)).lastrowid
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
        """Plain SQL, for migrations and pragmas."""
        with self.session(), _translated():
            cursor = self._execute(sql, params)
            try:
                return list(cursor.fetchall())
            finally:
                cursor.close()

    def _execute(self, sql: str, params: tuple[Any, ...]) -> sqlite3.Cursor:
        return cast(sqlite3.Cursor, self._connections.execute_sql(sql, params))  # type: ignore[no-untyped-call]


RESTORE_HINT = (
    "Restore the file from a backup, or name another data folder with --data; it is never recreated by itself."
)
_BUSY_HINT = "Something else holds the database of the data folder; send the same request again."


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except peewee.PeeweeException as error:
        original = getattr(error, "orig", None)
        raise translate(original if isinstance(original, sqlite3.Error) else error) from error
    except sqlite3.Error as error:
        raise translate(error) from error


def translate(error: Exception) -> ClipEngineError:
    """An error of the driver as one of ours. A violated constraint stays a defect: `Internal`."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return DiskFull("the disk of the ledger is full", hint="Free space on the disk of the data folder.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageUnavailable("the ledger was busy for too long", hint=_BUSY_HINT)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageUnavailable(f"the ledger is damaged: {error}", hint=RESTORE_HINT)
    defects = sqlite3.IntegrityError | sqlite3.ProgrammingError
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, defects):
        hint = "Check the disk of the data folder, its owner and its free space."
        return StorageUnavailable(f"the ledger cannot be used: {error}", hint=hint)
    return Internal(f"the ledger refused a change: {error}")
