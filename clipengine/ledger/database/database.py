"""Sessions, transactions and prepared statements of the ledger, and notification of listeners after a commit.

A `Backend` implements the specifics of SQLite or PostgreSQL. All rows are fetched before they are returned, so that a
slow client never holds a reader open. Driver errors are translated into ClipEngineError.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

import peewee

from clipengine.errors import Internal, StorageUnavailable
from clipengine.ledger.database.act import Act, current_act
from clipengine.ledger.database.backend import BUSY_SECONDS, Backend, Listener, Wakers

logger = logging.getLogger(__name__)

# An edit is a change by a caller, of which streams report the state even if the object has ended.
Kind = Literal["clip", "recording", "delivery", "transcription", "edited_clip", "edited_recording", "batch"]
Queue = Literal["clips", "fetches", "probes", "live", "transcriptions", "batches", "removals", "deliveries"]

Row = dict[str, Any]
WaitObserver = Callable[[float], None]
SendMessage = Callable[[Queue, str], None]

_ROWS_PER_INSERT = 500  # of up to 20 columns: SQLite accepts 32,766 parameters
_DIALECT = peewee.SqliteDatabase(None)


def compact_json(value: Any) -> str:
    """Return JSON without whitespace, with keys in the given order and without ASCII escapes."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def changes(row: Row, values: Row) -> Row:
    """Return the values that a row does not have."""
    return {name: value for name, value in values.items() if row[name] != value}


class JsonText(peewee.TextField):
    """Text column of JSON values, with None for NULL."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else compact_json(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else json.loads(value)


class MomentField(peewee.BigIntegerField):
    """Column of a time of the calendar, in ms since 1970, UTC. Only earlier versions stored times out of bounds."""


class DueField(MomentField):
    """Column of the earliest time of the next claim, which may be so large that it means never."""


class _AsStored:
    """Column that is read as it is stored: SQLite stores any type in any column."""

    def python_value(self, value: Any) -> Any:
        return value


class StoredText(_AsStored, peewee.TextField):
    pass


class StoredInteger(_AsStored, peewee.IntegerField):
    pass


class StoredBigInteger(_AsStored, peewee.BigIntegerField):
    pass


class StoredMoment(_AsStored, MomentField):
    pass


# Fields whose values need no conversion.
_PLAIN = (
    *(peewee.TextField, peewee.IntegerField, peewee.BigIntegerField, peewee.DoubleField, peewee.AutoField),
    *(MomentField, DueField),
)


@dataclass(frozen=True)
class _Placeholder:
    name: str
    db_value: Callable[[Any], Any]


def param(field: peewee.Field, name: str | None = None) -> peewee.SQL:
    """Return a parameter with the type of this column, named after the column unless `name` is given."""
    return peewee.SQL("?", [_Placeholder(name or field.name, field.db_value)])


class Statement:
    """A query with `param`s that is compiled once. Thread-safe, because it has no connection.

    Peewee compiles a query for every run, which takes several times as long as SQLite needs to execute it. The queries
    of each request and each clip are therefore statements; rare queries, and queries of many shapes, are not.
    """

    def __init__(self, query: peewee.Query) -> None:
        self.sql, self._params = query.bind(_DIALECT).sql()
        self._columns = [
            (column.name, None if type(column) in _PLAIN else getattr(column, "python_value", None))
            for column in getattr(query, "_returning", None) or ()
        ]

    def params(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters for the driver. Raises KeyError if one is missing in `values`."""
        return tuple(
            param.db_value(values[param.name]) if isinstance(param, _Placeholder) else param for param in self._params
        )

    def row(self, stored: tuple[Any, ...]) -> Row:
        """Convert a row of the driver into Python values by column name."""
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self._columns, stored, strict=True)
        }

    def bind(self, **values: Any) -> Bound:
        """Return the statement with the values of its parameters, to be used as a query."""
        return Bound(self, values)


@dataclass(frozen=True)
class Bound:
    """A statement with the values of its parameters. `suffix` is appended to its SQL."""

    statement: Statement
    values: Mapping[str, Any]
    suffix: str = ""

    @property
    def sql(self) -> str:
        return self.statement.sql + self.suffix

    def params(self) -> tuple[Any, ...]:
        return self.statement.params(self.values)


def insert_statement(model: type[peewee.Model], *, without: tuple[str, ...] = ()) -> Statement:
    """Return an INSERT of a whole row. The database fills in the columns of `without`."""
    fields = [field for field in model._meta.sorted_fields if field.name not in without]
    return Statement(model.insert({field: param(field) for field in fields}))


