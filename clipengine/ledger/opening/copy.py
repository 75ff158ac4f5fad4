"""Copy of a ledger from its SQLite file to an empty PostgreSQL database.

The tables are created and filled in one transaction, and compared with the file before it is committed: an error leaves
the database empty. The copied secrets remain encrypted with the key of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql

from clipengine.errors import InvalidRequest, StartupError, StorageError
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import create_meta, migrate
from clipengine.ledger.database.schema import TABLES
from clipengine.ledger.database.vault import KEY_CHECK, Vault
from clipengine.ledger.engines.fences import FENCED_TABLES
from clipengine.ledger.opening.commit_watermark import META_NAME, check_counter, read_watermark
from clipengine.ledger.opening.file import open_file
from clipengine.ledger.opening.postgres_open import check_server, postgres_database

_ROWS_AT_ONCE = 1000
_HINT = "Nothing was copied. Correct the cause and run the command again."
_IDENTITIES = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND is_identity = 'YES'"""
_COLUMNS = """SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ? AND is_generated = 'NEVER' ORDER BY ordinal_position"""

Connection = psycopg.Connection[tuple[Any, ...]]
Values = Iterable[tuple[Any, ...]]


@dataclass(frozen=True)
class TableSummary:
    """Number of rows of a table, and a checksum of their values that does not depend on their order."""

    table: str
    rows: int
    checksum: str


def copy_ledger(ledger: Path, target: PostgresLocation) -> list[TableSummary]:
    """Copy the ledger, which no engine may use, to the empty database `target`, and return what each table contains.

    The file is migrated to the newest schema first, as at a start. Raises StartupError, SecretsKeyLost if the key of
    the file is missing, and SchemaTooNew.
    """
    source = open_file(ledger)
    try:
        with source.session():
            expected = read_watermark(ledger)
            meta = dict(source.run("SELECT name, value FROM meta"))
            check_counter(ledger, int(meta.get(META_NAME, 0)), expected)
            Vault.of(source.secrets_key, meta.get(KEY_CHECK), ledger=source.name)
            return _copy_to(source, postgres_database(PostgresLocation(target.url, source.secrets_key)))
    finally:
        source.close()


def _copy_to(source: Database, target: Database) -> list[TableSummary]:
    try:
        with target.session():
            check_server(target)
            with target.transaction():
                # A large table takes longer than the timeouts of a request allow.
                target.backend.lift_statement_timeout(target.run)
                target.run("SET LOCAL idle_in_transaction_session_timeout = 0")
                _create_empty_tables(target)
                for table in FENCED_TABLES:  # the fences would change the times that are compared
                    target.run(f"ALTER TABLE {table} DISABLE TRIGGER {table}_fence")
                copied = [_copy_table(source, target, model._meta.table_name) for model in TABLES]
                for table in FENCED_TABLES:
                    target.run(f"ALTER TABLE {table} ENABLE TRIGGER {table}_fence")
                    target.run(f"UPDATE {table} SET next_at = next_at WHERE needs > 1")
                _set_identities(source, target)
                target.run("ANALYZE")
            return copied
    except (StorageError, InvalidRequest) as error:
        raise StartupError(f"the ledger cannot be copied to {target.name}: {error.message}", hint=_HINT) from error
    finally:
        target.close()


def _create_empty_tables(target: Database) -> None:
    """Create the tables of this version without any row. Raises StartupError if the schema has tables already."""
    found = target.run("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY 1")
    if found:
        some = ", ".join(name for (name,) in found[:3])
        raise StartupError(
            f"{target.name} is not empty: it contains {len(found)} tables ({some}, …)",
            hint="Copy to a new database (createdb). A ledger is never merged with another one.",
        )
    create_meta(target)
    migrate(target)
    for model in reversed(TABLES):  # migrations insert rows, such as the default secret
        target.run(f"DELETE FROM {model._meta.table_name}")


def _copy_table(source: Database, target: Database, table: str) -> TableSummary:
    types = dict(target.run(_COLUMNS, (table,)))
    booleans = [data_type == "boolean" for data_type in types.values()]
    connection = cast(Connection, target.backend.connections.connection())  # type: ignore[no-untyped-call]
    columns = sql.SQL(", ").join(map(sql.Identifier, types))
    expected, found = _Checksum(), _Checksum()
    try:
        copying = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
        with connection.cursor().copy(copying) as copy:
            for row in expected.of(_read_file(source, table, list(types), booleans)):
                copy.write_row(row)
        with connection.cursor(name="copied") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            for _ in found.of(cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table)))):
                pass
    except psycopg.Error as error:
        cause = target.backend.translate(error)
        raise StartupError(
            f"the table {table} cannot be copied to {target.name}: {cause.message}", hint=_HINT
        ) from error
    if (found.rows, found.total) != (expected.rows, expected.total):
        raise StartupError(
            f"the copy of the table {table} differs from the ledger: {found.rows} rows with the checksum "
            f"{found.hex()}, expected {expected.rows} rows with {expected.hex()}",
            hint=_HINT,
        )
    return TableSummary(table, found.rows, found.hex())


def _read_file(source: Database, table: str, columns: list[str], booleans: list[bool]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table of the file as PostgreSQL stores them: with booleans, and U+FFFD instead of U+0000."""
    connection = source.backend.connections.connection()  # type: ignore[no-untyped-call]
    names = ", ".join(f'"{name}"' for name in columns)
    for row in connection.execute(f"SELECT {names} FROM {table}"):
        yield tuple(_converted(value, boolean) for value, boolean in zip(row, booleans, strict=True))


def _converted(value: Any, boolean: bool) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    return bool(value) if boolean and value is not None else value


class _Checksum:
    """Sum of the SHA-256 of all rows. The sum is the same in any order, because the databases sort text differently."""

    def __init__(self) -> None:
        self.rows = self.total = 0

    def of(self, rows: Values) -> Iterator[tuple[Any, ...]]:
        """Add each row while it is passed on."""
        for row in rows:
            self.rows += 1
            self.total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest())
            self.total %= 1 << 256
            yield row

    def hex(self) -> str:
        return f"{self.total:064x}"[:16]


def _set_identities(source: Database, target: Database) -> None:
    """Continue the numbers of the file, which are never reused even if the rows were deleted."""
    last = dict(source.run("SELECT name, seq FROM sqlite_sequence"))
    for table, column in target.run(_IDENTITIES):
        if last.get(table):
            target.run("SELECT setval(pg_get_serial_sequence(?, ?), ?)", (table, column, last[table]))
