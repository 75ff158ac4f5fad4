"""Ledgers that exist already: copies of one that was migrated once in this process, because migrations take most of
the time of a short test."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from clipengine.ledger.database.backend import Location
from clipengine.ledger.ledger import Ledger
from tests.support.temporary import temporary_root


def open_ledger(place: Location, *, max_queued: int = 10_000, key_prefix: str = "relay_live") -> Ledger:
    return Ledger.open(place, key_prefix=key_prefix, organisation_id="org_local", max_queued=max_queued)


def open_copied_ledger(path: Path, *, max_queued: int = 10_000) -> Ledger:
    """Open the SQLite ledger at `path`; if it does not exist, it becomes a copy of an empty, migrated one."""
    copy_ledger(path)
    return open_ledger(path, max_queued=max_queued)


def copy_ledger(path: Path) -> None:
    """Create an empty, migrated SQLite ledger at `path` unless one exists."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in _template().iterdir():
        shutil.copy2(each, path.with_name(each.name.replace("ledger.db", path.name)))


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="clipengine-ledger-", dir=temporary_root()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_ledger(folder / "ledger.db").close()
    return folder
