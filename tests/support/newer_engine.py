"""The command `clipengine` of a later version, whose ledger has one more migration.

    python -m tests.support.newer_engine expand|contract serve …

With `expand` it is the next release, which adds a column. With `contract` it is the one after that, whose previous
release no longer uses a column of this version; it renames it.
"""

from __future__ import annotations

import sys

from clipengine.ledger.database import migrations
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, Migration, migrate


def expand(database: Database) -> None:
    database.run("ALTER TABLE clips ADD COLUMN added_later TEXT")


def contract(database: Database) -> None:
    database.run("ALTER TABLE events RENAME COLUMN type TO kind")


def install(kind: str) -> None:
    """Make this process the later version. Call it before the modules that use the migrations are imported."""
    migration: Migration = {"expand": expand, "contract": contract}[kind]
    migrations.MIGRATIONS = (*MIGRATIONS, migration)
    previous = {"expand": len(MIGRATIONS), "contract": len(MIGRATIONS) + 1}[kind]
    migrate.__defaults__ = (migrations.MIGRATIONS, previous)


if __name__ == "__main__":
    install(sys.argv[1])
    from clipengine.cli.main import run

    sys.exit(run(sys.argv[2:]))
