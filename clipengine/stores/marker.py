"""How a folder is told to be the store: the file `.clipengine/id` in it holds the id that the ledger has noted.

A folder that was moved away, a disk that is not mounted and an empty mount point look like a store that has lost
everything, and would take what is written to them with them when the store comes back. So nothing is read or written
where the id is not: that is an outage, which ends by itself.

The very first start makes the folder. A store of a ledger that has noted no id, because an earlier version made it, is
taken as it is where anything lies in it.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from clipengine.errors import ObjectMissing, StorageDenied, StorageUnavailable
from clipengine.ids import new_id
from clipengine.stores.durable import sync_folder
from clipengine.stores.folder_faults import folder_faults
from clipengine.stores.keys import RESERVED

_FILE = "id"
_ID_BYTES = 200


class Known(Protocol):
    """What is known of the store outside it, in the ledger of those who use it."""

    def id(self, first: Callable[[], str]) -> str:
        """The id that was noted; where none was, what `first` gives is noted now. One caller at a time is in `first`.

        Nothing is noted where `first` raises.
        """

    def has_recordings(self) -> bool:
        """Whether something must lie in the store."""


class Marker:
    """The id in `root`. `on_found` is called whenever the store is there as it was not before, ahead of all use of it.

    For any thread.
    """

    def __init__(self, root: Path, known: Known, on_found: Callable[[], None]) -> None:
        # As it was named, and yet true wherever a message about it is read: what it links to may change.
        self._root = root.absolute()
        self._file = self._root / RESERVED / _FILE
        self._known = known
        self._on_found = on_found
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None

    def check(self) -> None:
        """Raises StorageUnavailable where `root` is not the store, StorageDenied where it may not be made.

        It costs one stat(2) for as long as the store stays what it was.
        """
        looks = self._look()
        if looks is not None and looks == self._seen:
            return
        with self._lock:
            self._seen = None
            wanted = self._known.id(self._first)
            found = self._read()
            if found is None:
                raise self._away(wanted)
            if found != wanted:
                raise self._another(found, wanted)
            looks = self._look()
            with folder_faults(str(self._root)):
                self._on_found()
            self._seen = looks

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """A folder that is closed is away too: mount points are often closed to all, so that nothing is put there."""
        try:
            with folder_faults(str(self._root)):
                yield
        except StorageDenied as error:
            raise StorageUnavailable(
                f"the store's folder {self._root} is closed to this process",
                hint="Mount the store there, or let this user read and write in it: what was accepted waits, and goes"
                " on by itself.",
            ) from error

    def _look(self) -> tuple[int, ...] | None:
        try:
            with self._looking():
                found = self._file.stat()
        except ObjectMissing:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> str | None:
        """The id in the folder, None where there is none."""
        try:
            with self._looking(), self._file.open("rb") as file:
                return file.read(_ID_BYTES).decode(errors="replace").strip() or None
        except ObjectMissing:
            return None

    def _first(self) -> str:
        """The id of a store that has not been noted: its own, or a new one where this may become the store."""
        found = self._read()
        if found is not None:
            return found
        made = new_id("store")
        if self._known.has_recordings() and not self._holds_anything():
            raise self._away(made)
        try:
            with folder_faults(str(self._root)):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._write(made)
        except ObjectMissing:
            raise self._away(made) from None
        return made

    def _holds_anything(self) -> bool:
        try:
            with self._looking(), os.scandir(self._root) as found:
                return any(True for _ in found)
        except ObjectMissing:
            return False

    def _write(self, made: str) -> None:
        """Whole or not at all, and for good."""
        draft = self._file.with_name(f"{made}.new")
        try:
            with draft.open("x") as file:
                file.write(f"{made}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._file)
        finally:
            draft.unlink(missing_ok=True)
        for folder in (self._file.parent, self._root):
            sync_folder(folder)

    # ---- what is said where it is not there

    def _away(self, wanted: str) -> StorageUnavailable:
        if not self._root.is_dir():
            missing = "is not a folder" if self._root.exists() else "does not exist"
            said = f"the store's folder {self._root} {missing}"
        else:
            said = f"the folder {self._root} is not the store: {RESERVED}/{_FILE} is missing in it"
        return StorageUnavailable(said, hint=self._remedy(wanted))

    def _another(self, found: str, wanted: str) -> StorageUnavailable:
        said = f"the folder {self._root} is another store: {RESERVED}/{_FILE} in it says {found}, not {wanted}"
        return StorageUnavailable(said, hint=self._remedy(wanted))

    def _remedy(self, wanted: str) -> str:
        own, file = shlex.quote(str(self._file.parent)), shlex.quote(str(self._file))
        return (
            "Mount the store there, or put it back: what was accepted waits, and goes on by itself. Where it was moved"
            " on purpose, name its new place with storage.folder. To go on here without it, run"
            f" `mkdir -p {own} && echo {wanted} > {file}`."
        )
