"""One file of the folder store, open and pinned."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from clipengine.errors import ObjectChanged, ObjectMissing
from clipengine.stores.base import StoredObject
from clipengine.stores.folder_faults import folder_faults


def etag_of(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


class FolderReader:
    """Reads by `pread`, so that threads and a child process share the descriptor without a common position.

    `check` raises where the store is away: what is missing then was not removed.
    """

    def __init__(self, info: StoredObject, fd: int, path: Path, check: Callable[[], None]) -> None:
        self.info = info
        self._fd = fd
        self._path = path
        self._store_check = check

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.info.size)
        chunks: list[bytes] = []
        with folder_faults(self.info.key):
            while offset < end and (chunk := os.pread(self._fd, end - offset, offset)):
                chunks.append(chunk)
                offset += len(chunk)
            # Looked at after reading: what was read before this moment is of the object that was opened.
            self._check(os.fstat(self._fd))
        return b"".join(chunks)

    def _check(self, found: os.stat_result) -> None:
        if found.st_nlink and etag_of(found) == self.info.etag:
            return
        self._store_check()
        if not found.st_nlink and not self._path.exists():
            raise ObjectMissing(f"{self.info.key} was removed while it was read")
        raise ObjectChanged(f"{self.info.key} was replaced while it was read")

    def fileno(self) -> int | None:
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
