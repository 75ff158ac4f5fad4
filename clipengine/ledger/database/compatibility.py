"""Engines and schema versions: which engines may use a ledger during a rolling upgrade.

The migrations of a release keep everything that engines of the release before use, so these live through its upgrade.
They may drop what only the release before that used, because its engines must have stopped. `meta` records the oldest
version whose engines can use the schema. A ledger in a file has one engine, and is never newer than it.
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


def record_version(database: Database, version: int, *, oldest: int) -> None:
    """Record that a migration has reached `version`, which engines that support `oldest` can use.

    Call it in the transaction of the migration.
    """
    database.run("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(version),))
    database.run("DELETE FROM meta WHERE name = ?", (_COMPATIBLE_FROM,))
    database.run("INSERT INTO meta (name, value) VALUES (?, ?)", (_COMPATIBLE_FROM, str(oldest)))


def check_supported(database: Database, newest: int) -> int:
    """Return the schema version. Raises SchemaTooNew if a program that knows versions up to `newest` cannot use it."""
    version = schema_version(database)
    if version > newest and not (database.shared and _compatible_from(database, version) <= newest):
        raise SchemaTooNew(f"{database.name} has schema version {version}, this version supports up to {newest}")
    return version


def check_no_older_engines(database: Database, oldest: int) -> None:
    """Raise StartupError if engines live that do not support `oldest`, and keep others from starting meanwhile.

    Call it in the transaction of the migration. An engine that starts now waits in its first heartbeat until the
    transaction ends, and then finds that it is too old.
    """
    version = schema_version(database)
    if not database.shared or _compatible_from(database, version) >= oldest or not database.has_table("engines"):
        return
    database.run("LOCK TABLE engines IN SHARE ROW EXCLUSIVE MODE")
    # The first release did not record it, and had migrated the ledger.
    supported = "schema_version" if version >= _ENGINES_KNOW_SCHEMA_SINCE else str(version)
    living = database.run(
        f"SELECT host, pid FROM engines WHERE beat_at > ? AND {supported} < ? ORDER BY host, pid",
        (database.clock_ms() - LEASE_MS, oldest),
    )
    if living:
        engines = ", ".join(f"{host} pid {pid}" for host, pid in living)
        raise StartupError(
            f"{database.name} cannot be migrated from schema version {version}, because engines run that do not "
            f"support version {oldest}: {engines}",
            hint="Upgrade one release after the other, or stop these engines and start this one again. After a crash, "
            f"an engine counts as running for {LEASE_MS // 1000} s.",
        )


def _compatible_from(database: Database, version: int) -> int:
    found = _number(database, _COMPATIBLE_FROM)
    return version if found is None else found


def _number(database: Database, name: str) -> int | None:
    rows = database.run("SELECT value FROM meta WHERE name = ?", (name,))
    return int(rows[0][0]) if rows and str(rows[0][0]).isdigit() else None
