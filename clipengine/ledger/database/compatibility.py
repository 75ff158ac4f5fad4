"""Engines and schema versions: which engines may use a ledger during a rolling upgrade.

A migration that expands the schema adds columns, tables or indexes that older engines ignore, so they continue to work.
All other migrations contract it: they wait until no older engine lives. `meta` records the oldest version whose
engines can use the schema. A ledger in a file has one engine, and is never newer than it.
"""

from __future__ import annotations

from clipengine.errors import SchemaTooNew, StartupError
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.sqlite import RESTORE_HINT

LEASE_MS = 12_000  # an engine without a heartbeat for this long counts as dead
_COMPATIBLE_FROM = "compatible_from"
_ENGINES_KNOW_SCHEMA_SINCE = 18  # schema version


def schema_version(database: Database) -> int:
    """Return the number of the last migration. Raises StartupError if the database is not a ledger."""
    version = _number(database, "schema_version") if database.has_table("meta") else None
    if version is None:
        raise StartupError(f"{database.name} is a database, but not a ledger of clipengine", hint=RESTORE_HINT)
    return version


def record_version(database: Database, version: int, *, expands: bool) -> None:
    """Record that a migration has reached `version`. Call it in the transaction of the migration."""
    database.run("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(version),))
    if not expands:
        database.run("DELETE FROM meta WHERE name = ?", (_COMPATIBLE_FROM,))
        database.run("INSERT INTO meta (name, value) VALUES (?, ?)", (_COMPATIBLE_FROM, str(version)))


def check_supported(database: Database, newest: int) -> int:
    """Return the schema version. Raises SchemaTooNew if a program that knows versions up to `newest` cannot use it."""
    version = schema_version(database)
    if version > newest and not (database.shared and _compatible_from(database, version) <= newest):
        raise SchemaTooNew(f"{database.name} has schema version {version}, this version supports up to {newest}")
    return version


def check_no_older_engines(database: Database, version: int) -> None:
    """Raise StartupError if engines live that cannot use schema `version`, and keep others from starting meanwhile.

    Call it in the transaction of the migration. An engine that starts now waits in its first heartbeat until the
    transaction ends, and then finds that it is too old.
    """
    if not database.shared or not database.has_table("engines"):
        return
    database.run("LOCK TABLE engines IN SHARE ROW EXCLUSIVE MODE")
    known = schema_version(database) >= _ENGINES_KNOW_SCHEMA_SINCE
    columns = "host, pid, schema_version" if known else "host, pid, 0"
    living = database.run(
        f"SELECT {columns} FROM engines WHERE beat_at > ? ORDER BY host, pid", (database.clock_ms() - LEASE_MS,)
    )
    older = [f"{host} pid {pid}" for host, pid, supported in living if supported < version]
    if older:
        raise StartupError(
            f"{database.name} cannot be migrated to schema version {version}, because engines of an older version "
            f"run: {', '.join(older)}",
            hint="Stop these engines, then start this one again. After a crash, an engine counts as running for "
            f"{LEASE_MS // 1000} s.",
        )


def _compatible_from(database: Database, version: int) -> int:
    found = _number(database, _COMPATIBLE_FROM)
    return version if found is None else found


def _number(database: Database, name: str) -> int | None:
    rows = database.run("SELECT value FROM meta WHERE name = ?", (name,))
    return int(rows[0][0]) if rows and str(rows[0][0]).isdigit() else None
