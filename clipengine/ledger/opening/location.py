"""Location of the ledger: open or inspect it in a file or in PostgreSQL, and reset its secrets."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from clipengine.errors import StartupError
from clipengine.ledger.audit.audit import Audit
from clipengine.ledger.audit.chain import AuditChain
from clipengine.ledger.database.backend import Location, PostgresLocation
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import new_secret
from clipengine.ledger.database.vault import Vault
from clipengine.ledger.engines.engines import Engines
from clipengine.ledger.opening.file import inspect_file, is_current_file, moments_outside_file, open_file
from clipengine.ledger.opening.moved import check_not_moved, mark_moved
from clipengine.settings.settings import Settings


def location_of(settings: Settings) -> Location:
    """Return the location of the ledger from the settings."""
    url = settings.database.url.get_secret_value()
    return PostgresLocation(url, settings.secrets_key) if url else settings.ledger_file


def open_database(location: Location) -> Database:
    """Open the database, create it if it is missing, and migrate it to the newest schema.

    Raises SchemaTooNew, and StartupError if it is damaged, is not a ledger, or cannot be reached.
    """
    if isinstance(location, PostgresLocation):
        database: Database = _postgres_open().open_postgres(location)
        return database
    check_not_moved(location)
    return open_file(location)


def inspect(location: Location) -> str:
    """Check a ledger without changing it and return a short description. Raises StartupError or a subclass."""
    if isinstance(location, PostgresLocation):
        return str(_postgres_open().inspect_postgres(location))
    check_not_moved(location)
    return inspect_file(location)


def moments_outside(location: Location) -> dict[str, int]:
    """Return the number of rows with a time before 1970 or after 2199 by column. Raises StartupError."""
    if isinstance(location, PostgresLocation):
        found: dict[str, int] = _postgres_open().moments_outside_postgres(location)
        return found
    return moments_outside_file(location)


def why_unreachable(location: Location) -> str | None:
    """Return why the server of the database cannot be reached at the moment, or None. A file needs no server."""
    if isinstance(location, PostgresLocation):
        found: str | None = _postgres_open().why_unreachable(location)
        return found
    return None


def is_current(location: Location) -> bool:
    """Return True if opening the ledger would not migrate it."""
    if isinstance(location, PostgresLocation):
        return bool(_postgres_open().is_current_postgres(location))
    return is_current_file(location)


def copy_to_postgres(ledger: Path, target: PostgresLocation) -> list[tuple[str, int, str]]:
    """Copy the ledger in a file to an empty database, and return the name, row count and checksum of each table.

    No engine opens the file afterwards, see `moved`.

    Raises StartupError or a subclass, and leaves the database empty then.
    """
    copied = _with_driver("copy").copy_ledger(ledger, target)
    mark_moved(ledger, _postgres_open().postgres_database(target).name)
    return [(each.table, each.rows, each.checksum) for each in copied]


def _postgres_open() -> ModuleType:
    return _with_driver("postgres_open")


def _with_driver(module: str) -> ModuleType:
    # Imported on use, because psycopg is an optional dependency.
    try:
        return import_module(f"clipengine.ledger.opening.{module}")
    except ImportError as error:
        raise StartupError(
            f"the ledger is in PostgreSQL, but the driver is missing: {error}",
            hint="pip install 'clipengine[postgres]'",
        ) from None


def reset_secrets(location: Location) -> list[str]:
    """Replace a lost key and all webhook secrets, and return the ids of the webhooks that this disables.

    Webhooks of the settings get their secrets from there at the next start. Raises StartupError if engines run.
    """
    database = open_database(location)
    Audit(database)  # records the act of the command
    try:
        with database.transaction():
            if others := Engines(database).running():
                raise StartupError(f"engines are running: {', '.join(others)}", hint="Stop them first.")
            vault = Vault.renew(database.secrets_key)
            name, value = vault.key_check()
            database.run("UPDATE meta SET value = ? WHERE name = ?", (value, name))
            sealed = vault.seal(new_secret(), "default_secret")
            database.run("UPDATE meta SET value = ? WHERE name = 'default_secret'", (sealed,))
            database.run("DELETE FROM idempotency WHERE scope LIKE '% POST /v1/webhooks'")
            ids = [row[0] for row in database.run("SELECT webhook_id FROM endpoints")]
            for ident in ids:
                values = (vault.seal(new_secret(), ident), ident)
                database.run("UPDATE endpoints SET secret = ?, previous_secret = NULL WHERE webhook_id = ?", values)
            AuditChain(database, vault.derive).begin_again()
            reason = "its secret was lost: give it a new one"
            disabled = "UPDATE endpoints SET enabled = FALSE, disabled_reason = ? WHERE origin = 'api'"
            return [row[0] for row in database.run(f"{disabled} RETURNING webhook_id", (reason,))]
    finally:
        database.close()
