"""The mark beside the ledger: how far it had come, so that a ledger that has fallen behind is noticed.

SQLite keeps the last commits in `ledger.db-wal`. Where an engine was killed and that file is then deleted, or not
copied with the rest, what remains opens without a complaint and lacks them. So a number is counted up in the ledger,
and noted after its commit in the file `ledger.db-mark`: a ledger whose number is behind the note has lost commits.

What was committed after the last count, some seconds ago at most, can be lost unnoticed where the lost file held
nothing older. A note that a power cut has spoilt counts as none: it never keeps a good ledger from being opened.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from clipengine.errors import StartupError, StorageUnavailable
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import MetaRow

SUFFIX = "-mark"
META_NAME = "mark"  # its name in the table `meta`
_DIGITS = 20

logger = logging.getLogger(__name__)


class CommitWatermark:
    """Of a ledger in a file; one in PostgreSQL has its log in the server's own hands, and needs none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledger = database.backend.file

    def check(self) -> None:
        """Raises StartupError where the ledger lacks what it once held."""
        if self._ledger is not None:
            check_watermark(self._ledger, self._counted())

    def advance(self) -> None:
        """Count one up, durably, and note it: what was committed before is missed from now on if it goes."""
        if self._ledger is None:
            return
        # Opened ahead of the commit, which proves that it is the ledger's: it is written to wherever it goes then.
        folder = _open_folder(self._ledger.parent)
        try:
            with self._database.transaction():
                counted = self._counted() + 1
                self._database.change(MetaRow.delete().where(MetaRow.name == META_NAME))
                self._database.insert(MetaRow.insert(name=META_NAME, value=str(counted)))
            _write(_note(self._ledger).name, folder, counted)
        finally:
            os.close(folder)

    def _counted(self) -> int:
        row = self._database.row(MetaRow.select().where(MetaRow.name == META_NAME))
        return int(row["value"]) if row else 0


def check_watermark(ledger: Path, counted: int) -> None:
    """Raises StartupError where the ledger, whose count this is, is behind its note."""
    noted = _noted(_note(ledger))
    if counted < noted:
        raise StartupError(
            f"{ledger} lacks what was committed to it last: it is at mark {counted}, and was at {noted}",
            hint=f"Put back the {ledger.name}-wal that belongs to it, or restore a backup with `clipengine restore "
            f"FILE --replace`. To go on without what is lost, delete {_note(ledger)}.",
        )


def _open_folder(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageUnavailable(f"the data folder {folder} cannot be opened: {error.strerror}") from error


def _write(name: str, folder: int, counted: int) -> None:
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            os.pwrite(descriptor, f"{counted:0{_DIGITS}d}\n".encode(), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("the mark of the ledger could not be noted: %s", error.strerror)


def _note(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + SUFFIX)


def _noted(note: Path) -> int:
    try:
        noted = note.read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StartupError(
            f"{note} cannot be read: {error.strerror}", hint="Check that the data folder belongs to this user."
        ) from error
    return int(noted) if len(noted) == _DIGITS + 1 and noted[:-1].isdigit() else 0
