"""Advisory lock on the data folder, released by the kernel when the engine dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from clipengine.errors import DataFolderInUse, StartupError, StorageUnavailable
from clipengine.ledger.database.sqlite import MOVED_HINT


class FolderLock:
    """The file `lock` in the data folder, locked with flock(2). It contains the pid of the holder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Lock the folder without waiting. Raises DataFolderInUse, which names the holder."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupError(
                f"the data folder {self._path.parent} cannot be written: {error.strerror}",
                hint="Name a folder that the engine may write with --data.",
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
        """Raise StorageUnavailable if the locked folder was moved or replaced."""
        assert self._descriptor is not None
        try:
            found = os.stat(self._path)
        except OSError:
            message = f"the data folder {self._path.parent} was moved away"
            raise StorageUnavailable(message, hint=MOVED_HINT) from None
        if not os.path.samestat(found, os.fstat(self._descriptor)):
            message = f"the data folder {self._path.parent} was replaced by another folder"
            raise StorageUnavailable(message, hint=MOVED_HINT)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
