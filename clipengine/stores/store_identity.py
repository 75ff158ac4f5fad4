"""Identity of the folder store: `.clipengine/id` in the folder holds the id that the ledger has saved.

A moved folder, an unmounted disk and an empty mount point look like a store that lost everything. Files written there
would be hidden once the store is back. Therefore nothing is read or written unless the id matches: a mismatch is an
outage, and work resumes when the store is back.

The first start creates the folder. If the ledger has saved no id because an earlier version used the store, the folder
is accepted unless it is empty.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from clipengine.basis.fsync import fsync
from clipengine.basis.ids import new_id
from clipengine.errors import ObjectMissing, StorageDenied, StorageUnavailable
from clipengine.stores.keys import RESERVED
from clipengine.stores.os_errors import translate_os_errors

_FILE = "id"
_MAX_ID_BYTES = 200


class SavedIdentity(Protocol):
    """The store's id as saved outside the store, in the ledger."""

    def id(self, create: Callable[[], str], /) -> str:
        """Return the saved id. If there is none, save and return the result of `create`.

        `create` runs in one process at a time. If it raises, nothing is saved.
        """

    def has_recordings(self) -> bool:
        """Return True if the store cannot be empty."""


class StoreIdentity:
    """Check that the folder `root` is the store that the ledger uses. Thread-safe.

    `on_found` is called before the first use of the store and whenever it is back after an outage.
    """

    def __init__(self, root: Path, saved: SavedIdentity, on_found: Callable[[], None]) -> None:
        # Absolute for messages that are read elsewhere; not resolved, because a link's target can change.
        self._root = root.absolute()
        self._file = self._root / RESERVED / _FILE
        self._saved = saved
        self._on_found = on_found
        self._lock = threading.Lock()
        self._verified: tuple[int, ...] | None = None

    def check(self) -> None:
        """Raise StorageUnavailable if `root` is not the store, StorageDenied if it cannot be created.

        Costs one stat(2) while the id file is unchanged.
        """
        state = self._stat()
        if state is not None and state == self._verified:
            return
        with self._lock:
            self._verified = None
            expected = self._saved.id(self._first_id)
            found = self._read()
            if found is None:
                raise self._missing(expected)
            if found != expected:
                raise self._different(found, expected)
            state = self._stat()
            with translate_os_errors(str(self._root)):
                self._on_found()
            self._verified = state

    @contextmanager
    def _denied_means_unavailable(self) -> Iterator[None]:
        """Report a folder without permissions as an outage: administrators often close empty mount points this way."""
        try:
            with translate_os_errors(str(self._root)):
                yield
        except StorageDenied as error:
            raise StorageUnavailable(
                f"this process has no permission for the store's folder {self._root}",
                hint="Mount the store there, or give this user read and write permission. Accepted jobs wait and resume"
                " on their own.",
            ) from error

    def _stat(self) -> tuple[int, ...] | None:
        try:
            with self._denied_means_unavailable():
                found = self._file.stat()
        except ObjectMissing:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> str | None:
        try:
            with self._denied_means_unavailable(), self._file.open("rb") as file:
                return file.read(_MAX_ID_BYTES).decode(errors="replace").strip() or None
        except ObjectMissing:
            return None

    def _first_id(self) -> str:
        """Return the id found in the folder, or create one if the folder may become the store."""
        found = self._read()
        if found is not None:
            return found
        created = new_id("store")
        if self._saved.has_recordings() and self._is_empty():
            raise self._missing(created)
        try:
            with translate_os_errors(str(self._root)):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._write(created)
        except ObjectMissing:
            raise self._missing(created) from None
        return created

    def _is_empty(self) -> bool:
        try:
            with self._denied_means_unavailable(), os.scandir(self._root) as found:
                return next(found, None) is None
        except ObjectMissing:
            return True

    def _write(self, store_id: str) -> None:
        """Write the id file atomically and durably."""
        draft = self._file.with_name(f"{store_id}.new")
        try:
            with draft.open("x") as file:
                file.write(f"{store_id}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._file)
        finally:
            draft.unlink(missing_ok=True)
        for folder in (self._file.parent, self._root):
            fsync(folder)

    # ---- error messages

    def _missing(self, expected: str) -> StorageUnavailable:
        if self._root.is_dir():
            message = f"the folder {self._root} is not the store: it has no {RESERVED}/{_FILE}"
        elif self._root.exists():
            message = f"the store's folder {self._root} is not a folder"
        else:
            message = f"the store's folder {self._root} does not exist"
        return StorageUnavailable(message, hint=self._hint(expected))

    def _different(self, found: str, expected: str) -> StorageUnavailable:
        message = f"the folder {self._root} is another store: its {RESERVED}/{_FILE} is {found}, expected {expected}"
        return StorageUnavailable(message, hint=self._hint(expected))

    def _hint(self, expected: str) -> str:
        folder, file = shlex.quote(str(self._file.parent)), shlex.quote(str(self._file))
        return (
            "Mount the store there, or put it back: accepted jobs wait and resume on their own. If it was moved on"
            " purpose, set storage.folder to its new location. To continue here without the old files, run"
            f" `mkdir -p {folder} && echo {expected} > {file}`."
        )