def _ignore(*_: object) -> None:
    pass


class _Pending(threading.local):
    """Changes and messages of this thread's open transaction, in order, and the act that changes rows."""

    def __init__(self) -> None:
        self.act: Act | None = None
        self.changes: dict[tuple[str, str], bool] = {}  # True: other engines are notified too
        self.messages: dict[tuple[Queue, str], None] = {}


class Database:
    """Access to one ledger, from any thread of the process that opened it, but from no other process.

    `secrets_key` is the file with the key of its secrets.
    """

    def __init__(self, backend: Backend, *, secrets_key: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.backend = backend
        self.name = backend.name
        self.shared = backend.shared
        self.secrets_key = secrets_key
        self.supported_schema = 0  # newest version that this program knows, set by `migrate`
        self._errors: tuple[type[Exception], ...] = (peewee.PeeweeException, *backend.errors)
        self._busy_seconds = busy_seconds
        self._connections = backend.connections
        self._pending = _Pending()
        self._by_key: dict[tuple[type[peewee.Model], bool], Statement] = {}
        self._listeners: list[Listener] = []
        self._observe_connection: WaitObserver = _ignore
        self._observe_lock: WaitObserver = _ignore
        self._send: SendMessage = _ignore
        self._record_act: Callable[[Act], None] = _ignore
        self._pid = os.getpid()
        # Writers of this process wait here: SQLite would let them poll, PostgreSQL would need a connection for each.
        self._writer = threading.Lock()

    def close(self) -> None:
        self.backend.close_all()

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def on_wait(self, *, connection: WaitObserver, lock: WaitObserver) -> None:
        """Call `connection` with the seconds of each wait for a session, and `lock` for a write lock.

        The first includes the time to open a connection, the second the time to begin the transaction.
        """
        self._observe_connection, self._observe_lock = connection, lock

    def on_message(self, send: SendMessage) -> None:
        """Send messages with `send(queue, id)`: in the transaction if engines share the ledger, else after it."""
        self._send = send

    def on_act(self, record: Callable[[Act], None]) -> None:
        """Record acts with `record(act)`, in the transaction of their first change."""
        self._record_act = record

    def follow(self, wakers: Wakers) -> None:
        """Notify the listeners of changes by other engines as well, until `close`. `wakers`: see `Backend.follow`."""
        self.backend.follow(lambda kind, ident: self._notify([(kind, ident)]), wakers)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold one connection for this thread. A nested session uses the outer one."""
        if os.getpid() != self._pid:
            raise Internal("the ledger was opened by another process; a child process must not share its connection")
        if not self._connections.is_closed():
            yield
            return
        began = time.monotonic()
        with self._translated():
            self._connections.connect()
        try:
            self._observe_connection(time.monotonic() - began)
            yield
        finally:
            self._connections.close()

    @contextmanager
    def transaction(self, *, durable: bool = True, ordered: bool = True) -> Iterator[None]:
        """Run the block as a write transaction, or as a savepoint if this thread is already in one.

        On SQLite, write transactions are serialised: rows that the block reads do not change until it ends. Engines
        that share a ledger serialise only `ordered` ones, which are rare; the others lock the rows that they read
        (`by_key`), change rows on conditions, and take a `turn` where that does not suffice. `durable=False` commits
        without waiting for the disk: a power cut may undo this transaction, but no durable one. Neither has an effect
        in a savepoint.
        """
        with self.session():
            if self._connections.in_transaction():
                with self._savepoint():
                    yield
                return
            began, act = time.monotonic(), current_act()
            was_recorded = act is not None and act.is_recorded
            exclusive = ordered or not self.shared
            if exclusive and not self._writer.acquire(timeout=self._busy_seconds):
                raise StorageUnavailable("the ledger was busy for too long", hint=self.backend.busy_hint)
            try:
                waited = time.monotonic() - began
                with self.backend.begin_writing(self.run, durable=durable, ordered=ordered, waited=waited) as mode:
                    self._pending.changes, self._pending.messages = {}, {}
                    with self._atomic(mode):
                        if exclusive:
                            self._observe_lock(time.monotonic() - began)
                        with self.recorded(durable=durable):
                            yield
                        if shared := [change for change, remote in self._pending.changes.items() if remote]:
                            self.backend.notify_engines(self.run, shared)
                        if self.shared:
                            self._send_all(list(self._pending.messages))
            except BaseException:
                if act is not None and not was_recorded:
                    act.undo()
                raise
            finally:
                if exclusive:
                    self._writer.release()
                changes, self._pending.changes = list(self._pending.changes), {}
                messages, self._pending.messages = list(self._pending.messages), {}
        # Reached only after a commit.
        self._notify(changes)
        if not self.shared:
            self._send_all(messages)

    @property
    def in_transaction(self) -> bool:
        """True while this thread is in a transaction. False after the database has rolled it back by itself."""
        if self._connections.is_closed():
            return False
        connection = self._connections.connection()  # type: ignore[no-untyped-call]
        return self.backend.in_transaction(connection)

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        changes, messages = dict(self._pending.changes), dict(self._pending.messages)
        try:
            with self._atomic(""), self.recorded():
                yield
        except BaseException:
            self._pending.changes, self._pending.messages = changes, messages
            raise

    @contextmanager
    def _atomic(self, mode: str) -> Iterator[None]:
        block = self._connections.atomic(mode)
        with self._translated():
            block.__enter__()
        try:
            yield
        except BaseException:
            try:
                block.__exit__(*sys.exc_info())
            except peewee.PeeweeException as error:
                # The database has rolled back by itself, for example because the disk is full. Raise the first error.
                logger.debug("rollback: %s", error)
            raise
        with self._translated():
            block.__exit__(None, None, None)

    @contextmanager
    def recorded(self, *, durable: bool = True) -> Iterator[None]:
        """Record the act of this context at the end of the block, if the block has changed a row of an object.

        Call it in a transaction. A block inside another one of the same act leaves it to that one. Changes that need
        not be durable, such as the time of a key's last use, are no part of an act.
        """
        act, outer = current_act(), self._pending.act
        if act is None or act is outer or act.actor is None or act.is_recorded or not durable:
            yield
            return
        self._pending.act = act
        try:
            yield
            if act.has_changed and act.objects:
                self._record_act(act)
                act.is_recorded = True
        except BaseException:
            act.undo()
            raise
        finally:
            self._pending.act = outer

    def concerns(self, ident: str) -> None:
        """Name an object that this transaction changes, for the audit log."""
        if self._pending.act is not None:
            self._pending.act.note(ident)

    def record_change(self, kind: Kind, ident: str) -> None:
        """Notify the listeners of a change once, after the commit. Call it inside a transaction."""
        self._pending.changes[kind, ident] = True
        self.concerns(ident)

    def record_progress(self, kind: Kind, ident: str) -> None:
        """Notify only the listeners of this process of a change, after the commit.

        A notification of other engines costs the database more than the change itself, and is sent one at a time.
        """
        self._pending.changes.setdefault((kind, ident), False)

    def enqueue(self, queue: Queue, id: str) -> None:
        """Send a message with this id to the workers of a queue, with the commit. Call it inside a transaction."""
        self._pending.messages[queue, id] = None

    def _send_all(self, messages: list[tuple[Queue, str]]) -> None:
        for queue, id in messages:
            self._send(queue, id)

    def turn(self, name: str) -> None:
        """Wait until no other transaction has the turn of this name, and take it until this transaction ends."""
        began = time.monotonic()
        self.backend.take_turn(self.run, name)
        if self.shared:
            self._observe_lock(time.monotonic() - began)

    def unlocked(self, query: Any) -> Any:
        """Return the SELECT without rows that another transaction has locked. It locks the rows it returns."""
        if not self.shared:
            return query
        if isinstance(query, Bound):
            return replace(query, suffix=" FOR UPDATE SKIP LOCKED")
        return query.for_update("FOR UPDATE SKIP LOCKED")

    def locked(self, query: Any) -> Any:
        """Return the SELECT that locks the rows it returns, see `lock_order`."""
        return query.for_update() if self.shared else query

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Yield a cursor of the driver in this thread's session, and in its transaction if one is open."""
        with self.session(), self._translated():
            cursor = self._connections.connection().cursor()  # type: ignore[no-untyped-call]
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def any_text(self) -> Iterator[None]:
        """Read text that is not UTF-8, which SQLite stores as well, with surrogates in place of an error."""
        with self.session():
            connection = self._connections.connection()  # type: ignore[no-untyped-call]
            if self.shared:
                yield
                return
            connection.text_factory = lambda text: text.decode(errors="surrogateescape")
            try:
                yield
            finally:
                connection.text_factory = str

    def _notify(self, changes: list[tuple[str, str]]) -> None:
        for kind, ident in changes:
            for listener in self._listeners:
                try:
                    listener(kind, ident)
                except Exception:
                    logger.exception("a listener failed on %s %s", kind, ident)

    def rows(self, query: peewee.BaseQuery | Statement | Bound, **values: Any) -> list[Row]:
        """Return all rows of a SELECT. `values` are the parameters of a statement."""
        if isinstance(query, Statement):
            query = query.bind(**values)
        if isinstance(query, Bound):
            return [query.statement.row(stored) for stored in self.run(query.sql, query.params())]
        with self.session(), self._translated():
            return list(query.dicts().execute(self._connections))

    def any_of(self, expression: Any, select: str, *params: Any) -> peewee.Expression:
        """Return the condition that a SELECT with `?` for each parameter has the value of `expression`."""
        return peewee.Expression(expression, "IN", peewee.SQL(f"({self.backend.dialect(select)})", params))

    def contains(self, column: peewee.Field, part: str) -> peewee.Expression:
        """Return the condition that the JSON text of the column has this part.

        It matches whole strings only: quotes inside of strings are escaped, and the API accepts no tag that is a comma
        and no key without letters and digits, which could match what is between two strings.
        """
        position = peewee.fn.strpos if self.shared else peewee.fn.instr
        return position(column, part) > 0

    def row(self, query: peewee.BaseQuery | Statement | Bound, **values: Any) -> Row | None:
        """Return the first row of a SELECT, or None."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def by_key(self, model: type[peewee.Model], value: Any, *, lock: bool = False) -> Row | None:
        """Return the row with this primary key, or None. Prepared, because every request needs it.

        With `lock`, no other transaction changes the row until this one ends.
        """
        statement = self._by_key.get((model, lock))
        if statement is None:
            key = cast("peewee.Field[Any]", model._meta.primary_key)
            statement = Statement(model.select().where(key == param(key, "key")))
            if lock and self.shared:
                statement.sql += " FOR UPDATE"
            self._by_key[model, lock] = statement
        return self.row(statement, key=value)

    def change(self, query: peewee.BaseQuery | Statement | Bound, **values: Any) -> int:
        """Run an UPDATE or a DELETE and return the number of rows, which decides races."""
        with self._writing(), self._translated():
            if isinstance(query, Statement):
                query = query.bind(**values)
            if isinstance(query, Bound):
                count = int(self._execute(query.sql, query.params()).rowcount)
            else:
                count = int(query.execute(self._connections))
            self._has_changed(count)
            return count

    def insert(self, query: peewee.Insert | Statement, **values: Any) -> Any:
        """Run an INSERT. Of a query, return the new row's id if the table generates it."""
        with self._writing(), self._translated():
            self._has_changed(1)
            if isinstance(query, Statement):
                self._execute(query.sql, query.params(values))
                return None
            return query.execute(self._connections)

    def insert_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows with an `insert_statement`, some hundred rows in one statement."""
        head, row_values = statement.sql.rsplit(" VALUES ", 1)
        for first in range(0, len(rows), _ROWS_PER_INSERT):
            chunk = [statement.params(row) for row in rows[first : first + _ROWS_PER_INSERT]]
            sql = f"{head} VALUES {', '.join([row_values] * len(chunk))}"
            with self._writing(), self._translated():
                self._execute(sql, tuple(chain.from_iterable(chunk)))
                self._has_changed(len(chunk))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Use the transaction of this thread, or open one for a single statement."""
        with nullcontext() if self._connections.in_transaction() else self.transaction():
            yield

    def _has_changed(self, rows: int) -> None:
        """Let the act of this transaction be recorded if a statement has changed rows."""
        if rows and self._pending.act is not None:
            self._pending.act.has_changed = True

    def run(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run SQL with `?` for each parameter, for migrations and for queries that Peewee cannot express."""
        with self.session(), self._translated():
            cursor = self._execute(sql, params)
            try:
                return list(cursor.fetchall()) if self.backend.has_rows(cursor) else []
            finally:
                cursor.close()

    def has_table(self, name: str) -> bool:
        return self.backend.has_table(self.run, name)

    def clock_ms(self) -> int:
        """Return the time by which engines judge each other, in ms since 1970. A shared database has the clock."""
        return self.backend.clock_ms(self.run)

    def sizes(self) -> tuple[int, int]:
        """Return the size of the ledger and of its write-ahead log, in bytes."""
        return self.backend.sizes(self.run)

    def _execute(self, sql: str, params: tuple[Any, ...]) -> Any:
        return self._connections.execute_sql(self.backend.dialect(sql), params)  # type: ignore[no-untyped-call]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise self.backend.translate(error) from error
