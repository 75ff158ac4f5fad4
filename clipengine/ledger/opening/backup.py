"""Backup and restore: one file with a snapshot of the ledger and the key of its secrets.

A backup is a tar of `backup.json`, `ledger.db` and `secrets.key`. SQLite's backup API copies the ledger while an engine
runs. A backup is checked when it is written, and again before a restore changes the data folder. It contains the
webhook secrets, so its mode is 0600.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipengine import __version__
from clipengine.basis.fsync import fsync
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.errors import BackupUnusable, ClipEngineError, StartupError
from clipengine.ledger.audit.head import HEAD_FILE
from clipengine.ledger.database.migrations import MIGRATIONS
from clipengine.ledger.database.sqlite import translate
from clipengine.ledger.database.vault import KEY_CHECK, KEY_FILE, Vault
from clipengine.ledger.opening.commit_watermark import SUFFIX as WATERMARK_SUFFIX
from clipengine.ledger.opening.moved import SUFFIX as MOVED_SUFFIX

_LEDGER, _MANIFEST = "ledger.db", "backup.json"
_MEMBERS = (_MANIFEST, _LEDGER, KEY_FILE)
_LAST = "last-backup.json"  # in the data folder
_MAX_MANIFEST_BYTES = 100_000
_SUFFIXES = ("", "-wal", "-shm", WATERMARK_SUFFIX, MOVED_SUFFIX)


def write_backup(ledger: Path, target: Path) -> dict[str, Any]:
    """Back up the ledger atomically into the new file `target` and return the contents of `backup.json`.

    A running engine is not delayed. Raises StartupError if a file cannot be read or written.
    """
    if target.exists():
        raise StartupError(f"{target} exists already", hint="Choose a new file; a backup never replaces one.")
    try:
        with _temporary_folder(target.parent) as folder:
            _copy(ledger, folder / _LEDGER)
            shutil.copyfile(ledger.with_name(KEY_FILE), folder / KEY_FILE)
            manifest = {
                "clipengine": __version__,
                "created_at": rfc3339(now_ms()),
                "schema_version": _check(folder),
                "sha256": {name: _digest(folder / name) for name in (_LEDGER, KEY_FILE)},
            }
            draft = folder / "backup.tar"
            with tarfile.open(draft, "x", format=tarfile.PAX_FORMAT) as tar:
                text = json.dumps(manifest, indent=2).encode()
                info = tarfile.TarInfo(_MANIFEST)
                info.size, info.mode = len(text), 0o600
                tar.addfile(info, io.BytesIO(text))
                for name in (_LEDGER, KEY_FILE):
                    tar.add(folder / name, arcname=name, filter=_without_owner)
            fsync(draft)
            draft.rename(target)
        fsync(target.parent)
        (ledger.parent / _LAST).write_text(json.dumps({"file": str(target.resolve()), "at": manifest["created_at"]}))
    except OSError as error:
        raise StartupError(
            f"the backup cannot be written: {error.strerror or error} ({error.filename})",
            hint="Choose a file in a folder that this user may write to, with enough space for the ledger.",
        ) from error
    return manifest


def restore_backup(backup: Path, ledger: Path, *, replace: bool) -> tuple[dict[str, Any], Path | None]:
    """Restore a backup into the data folder, in which no engine may run.

    Returns the contents of `backup.json`, and the folder to which `replace` has moved the previous ledger. Raises
    StartupError, and BackupUnusable if the backup is damaged or of a later version. An error leaves the data folder
    unchanged.
    """
    try:
        with _temporary_folder(ledger.parent) as folder:
            manifest = _unpack(backup, folder)
            if _check(folder) != manifest.get("schema_version"):
                raise BackupUnusable(f"{backup} is damaged: its ledger does not match its backup.json")
            replaced = _move_away(ledger, replace=replace)
            for name, target in ((KEY_FILE, ledger.with_name(KEY_FILE)), (_LEDGER, ledger)):
                fsync(folder / name)
                (folder / name).rename(target)
        fsync(ledger.parent)
    except OSError as error:
        raise StartupError(
            f"the backup cannot be restored: {error.strerror or error} ({error.filename})",
            hint="Check that the file can be read and that the data folder belongs to this user.",
        ) from error
    return manifest, replaced


def _move_away(ledger: Path, *, replace: bool) -> Path | None:
    """Move the files of the present ledger into a new folder and return it, or None if no ledger exists."""
    names = (*(ledger.name + suffix for suffix in _SUFFIXES), KEY_FILE, HEAD_FILE)
    present = [path for name in names if (path := ledger.with_name(name)).exists()]
    if not present:
        return None
    if ledger.exists() and not replace:
        raise StartupError(
            f"{ledger.parent} already contains a ledger",
            hint="Restore into an empty folder with --data, or use --replace, which keeps the old one in it.",
        )
    folder = ledger.with_name(f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
    folder.mkdir(mode=0o700)
    for path in present:
        path.rename(folder / path.name)
    return folder


def last_backup(ledger: Path) -> tuple[Path, str] | None:
    """Return the file and time of the ledger's last backup, or None if it is unknown."""
    try:
        last = json.loads((ledger.parent / _LAST).read_bytes())
        return Path(last["file"]), str(last["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(ledger: Path, target: Path) -> None:
    """Copy a consistent snapshot of the ledger in one read transaction, which does not block writers."""
    try:
        with closing(sqlite3.connect(ledger, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        cause = translate(error)
        raise StartupError(f"the ledger {ledger} cannot be read: {cause.message}", hint=cause.hint) from error


def _check(folder: Path) -> int:
    """Check the ledger and the key in `folder` and return the schema version. Raises BackupUnusable."""
    ledger = folder / _LEDGER
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as copy:
            (found,) = copy.execute("PRAGMA integrity_check").fetchone()
            if found != "ok":
                raise BackupUnusable(f"the ledger in the backup is damaged: {found}")
            meta = dict(copy.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        raise BackupUnusable(f"the ledger in the backup cannot be read: {error}") from error
    version = int(meta.get("schema_version", 0))
    if version > len(MIGRATIONS):
        raise BackupUnusable(
            f"the backup has schema version {version}, this version of clipengine supports up to {len(MIGRATIONS)}",
            hint="Install the version of clipengine that wrote it, or a newer one.",
        )
    if KEY_CHECK in meta:
        try:
            Vault.of(ledger.with_name(KEY_FILE), meta[KEY_CHECK], ledger=ledger.name)
        except ClipEngineError as error:
            raise BackupUnusable(f"the key in the backup does not match its ledger: {error.message}") from None
    return version


def _unpack(backup: Path, folder: Path) -> dict[str, Any]:
    """Extract a backup into `folder`, compare the checksums and return the contents of `backup.json`."""
    damaged = BackupUnusable(f"{backup} is not a complete clipengine backup")
    try:
        with tarfile.open(backup, "r:") as tar:
            members = {member.name: member for member in tar.getmembers() if member.isreg()}
            if set(members) != set(_MEMBERS) or members[_MANIFEST].size > _MAX_MANIFEST_BYTES:
                raise damaged
            for name, member in members.items():
                source = tar.extractfile(member)
                assert source is not None
                with source, open(folder / name, "xb") as target:
                    shutil.copyfileobj(source, target, 1024 * 1024)
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())
        checksums = manifest["sha256"]
        if any(_digest(folder / name) != checksums[name] for name in (_LEDGER, KEY_FILE)):
            raise damaged
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError):
        raise damaged from None
    return manifest


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """Create a folder on the file system of `parent`, so that finished files can be renamed, and delete it."""
    folder = parent / f".backup-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
