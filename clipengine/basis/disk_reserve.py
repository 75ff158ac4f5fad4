"""Space on a disk that is set aside for deletions: a file whose blocks are allocated."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# The write-ahead log of SQLite grows to 4 MB before its pages are written to the ledger, which may grow as much.
RESERVE_BYTES = 8 << 20
_TRIES = 8  # with less space each time: other writers may take some between the look and the allocation

log = logging.getLogger(__name__)


class DiskReserve:
    """The reserve of `size` bytes in the file at `path`. `missing` of them are not allocated. Thread-safe.

    Faults are logged once: an engine works without a reserve, but cannot delete anything on a full disk.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size
        self._lock = threading.Lock()
        self._users = 0
        self._is_reported = False
        self.missing = size
        with suppress(OSError):  # allocated by an engine before
            self.missing -= _allocated(os.stat(path), size)

    @property
    def is_released(self) -> bool:
        """Return True while a deletion uses the reserve."""
        return self._users > 0

    def allocate(self, most: int) -> None:
        """Allocate what is missing, but at most `most` bytes, unless a deletion uses the reserve."""
        with self._lock:
            if not self._users:
                self._allocate(most)

    def report(self, problem: str) -> None:
        """Log once why there is no reserve."""
        if not self._is_reported:
            log.warning("deletions have no reserve on the disk of the data folder: %s", problem)
        self._is_reported = True

    @contextmanager
    def released(self) -> Iterator[None]:
        """Free the space for the block, and allocate as much of it again as is left then."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._release()
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._allocate(self._size)

    def _release(self) -> None:
        try:
            os.truncate(self._path, 0)
        except OSError as error:
            self.report(f"{error}")
        else:
            self.missing = self._size

    def _allocate(self, most: int) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.report(f"{error}")
            return
        try:
            for _ in range(_TRIES):
                self.missing = self._size - _allocated(os.fstat(descriptor), self._size)
                found = os.fstatvfs(descriptor)
                step = min(self.missing, most, found.f_bavail * found.f_frsize)
                if step <= 0 or self._grow(descriptor, self._size - self.missing + step):
                    break
                most = step - step // 8
            else:
                self.report(os.strerror(errno.ENOSPC))
        except OSError as error:
            self.report(f"{error}")
        finally:
            os.close(descriptor)

    def _grow(self, descriptor: int, size: int) -> bool:
        """Allocate the file up to `size`. Return False if another writer has taken some of the space meanwhile."""
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return False
        self.missing = self._size - _allocated(os.fstat(descriptor), self._size)
        return True


def _allocated(file: os.stat_result, most: int) -> int:
    """Return the allocated bytes of a file, which may be sparse in a copy of the data folder."""
    return min(file.st_size, file.st_blocks * 512, most)
