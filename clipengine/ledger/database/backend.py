"""The backend protocol: everything in which SQLite and PostgreSQL differ.

`database` owns sessions and transactions; `sqlite` and `postgres` implement the protocol. Handwritten SQL is in
SQLite's dialect, and `Backend.dialect` translates it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import peewee

from clipengine.clips.texts.words import Phrase
from clipengine.errors import ClipEngineError

BUSY_SECONDS = 10
Rows = list[tuple[Any, ...]]
Run = Callable[..., Rows]  # `Database.run`
Listener = Callable[[str, str], None]
Wakers = Mapping[str, Callable[[], None]]  # by channel


@dataclass(frozen=True)
class PostgresLocation:
    """A ledger in PostgreSQL, shared by any number of engines on any number of hosts."""

    url: str = field(repr=False)
    secrets_key: Path


Location = Path | PostgresLocation  # an SQLite file, or a PostgreSQL database


def triggers_with(tables: Sequence[str], triggers: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return the triggers, given as names and texts, whose text contains one of these tables, and the problem."""
    names = re.compile(rf"\b({'|'.join(tables)})\b", re.IGNORECASE)
    return [(name, f"is a trigger with {found[1]}") for name, text in triggers if (found := names.search(text))]


class WordIndex(Protocol):
    """Full-text index over a column of a table with an integer key. `tables` contains that table as `c`.

    `match` and `differs`, its opposite, have the result of `query` as their parameter.
    """

    tables: str
    key: str
    match: str
    differs: str  # needs no other table than `c`

    def create(self, run: Run) -> None: ...

    def follow_updates(self, run: Run) -> None:
        """Keep the index true when rows are updated, not only when they are added and deleted."""

    def query(self, phrases: Sequence[Phrase]) -> str: ...


class Backend(Protocol):
    """One kind of database.

    Messages call the ledger by its `name`. If it is `shared`, other engines may use it too. `file` is its path if it is
    a file.
    """

    name: str
    shared: bool
    file: Path | None
    connections: peewee.Database
    errors: tuple[type[Exception], ...]  # of the driver
    busy_hint: str
    key_hint: str | None  # for an error about a missing secrets key

    def word_index(self, table: str, key: str, column: str = "words") -> WordIndex:
        """Return the index of a column of words of a table with this integer key."""

    def dialect(self, sql: str) -> str:
        """Translate SQLite's SQL, with `?` for each parameter."""

    def begin_writing(self, run: Run, *, durable: bool, ordered: bool, waited: float) -> AbstractContextManager[str]:
        """Enclose a write transaction that has `waited` for some seconds, and yield the argument for `atomic`."""

    def take_turn(self, run: Run, name: str) -> None:
        """Wait until no other transaction has this turn, and take it until this one ends."""

    def lock_tables(self, run: Run, savepoint: Callable[[], AbstractContextManager[None]]) -> None:
        """Lock all tables of the ledger until this transaction ends, and lift the limit of its statements' time.

        Raises StorageUnavailable if other transactions hold a table for `BUSY_SECONDS`.
        """

    def lift_statement_timeout(self, run: Run) -> None:
        """Let the statements of this transaction take as long as they need, as a migration of large tables does."""

    def in_transaction(self, connection: Any) -> bool:
        """Return the driver's transaction state. It is False after the database has rolled back by itself."""

    def has_rows(self, cursor: Any) -> bool:
        """Return True if the statement of the cursor is one that returns rows."""

    def notify_engines(self, run: Run, changes: Sequence[tuple[str, str]]) -> None:
        """Notify the other engines when this transaction commits."""

    def follow(self, listener: Listener, wakers: Wakers) -> None:
        """Call `listener` with the changes of other engines until `close_all`, and `("", "")` if some may be lost.

        Call each of `wakers` when any engine notifies its channel, and if a notification may be lost.
        """

    def translate(self, error: Exception) -> ClipEngineError:
        """Return the ClipEngineError for an error of the driver. A violated constraint is a defect: `Internal`."""

    def has_table(self, run: Run, name: str) -> bool: ...

    def suspects(self, run: Run, tables: Sequence[str], definitions: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return names and problems of objects that may change rows of these tables, or hide them from some queries.

        `definitions` has the statement of each table and index.
        """

    def clock_ms(self, run: Run) -> int:
        """Return the time by which engines judge each other, in ms since 1970."""

    def sizes(self, run: Run) -> tuple[int, int]:
        """Return the size of the ledger and of its write-ahead log, in bytes."""

    def close_all(self) -> None: ...
