"""What the ledger needs of a kind of database: everything in which SQLite and PostgreSQL differ.

`database` owns sessions and transactions and knows neither; `sqlite` and `postgres` are the two kinds. SQL that is
written by hand is SQLite's; `words` puts it into those of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import peewee

from clipengine.errors import ClipEngineError

BUSY_SECONDS = 10
Rows = list[tuple[Any, ...]]
Run = Callable[..., Rows]  # `Database.run`
Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class PostgresLocation:
    """A ledger in PostgreSQL, at which any number of engines on any number of hosts work."""

    url: str = field(repr=False)
    secrets_key: Path


Location = Path | PostgresLocation  # a file of SQLite, or a database of PostgreSQL


class Backend(Protocol):
    """`name` is how messages call the ledger; `shared`: other engines may be at work on it; `file`: where it is one."""

    name: str
    shared: bool
    file: Path | None
    connections: peewee.Database
    errors: tuple[type[Exception], ...]  # of the driver
    busy_hint: str
    key_hint: str | None  # where the key of the secrets is missing

    def dialect(self, sql: str) -> str:
        """This kind's words for SQL with `?` for each value."""

    def begin_writing(self, run: Run, *, durable: bool, ordered: bool, waited: float) -> AbstractContextManager[str]:
        """Around a transaction that has waited so many seconds for its turn; gives what `atomic` begins it with."""

    def lift_statement_timeout(self, run: Run) -> None:
        """Let this transaction take as long as it needs, as a change of large tables does."""

    def in_transaction(self, connection: Any) -> bool:
        """As the driver knows it: no longer, once the database has rolled back by itself."""

    def notify_engines(self, run: Run, changes: Sequence[tuple[str, str]]) -> None:
        """Have the other engines told with the commit of this transaction."""

    def follow(self, tell: Tell) -> None:
        """Call `tell` with what other engines change from now on, until `shut`; `("", "")` where some may be missed."""

    def translate(self, error: Exception) -> ClipEngineError:
        """An error of the driver as one of ours. A violated constraint stays a defect: `Internal`."""

    def has_table(self, run: Run, name: str) -> bool: ...

    def clock_ms(self, run: Run) -> int:
        """The time by which engines judge each other, ms since 1970."""

    def sizes(self, run: Run) -> tuple[int, int]:
        """Bytes of the ledger and of its write-ahead log."""

    def close_all(self) -> None: ...
