"""Opening a ledger in a file: created atomically if it is missing, and never recreated if it is damaged."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from clipengine.basis.fsync import fsync
from clipengine.errors import SchemaTooNew, StartupError, StorageError
from clipengine.ledger.database.backend import BUSY_SECONDS
from clipengine.ledger.database.compatibility import schema_version
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate
from clipengine.ledger.database.moment_columns import count_outside
from clipengine.ledger.database.sqlite import RESTORE_HINT, Sqlite
from clipengine.ledger.database.vault import KEY_CHECK, KEY_FILE, Vault
from clipengine.ledger.opening.commit_watermark import META_NAME, check_counter, read_watermark
from clipengine.ledger.opening.commit_watermark import SUFFIX as WATERMARK_SUFFIX
from clipengine.ledger.opening.disk import check_local

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_MODE = 0o600


def file_database(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Return the database in an existing file, without checks or migrations."""
    backend = Sqlite(path, busy_seconds=busy_seconds)
    return Database(backend, secrets_key=path.with_name(KEY_FILE), busy_seconds=busy_seconds)


def open_file(path: Path) -> Database:
    """Open the database at `path`, create it if it is missing, and migrate it to the newest schema.

    Raises SchemaTooNew, and StartupError if the file is damaged, is not a ledger, cannot be read or written, or is on a
    network file system.
    """
    check_local(path.parent)
    try:
        if not path.exists():
            _create(path)
        _check_header(path)
        if stat.S_IMODE(path.stat().st_mode) != _MODE:  # a copy may have lost the mode, and the file holds secrets
            path.chmod(_MODE)
    except OSError as error:
        raise StartupError(f"the ledger {path} cannot be opened: {error.strerror}", hint=_ACCESS_HINT) from error
    database = file_database(path)
    try:
        with database.session():
            _check_complete(database, path)
            before = schema_version(database)
            if migrate(database) > before:
                database.run("PRAGMA wal_checkpoint(TRUNCATE)")  # removes plain secrets that a migration overwrote
    except StorageError as error:
        database.close()
        raise StartupError(f"the ledger {path} cannot be opened: {error.message}", hint=error.hint) from error
    except BaseException:
        database.close()
        raise
    return database


def inspect_file(path: Path) -> str:
    """Check a ledger without changing it and return a short description. Raises StartupError or a subclass."""
    _check_header(path)
    expected = read_watermark(path)
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
        raise SchemaTooNew(f"{path} has schema version {version}, this version supports up to {len(MIGRATIONS)}")
    check_counter(path, int(meta.get(META_NAME, 0)), expected)
    if KEY_CHECK in meta:
        Vault.of(path.with_name(KEY_FILE), meta[KEY_CHECK], ledger=path.name)
    later = "" if version == len(MIGRATIONS) else f", {len(MIGRATIONS)} at the next start"
    return f"{path.stat().st_size / 1e6:.1f} MB, sound, schema version {version}{later}"


def moments_outside_file(path: Path) -> dict[str, int]:
    """Return the number of rows with a time out of bounds, see `count_outside`. Raises StartupError."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
            query = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
            existing: dict[str, set[str]] = {}
            for table, column in file.execute(query):
                existing.setdefault(table, set()).add(column)
            return count_outside(lambda sql: file.execute(sql).fetchall(), existing)
    except sqlite3.Error as error:
        raise StartupError(f"{path} cannot be read: {error}", hint=RESTORE_HINT) from error


def is_current_file(path: Path) -> bool:
    """Return True if opening the file would not migrate it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
        found = file.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return bool(found == (str(len(MIGRATIONS)),))


_ACCESS_HINT = "Check that the data folder belongs to this user and is on a local disk."


def _create(path: Path) -> None:
    """Create the file under a temporary name and link it when it is complete: an empty file is always damage."""
    for tail in ("-wal", "-shm", "-journal", WATERMARK_SUFFIX):
        left = path.with_name(path.name + tail)
        if left.exists() and not path.exists():  # another process may have created it in between
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
            os.link(draft, path)  # unlike a rename, never replaces the file of a faster process
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
    fsync(path.parent)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartupError(f"{path} is damaged: it is not a database", hint=RESTORE_HINT)


def _check_complete(database: Database, path: Path) -> None:
    """Raise StartupError if the file is shorter than its pages.

    After a crash the WAL holds pages that the file lacks, so it is checkpointed first. If another process reads the
    database, the checkpoint may be incomplete, and the file cannot be checked. The pages are counted before, because
    another process may add some to the WAL after it.
    """
    pages, size = database.run("PRAGMA page_count")[0][0], database.run("PRAGMA page_size")[0][0]
    busy, in_wal, checkpointed = database.run("PRAGMA wal_checkpoint(PASSIVE)")[0]
    if busy or in_wal != checkpointed:
        return
    if path.stat().st_size < pages * size:
        raise StartupError(f"{path} is damaged: it is truncated", hint=RESTORE_HINT)
