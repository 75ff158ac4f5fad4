"""A new migration of the ledger: `make new-migration NAME="Add the camera of a recording"`.

Appends a function to `ledger/database/migrations.py` and to its list. The columns belong into `schema.py` as well.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

MIGRATIONS = Path("clipengine/ledger/database/migrations.py")
_FUNCTION = re.compile(r"^def migration_(\d+)\(", re.MULTILINE)
_LIST = "\n\n\nMIGRATIONS: "
_END = ",\n)\n"


def added(source: str, name: str) -> tuple[str, int]:
    """Return the module with a migration of this name, and its number. Raises ValueError for a name of no text."""
    summary = " ".join(name.split()).rstrip(".")
    if not summary or '"' in summary or "\\" in summary:
        raise ValueError("NAME must say in words what the migration does")
    number = max(map(int, _FUNCTION.findall(source))) + 1
    function = f'\n\n\ndef migration_{number}(database: Database) -> None:\n    """{summary}."""\n    database.run("")'
    before, found, after = source.partition(_LIST)
    listed, end, rest = after.partition(_END)
    if not found or not end:
        raise ValueError(f"{MIGRATIONS} has no list of migrations")
    return f"{before}{function}{found}{listed},\n    migration_{number}{end}{rest}", number


def main() -> int:
    options = argparse.ArgumentParser(prog="make new-migration", description=__doc__)
    options.add_argument("name", nargs="*", metavar="NAME", help="what the migration does, in words")
    given = options.parse_args()
    try:
        source, number = added(MIGRATIONS.read_text(), " ".join(given.name))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    MIGRATIONS.write_text(source)
    print(f"added: migration_{number} in {MIGRATIONS}. Write its statements, and add the columns to schema.py.")
    print("It may only expand the schema of the release before: see contributing.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
