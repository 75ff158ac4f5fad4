"""Where the ledger lies: opened in a file or in a database of PostgreSQL, and given a new key where its own is lost."""

from __future__ import annotations

from types import ModuleType

from clipengine.errors import StartupError
from clipengine.ledger.database.backend import Location, PostgresLocation
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import new_secret
from clipengine.ledger.engines import Engines
from clipengine.ledger.opening.file import inspect_file, is_current_file, open_file
from clipengine.ledger.vault import Vault
from clipengine.settings import Settings


def location_of(settings: Settings) -> Location:
    """Where the settings have the ledger."""
    url = settings.database.url.get_secret_value()
    return PostgresLocation(url, settings.secrets_key) if url else settings.ledger_file


def open_database(place: Location) -> Database:
    """The database with the newest schema; a new one where there is none.

    Raises SchemaTooNew, and StartupError where it is damaged, no ledger, or out of reach.
    """
    if isinstance(place, PostgresLocation):
        database: Database = _shared().open_postgres(place)
        return database
    return open_file(place)


def inspect(place: Location) -> str:
    """A few words about a ledger that is sound, which is read and not changed. Raises StartupError and its kinds."""
    return _shared().inspect_postgres(place) if isinstance(place, PostgresLocation) else inspect_file(place)


def is_current(place: Location) -> bool:
    """Whether opening the ledger would change nothing."""
    return _shared().is_current_postgres(place) if isinstance(place, PostgresLocation) else is_current_file(place)


def _shared() -> ModuleType:
    # Imported where it is meant: psycopg is there only for those who have asked for it.
    try:
        from clipengine.ledger.opening import postgres_open as shared
    except ImportError as error:
        raise StartupError(
            f"database.url names PostgreSQL, and its driver is missing: {error}",
            hint="pip install 'clipengine[postgres]'",
        ) from None
    return shared


def reset_secrets(place: Location) -> list[str]:
    """Give the ledger a new key and new webhook secrets, because the old key is lost; the webhooks that are disabled.

    Those of the settings get theirs from there at the next start. No engine may be at work on it.
    """
    database = open_database(place)
    try:
        with database.transaction():
            if others := Engines(database).running():
                raise StartupError(f"engines are at work: {', '.join(others)}", hint="Stop them first.")
            vault = Vault.renew(database.secrets_key)
            name, proof = vault.key_check()
            database.run("UPDATE meta SET value = ? WHERE name = ?", (proof, name))
            sealed = vault.seal(new_secret(), "default_secret")
            database.run("UPDATE meta SET value = ? WHERE name = 'default_secret'", (sealed,))
            database.run("DELETE FROM idempotency WHERE scope LIKE '% POST /v1/webhooks'")
            ids = [row[0] for row in database.run("SELECT webhook_id FROM endpoints")]
            for ident in ids:
                values = (vault.seal(new_secret(), ident), ident)
                database.run("UPDATE endpoints SET secret = ?, previous_secret = NULL WHERE webhook_id = ?", values)
            reason = "its secret was lost: give it a new one"
            disabled = "UPDATE endpoints SET enabled = FALSE, disabled_reason = ? WHERE origin = 'api'"
            return [row[0] for row in database.run(f"{disabled} RETURNING webhook_id", (reason,))]
    finally:
        database.close()
