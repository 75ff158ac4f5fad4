"""Backups: one file that holds the ledger as it was at one moment, and the key that opens its secrets.

A backup is a tar of `backup.json`, `ledger.db` and `secrets.key`. It is made beside a working engine, by SQLite's own
means, and checked before it is called done; it is checked again before anything of a data folder is moved for it.
Whoever has it has the webhook secrets: its mode is 0600.
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
from clipengine.errors import BackupUnusable, ClipEngineError, StartupError
from clipengine.ledger.database.migrations import MIGRATIONS
from clipengine.ledger.database.sqlite import translate
from clipengine.ledger.fsync import fsync
from clipengine.ledger.opening.commit_watermark import SUFFIX as WATERMARK_SUFFIX
from clipengine.ledger.vault import KEY_CHECK, KEY_FILE, Vault
from clipengine.timecode import now_ms, rfc3339

_LEDGER, _ABOUT = "ledger.db", "backup.json"
_MEMBERS = (_ABOUT, _LEDGER, KEY_FILE)
_LAST = "last-backup.json"  # in the data folder
_LONGEST_ABOUT = 100_000
_TAILS = ("", "-wal", "-shm", WATERMARK_SUFFIX)


def write_backup(ledger: Path, target: Path) -> dict[str, Any]:
    """Back up the ledger at `ledger` into the new file `target`, whole or not at all; what `backup.json` says of it.

    An engine may be at work: it is not held up. Raises StartupError where a file cannot be read or written.
    """
    if target.exists():
        raise StartupError(f"{target} exists already", hint="Name a new file: a backup replaces nothing.")
    try:
        with _folder_for(target.parent) as folder:
            _copy(ledger, folder / _LEDGER)
            shutil.copyfile(ledger.with_name(KEY_FILE), folder / KEY_FILE)
            about = {
                "clipengine": __version__,
                "created_at": rfc3339(now_ms()),
                "schema_version": _check(folder),
                "sha256": {name: _digest(folder / name) for name in (_LEDGER, KEY_FILE)},
            }
            draft = folder / "backup.tar"
            with tarfile.open(draft, "x", format=tarfile.PAX_FORMAT) as tar:
                text = json.dumps(about, indent=2).encode()
                info = tarfile.TarInfo(_ABOUT)
                info.size, info.mode = len(text), 0o600
                tar.addfile(info, io.BytesIO(text))
                for name in (_LEDGER, KEY_FILE):
                    tar.add(folder / name, arcname=name, filter=_plain)
            fsync(draft)
            draft.rename(target)
        fsync(target.parent)
        (ledger.parent / _LAST).write_text(json.dumps({"file": str(target.resolve()), "at": about["created_at"]}))
    except OSError as error:
        raise StartupError(
            f"the backup cannot be written: {error.strerror or error} ({error.filename})",
            hint="Name a file in a folder that this user may write, with room for the ledger.",
        ) from error
    return about


def restore_backup(backup: Path, ledger: Path, *, replace: bool) -> tuple[dict[str, Any], Path | None]:
    """Put the ledger of a backup into the data folder, where no engine may run.

    Returns what `backup.json` says of it, and the new folder in the data folder into which a ledger that was there was
    moved, with `replace`. Raises BackupUnusable where the file is no
    whole backup, or one of a later version, and StartupError; the data folder is as it was then.
    """
    try:
        aside = None
        with _folder_for(ledger.parent) as folder:
            about = _unpack(backup, folder)
            if _check(folder) != about.get("schema_version"):
                raise BackupUnusable(f"{backup} is damaged: its ledger is not the one that it tells of")
            present = [ledger.with_name(name) for name in (*(ledger.name + tail for tail in _TAILS), KEY_FILE)]
            present = [path for path in present if path.exists()]
            if present:
                if ledger.exists() and not replace:
                    raise StartupError(
                        f"{ledger.parent} holds a ledger already",
                        hint="Restore into an empty folder with --data, or give --replace: the old one is kept in it.",
                    )
                aside = ledger.with_name(f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
                aside.mkdir(mode=0o700)
                for path in present:
                    path.rename(aside / path.name)
            for name, place in ((KEY_FILE, ledger.with_name(KEY_FILE)), (_LEDGER, ledger)):
                fsync(folder / name)
                (folder / name).rename(place)
        fsync(ledger.parent)
    except OSError as error:
        raise StartupError(
            f"the backup cannot be restored: {error.strerror or error} ({error.filename})",
            hint="Check that the file can be read and that the data folder belongs to this user.",
        ) from error
    return about, aside


def last_backup(ledger: Path) -> tuple[Path, str] | None:
    """Where the last backup of this ledger was written to, and when; None where none is known of."""
    try:
        last = json.loads((ledger.parent / _LAST).read_bytes())
        return Path(last["file"]), str(last["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(ledger: Path, target: Path) -> None:
    """The ledger as it is at this moment: one read transaction, so that writers go on and the copy is of one piece."""
    try:
        with closing(sqlite3.connect(ledger, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        fault = translate(error)
        raise StartupError(f"the ledger {ledger} cannot be read: {fault.message}", hint=fault.hint) from error


def _check(folder: Path) -> int:
    """The schema's version of a ledger that is whole, and whose key fits it. Raises BackupUnusable."""
    ledger = folder / _LEDGER
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as copy:
            (found,) = copy.execute("PRAGMA integrity_check").fetchone()
            if found != "ok":
                raise BackupUnusable(f"the ledger in it is damaged: {found}")
            meta = dict(copy.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        raise BackupUnusable(f"the ledger in it cannot be read: {error}") from error
    version = int(meta.get("schema_version", 0))
    if version > len(MIGRATIONS):
        raise BackupUnusable(
            f"its ledger has schema version {version}, this version of clipengine knows up to {len(MIGRATIONS)}",
            hint="Install the version of clipengine that made it, or a newer one.",
        )
    if KEY_CHECK in meta:
        try:
            Vault.of(ledger.with_name(KEY_FILE), meta[KEY_CHECK], ledger=ledger.name)
        except ClipEngineError as error:
            raise BackupUnusable(f"the key in it does not fit its ledger: {error.message}") from None
    return version


def _unpack(backup: Path, folder: Path) -> dict[str, Any]:
    """The members of a backup as files in `folder`, each as `backup.json` says."""
    damaged = BackupUnusable(f"{backup} is no whole backup of clipengine")
    try:
        with tarfile.open(backup, "r:") as tar:
            members = {member.name: member for member in tar.getmembers() if member.isreg()}
            if set(members) != set(_MEMBERS) or members[_ABOUT].size > _LONGEST_ABOUT:
                raise damaged
            for name, member in members.items():
                source = tar.extractfile(member)
                assert source is not None
                with source, open(folder / name, "xb") as target:
                    shutil.copyfileobj(source, target, 1024 * 1024)
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_bytes())
        wanted = about["sha256"]
        if any(_digest(folder / name) != wanted[name] for name in (_LEDGER, KEY_FILE)):
            raise damaged
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError):
        raise damaged from None
    return about


@contextmanager
def _folder_for(parent: Path) -> Iterator[Path]:
    """A folder for what is not finished, on the file system where it is to lie."""
    folder = parent / f".backup-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
