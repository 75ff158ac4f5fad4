"""Commit watermark: a file beside the ledger that shows if the ledger has lost commits.

SQLite keeps the latest commits in `ledger.db-wal`. If an engine was killed and this file is then deleted or not copied,
the rest opens without an error but lacks these commits. A counter in the ledger is therefore increased regularly and,
after the commit, written to `ledger.db-mark`: a ledger whose counter is lower than the file has lost commits.

The loss of commits since the last increase, some seconds at most, is not noticed. A watermark that a power cut has
damaged is ignored, so that it never prevents a good ledger from being opened.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from clipengine.errors import StartupError, StorageUnavailable
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.meta import read_meta, store_meta

SUFFIX = "-mark"
META_NAME = "mark"  # of the counter's row in the table `meta`
_DIGITS = 20

logger = logging.getLogger(__name__)


class CommitWatermark:
    """The watermark of a ledger in a file. Does nothing for PostgreSQL, whose server keeps the log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledger = database.backend.file

    def check(self) -> None:
        """Raise StartupError if the ledger has lost commits."""
        if self._ledger is not None:
            expected = read_watermark(self._ledger)
            check_counter(self._ledger, self._counter(), expected)

    def advance(self) -> None:
        """Increase the counter durably and write the watermark: the loss of earlier commits is noticed from now on."""
        if self._ledger is None:
            return
        # Opened before the commit, which proves that the folder is the ledger's, even if it is moved afterwards.
        folder = _open_folder(self._ledger.parent)
        try:
            with self._database.transaction():
                counter = self._counter() + 1
                store_meta(self._database, META_NAME, str(counter))
            _write(_watermark(self._ledger).name, folder, counter)
        finally:
            os.close(folder)

    def _counter(self) -> int:
        return int(read_meta(self._database, META_NAME) or 0)


def check_counter(ledger: Path, counter: int, expected: int) -> None:
    """Raise StartupError if the counter of the ledger is lower than its watermark."""
    if counter < expected:
        raise StartupError(
            f"{ledger} is missing its latest commits (found {counter}, expected {expected})",
            hint=f"Restore the {ledger.name}-wal that belongs to it, or a backup with `clipengine restore FILE "
            f"--replace`. To continue without the lost commits, delete {_watermark(ledger)}.",
        )


def _open_folder(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageUnavailable(f"the data folder {folder} cannot be opened: {error.strerror}") from error


def _write(name: str, folder: int, counter: int) -> None:
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            os.pwrite(descriptor, f"{counter:0{_DIGITS}d}\n".encode(), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("the commit watermark of the ledger cannot be written: %s", error.strerror)


def _watermark(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + SUFFIX)


def read_watermark(ledger: Path) -> int:
    """Return the counter that the ledger must have, or 0. Read it before that counter: an engine may increase both."""
    path = _watermark(ledger)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StartupError(
            f"{path} cannot be read: {error.strerror}", hint="Check that the data folder belongs to this user."
        ) from error
    return int(content) if len(content) == _DIGITS + 1 and content[:-1].isdigit() else 0
