"""The SQLite backend: a file that one engine uses."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError, DiskFull, Internal, StorageUnavailable
from clipengine.ledger.database.backend import BUSY_SECONDS, Listener, Run, Wakers, WordIndex, triggers_with
from clipengine.ledger.database.word_index import Fts5

RESTORE_HINT = "Restore the file from a backup, or choose another data folder with --data; it is never recreated."
MOVED_HINT = (
    "Move the data folder back; the engine then continues by itself. If it was moved or replaced on purpose, restart "
    "the engine with --data and the new path."
)
_IDLE_CONNECTIONS = 16
_PRAGMAS = {
    # Negative: in KiB. Small, because it is per connection and the kernel caches the file anyway.
    "cache_size": -512,
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "wal_autocheckpoint": 1000,
    "journal_size_limit": 64 * 1024 * 1024,
}


class _Connections(peewee.SqliteDatabase):
    """Pool of connections to an existing file.

    Opening a connection costs more than most queries, and closing the last one makes SQLite checkpoint and delete the
    WAL. An idle connection has no transaction, so it does not delay checkpoints.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._file: os.stat_result | None = None
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._open = True
        super().__init__(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            pragmas=_PRAGMAS,
            lock_type="IMMEDIATE",
            timeout=busy_seconds,
            autoconnect=False,
            check_same_thread=False,  # a connection moves between threads, but only one uses it at a time
        )

    def _connect(self) -> sqlite3.Connection:
        with self._idle_lock:
            if not self._open:
                raise sqlite3.OperationalError("the ledger is closed")
            if self._idle:
                return self._idle.pop()
        self.check_path()
        return cast(sqlite3.Connection, super()._connect())  # type: ignore[misc]

    def check_path(self) -> None:
        """Raise StorageUnavailable if the path no longer leads to the file that was opened first.

        Open connections would still write to a file that was moved or replaced, and a response would promise durability
        for data that is about to be deleted.
        """
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise StorageUnavailable(f"{self._path} cannot be reached: {error.strerror}", hint=MOVED_HINT) from error
        if self._file is None:
            self._file = found
        elif not os.path.samestat(found, self._file):
            raise StorageUnavailable(f"the ledger {self._path} was replaced by another file", hint=MOVED_HINT)

    def _close(self, conn: sqlite3.Connection) -> None:
        if conn.in_transaction:
            conn.rollback()
        with self._idle_lock:
            if self._open and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(conn)
                return
        conn.close()

    def rollback(self) -> None:
        """Roll back, unless SQLite has done so by itself, as it does if a commit meets a full disk.

        Peewee rolls back after a failed commit, and the error of a second rollback would replace the cause.
        """
        if self.connection().in_transaction:  # type: ignore[no-untyped-call]
            super().rollback()

    def close_all(self) -> None:
        with self._idle_lock:
            self._open = False
            shelf, self._idle = self._idle, []
        for conn in shelf:
            conn.close()


class Sqlite:
    """Backend of a ledger in a file."""

    shared = False
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    busy_hint = "Another program locks the database in the data folder; send the same request again."
    key_hint: str | None = None

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.file: Path | None = path
        self._path = path
        self.name = str(path)
        self._busy_seconds = busy_seconds
        self._connections = _Connections(path, busy_seconds)
        self.connections: peewee.Database = self._connections

    def word_index(self, table: str, key: str, column: str = "words") -> WordIndex:
        return Fts5(table, key, column)

    def dialect(self, sql: str) -> str:
        return sql

    @contextmanager
    def begin_writing(self, run: Run, *, durable: bool, ordered: bool, waited: float) -> Iterator[str]:
        self._connections.check_path()
        # The lock of this process and SQLite's lock share one timeout.
        shortened = waited >= 0.1
        try:
            if shortened:
                run(f"PRAGMA busy_timeout = {max(1, round((self._busy_seconds - waited) * 1000))}")
            if not durable:
                run("PRAGMA synchronous = NORMAL")
            yield "IMMEDIATE"
        finally:
            if not durable:
                run("PRAGMA synchronous = FULL")
            if shortened:
                run(f"PRAGMA busy_timeout = {round(self._busy_seconds * 1000)}")

    def take_turn(self, run: Run, name: str) -> None:
        """Do nothing: write transactions are serialised."""

    def lock_tables(self, run: Run, savepoint: Callable[[], AbstractContextManager[None]]) -> None:
        """Do nothing: a writer holds the lock of the file."""

    def lift_statement_timeout(self, run: Run) -> None:
        """Do nothing: SQLite has no statement timeout."""

    def in_transaction(self, connection: sqlite3.Connection) -> bool:
        return connection.in_transaction

    def has_rows(self, cursor: sqlite3.Cursor) -> bool:
        return cursor.description is not None

    def notify_engines(self, run: Run, changes: Sequence[tuple[str, str]]) -> None:
        """Do nothing: no other engine uses the file."""

    def follow(self, listener: Listener, wakers: Wakers) -> None:
        """Do nothing: no other engine uses the file."""

    def translate(self, error: Exception) -> ClipEngineError:
        return translate(error)

    def has_table(self, run: Run, name: str) -> bool:
        return bool(run("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    def suspects(self, run: Run, tables: Sequence[str], definitions: Mapping[str, str]) -> list[tuple[str, str]]:
        # By the text alone, which may be stored as a BLOB: SQLite does not read the type in sqlite_master.
        stored = run("SELECT CAST(name AS TEXT), CAST(sql AS TEXT) FROM sqlite_master WHERE sql IS NOT NULL")
        differing = sorted(definitions.items() - set(stored))
        wrong = [(name, "is missing or has another definition") for name, _ in differing]
        wrong += triggers_with(tables, [each for each in stored if "trigger" in each[1].lower()])
        for table in tables:
            indexes = run("SELECT name FROM pragma_index_list(?) WHERE origin = 'c'", (table,))
            wrong += [(name, f"is no index of {table}") for (name,) in indexes if name not in definitions]
            problems = run("SELECT * FROM pragma_integrity_check(?)", (table,))
            wrong += [(table, text) for (text,) in problems if text != "ok"]
        return list(dict.fromkeys(wrong))

    def clock_ms(self, run: Run) -> int:
        return now_ms()

    def sizes(self, run: Run) -> tuple[int, int]:
        return self._size(""), self._size("-wal")

    def _size(self, tail: str) -> int:
        try:
            return self._path.with_name(self._path.name + tail).stat().st_size
        except FileNotFoundError:
            return 0

    def close_all(self) -> None:
        self._connections.close_all()


def translate(error: Exception) -> ClipEngineError:
    """Return the ClipEngineError for an error of SQLite or Peewee."""
    original: Any = getattr(error, "orig", None)
    error = original if isinstance(original, sqlite3.Error) else error
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return DiskFull("the disk of the ledger is full", hint="Free space on the disk of the data folder.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageUnavailable("the ledger was busy for too long", hint=Sqlite.busy_hint)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageUnavailable(f"the ledger is damaged: {error}", hint=RESTORE_HINT)
    defects = sqlite3.IntegrityError | sqlite3.ProgrammingError
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, defects):
        hint = "Check the disk of the data folder, its owner and its free space."
        return StorageUnavailable(f"the ledger cannot be used: {error}", hint=hint)
    return Internal(f"the ledger refused a change: {error}")
