"""One engine for one data folder: an advisory lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from clipengine.errors import DataFolderInUse, StartupError, StorageUnavailable
from clipengine.ledger.database.sqlite import MOVED_HINT


class FolderLock:
    """The file `lock` in the data folder, locked with flock(2); it holds the pid of the holder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises DataFolderInUse that names the holder, at once."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupError(
                f"the data folder {self._path.parent} cannot be written: {error.strerror}",
                hint="Give the engine a folder that it owns, with --data.",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise DataFolderInUse(
                f"the data folder {self._path.parent} is in use by clipengine with the pid {holder}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def check(self) -> None:
        """Raises StorageUnavailable where the folder that is held lies at its place no longer."""
        assert self._descriptor is not None
        try:
            found = os.stat(self._path)
        except OSError:
            said = f"the data folder {self._path.parent} was moved away"
            raise StorageUnavailable(said, hint=MOVED_HINT) from None
        if not os.path.samestat(found, os.fstat(self._descriptor)):
            said = f"another folder lies at the place of the data folder {self._path.parent}"
            raise StorageUnavailable(said, hint=MOVED_HINT)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
