"""Opening a ledger in PostgreSQL, which is created if the database is empty."""

from __future__ import annotations

import psycopg

from clipengine.basis.timecode import now_ms
from clipengine.errors import LedgerBusy, StartupError, StorageError
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.compatibility import check_supported, schema_version
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate
from clipengine.ledger.database.moment_columns import count_outside
from clipengine.ledger.database.postgres import BUSY, Postgres, connect
from clipengine.ledger.database.vault import KEY_CHECK, Vault
from clipengine.ledger.engines.engines import Engines

# Reasons with which a server that starts, stops or is busy refuses connections.
_PASSING = ("starting up", "shutting down", "recovery mode", "not yet accepting connections", "too many", "remaining")
_OLDEST = 14
_SKEW_SECONDS = 2
_ENGINES_SINCE = 10  # schema version


def open_postgres(shared: PostgresLocation) -> Database:
    """Open the database, create the ledger if it is empty, and migrate it to the newest schema.

    Raises SchemaTooNew, and StartupError if the database cannot be reached, is too old, or belongs to another program.
    """
    database = postgres_database(shared)
    try:
        with database.session():
            check_server(database)
            if not database.has_table("meta"):
                create_meta(database)
            migrate(database)
    except StorageError as error:
        database.close()
        kind = LedgerBusy if isinstance(error.__cause__, BUSY) else StartupError
        raise kind(f"{database.name} cannot be opened: {error.message}", hint=error.hint) from error
    except BaseException:
        database.close()
        raise
    return database


def inspect_postgres(shared: PostgresLocation) -> str:
    """Check a ledger without changing it and return a short description.

    Raises the errors of `open_postgres`, and SecretsKeyLost if this host does not have the key of the ledger.
    """
    database = postgres_database(shared)
    try:
        with database.session():
            server = check_server(database)
            about = f"{database.name}, PostgreSQL {server // 10000}.{server % 10000}"
            if not database.has_table("meta"):
                return f"{about}: it has no ledger yet"
            newest = len(MIGRATIONS)
            version = check_supported(database, newest)
            key_check = database.run("SELECT value FROM meta WHERE name = ?", (KEY_CHECK,))
            if key_check:
                hint = database.backend.key_hint
                Vault.of(database.secrets_key, str(key_check[0][0]), ledger=database.name, hint=hint)
            ahead = (database.clock_ms() - now_ms()) / 1000
            if abs(ahead) > _SKEW_SECONDS:
                about += f", its clock differs from this host's by {ahead:+.0f} s (use NTP on both)"
            later = "" if version >= newest else f", {newest} at the next start"
            about += f", {len(Engines(database).running()) if version >= _ENGINES_SINCE else 0} engines running"
            return f"{about}, {database.sizes()[0] / 1e6:.1f} MB, schema version {version}{later}"
    except StorageError as error:
        raise StartupError(f"{database.name} cannot be opened: {error.message}", hint=error.hint) from error
    finally:
        database.close()


def moments_outside_postgres(shared: PostgresLocation) -> dict[str, int]:
    """Return the number of rows with a time out of bounds, see `count_outside`. Raises StartupError."""
    database = postgres_database(shared)
    try:
        query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        existing: dict[str, set[str]] = {}
        for table, column in database.run(query):
            existing.setdefault(table, set()).add(column)
        return count_outside(database.run, existing)
    except StorageError as error:
        raise StartupError(f"{database.name} cannot be read: {error.message}", hint=error.hint) from error
    finally:
        database.close()


def why_unreachable(shared: PostgresLocation) -> str | None:
    """Return why the server cannot be reached, or None if it answers, even if it refuses this user for good."""
    try:
        connect(shared.url).close()
    except psycopg.OperationalError as error:
        said = str(error).strip()
        if "FATAL:" in said and not any(reason in said for reason in _PASSING):
            return None
        return said.splitlines()[0]
    except psycopg.Error:
        return None
    return None


def is_current_postgres(shared: PostgresLocation) -> bool:
    """Return True if opening the database would not migrate it."""
    database = postgres_database(shared)
    try:
        with database.session():
            return database.has_table("meta") and schema_version(database) >= len(MIGRATIONS)
    finally:
        database.close()


def postgres_database(shared: PostgresLocation) -> Database:
    """Return the database without connecting to it. Raises SettingsError if the URL is invalid."""
    return Database(Postgres(shared.url), secrets_key=shared.secrets_key)


def check_server(database: Database) -> int:
    """Return the version number of the server. Raises StartupError if it is too old."""
    server = int(database.run("SELECT current_setting('server_version_num')::int")[0][0])
    if server // 10000 < _OLDEST:
        raise StartupError(
            f"{database.name} is PostgreSQL {server // 10000}", hint=f"Use PostgreSQL {_OLDEST} or newer."
        )
    return server
