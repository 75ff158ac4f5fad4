"""The ledger's file: made whole or not at all, and refused rather than recreated where it is damaged."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from clipengine.errors import SchemaTooNew, StartupError, StorageError
from clipengine.ledger.database.backend import BUSY_SECONDS
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate, schema_version
from clipengine.ledger.database.sqlite import RESTORE_HINT, Sqlite
from clipengine.ledger.fsync import fsync
from clipengine.ledger.opening.commit_watermark import META_NAME, check_watermark
from clipengine.ledger.opening.commit_watermark import SUFFIX as WATERMARK_SUFFIX
from clipengine.ledger.opening.disk import check_local
from clipengine.ledger.vault import KEY_CHECK, KEY_FILE, Vault

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_MODE = 0o600


def file_database(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Database:
    """The database in a file that is there, as it is."""
    backend = Sqlite(path, busy_seconds=busy_seconds)
    return Database(backend, secrets_key=path.with_name(KEY_FILE), busy_seconds=busy_seconds)


def open_file(path: Path) -> Database:
    """The database at `path` with the newest schema; a new one where no file is there.

    Raises SchemaTooNew, and StartupError where the file is damaged, no ledger, cannot be read or written, or lies on
    another machine's disk.
    """
    check_local(path.parent)
    try:
        if not path.exists():
            _make(path)
        _check_header(path)
        if stat.S_IMODE(path.stat().st_mode) != _MODE:  # it holds secrets, whatever it was copied with
            path.chmod(_MODE)
    except OSError as error:
        raise StartupError(f"the ledger {path} cannot be opened: {error.strerror}", hint=_ACCESS_HINT) from error
    database = file_database(path)
    try:
        with database.session():
            _check_whole(database, path)
            before = schema_version(database)
            if migrate(database) > before:
                database.run("PRAGMA wal_checkpoint(TRUNCATE)")  # what a step has written over must not live on there
    except StorageError as error:
        database.close()
        raise StartupError(f"the ledger {path} cannot be opened: {error.message}", hint=error.hint) from error
    except BaseException:
        database.close()
        raise
    return database


def inspect_file(path: Path) -> str:
    """A few words about a ledger that is sound, which is read and not changed. Raises StartupError and its kinds."""
    _check_header(path)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
            (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            meta = dict(file.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        raise StartupError(f"{path} cannot be read: {error}", hint=RESTORE_HINT) from error
    if found != "ok":
        raise StartupError(f"{path} is damaged: {found}", hint=RESTORE_HINT)
    version = int(meta.get("schema_version", 0))
    if version > len(MIGRATIONS):
        raise SchemaTooNew(f"{path} has schema version {version}, this version knows up to {len(MIGRATIONS)}")
    check_watermark(path, int(meta.get(META_NAME, 0)))
    if KEY_CHECK in meta:
        Vault.of(path.with_name(KEY_FILE), meta[KEY_CHECK], ledger=path.name)
    later = "" if version == len(MIGRATIONS) else f", {len(MIGRATIONS)} at the next start"
    return f"{path.stat().st_size / 1e6:.1f} MB, sound, schema version {version}{later}"


def is_current_file(path: Path) -> bool:
    """Whether opening the file would change nothing."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
        found = file.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return bool(found == (str(len(MIGRATIONS)),))


_ACCESS_HINT = "Check that the data folder belongs to this user and lies on a local disk."


def _make(path: Path) -> None:
    """Make the file beside its place and move it there complete, so that an empty file is always a damaged one."""
    for tail in ("-wal", "-shm", "-journal", WATERMARK_SUFFIX):
        left = path.with_name(path.name + tail)
        if left.exists() and not path.exists():  # another process may have made it just now
            raise StartupError(f"{path} is missing, but {left.name} is still there", hint=RESTORE_HINT)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))
        database = file_database(draft)
        try:
            create_meta(database)
            migrate(database)
        finally:
            database.close()
        try:
            os.link(draft, path)  # unlike a rename, this never replaces what another process was quicker to make
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
    fsync(path.parent)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartupError(f"{path} is damaged: it is no database", hint=RESTORE_HINT)


def _check_whole(database: Database, path: Path) -> None:
    """Refuse a file that ends before its last page does.

    After a crash the WAL still holds pages that the file lacks; they are brought home first. Where another process
    reads, they may have to stay, and the file cannot be judged.
    """
    busy, in_wal, moved = database.run("PRAGMA wal_checkpoint(PASSIVE)")[0]
    if busy or in_wal != moved:
        return
    pages, size = database.run("PRAGMA page_count")[0][0], database.run("PRAGMA page_size")[0][0]
    if path.stat().st_size < pages * size:
        raise StartupError(f"{path} is damaged: it is cut off", hint=RESTORE_HINT)
