"""Mark of a ledger file that was copied to PostgreSQL: a file beside it, with the name of the database.

An engine that still opened the file, because its settings were not changed, would accept clips that no other one sees.
"""

from __future__ import annotations

from pathlib import Path

from clipengine.basis.fsync import fsync
from clipengine.errors import StartupError

SUFFIX = "-moved"


def mark_moved(ledger: Path, to: str) -> None:
    """Mark the ledger durably. Raises StartupError: the copy is complete then."""
    mark = _mark(ledger)
    try:
        mark.write_text(f"{to}\n", "utf-8")
        fsync(mark)
        fsync(mark.parent)
    except OSError as error:
        raise StartupError(
            f"the ledger is copied, but {mark} cannot be written: {error.strerror}",
            hint=f"Move {ledger} away, so that no engine opens it.",
        ) from error


def check_not_moved(ledger: Path) -> None:
    """Raise StartupError if the ledger was copied to a database."""
    mark = _mark(ledger)
    if mark.exists():
        raise StartupError(
            f"{ledger} was copied to {mark.read_text('utf-8').strip()} and is not used any more",
            hint=f"Set database.url to that database. To return to this file, which lacks what happened since, delete "
            f"{mark}.",
        )


def _mark(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + SUFFIX)
