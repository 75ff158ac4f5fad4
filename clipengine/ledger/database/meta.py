"""Single values of the ledger, by name: the rows of `meta`."""

from __future__ import annotations

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import MetaRow


def read_meta(database: Database, name: str) -> str | None:
    """Return the value of this name, or None."""
    row = database.by_key(MetaRow, name)
    return str(row["value"]) if row else None


def store_meta(database: Database, name: str, value: str) -> None:
    """Store the value in place of an earlier one. Call it in a transaction."""
    row = MetaRow.insert(name=name, value=value)
    database.insert(row.on_conflict(conflict_target=[MetaRow.name], update={MetaRow.value: value}))
