"""Ranged reads of a file in the folder store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from clipengine.errors import ObjectChanged, ObjectMissing
from clipengine.stores.base import StoredObject
from clipengine.stores.growing_etag import check_growing, is_growing
from clipengine.stores.os_errors import translate_os_errors


def etag_of(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


class FolderReader:
    """Reader that uses `pread`, so that threads and a child process can share the descriptor.

    `check_store` raises StorageUnavailable if the whole store is missing, not only the file. A file may
    grow if its ETag says that it is still written, see `growing_etag`.
    """

    def __init__(self, info: StoredObject, fd: int, path: Path, check_store: Callable[[], None]) -> None:
        self.info = info
        self._fd = fd
        self._path = path
        self._check_store = check_store

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.info.size)
        chunks: list[bytes] = []
        with translate_os_errors(self.info.key):
            while offset < end and (chunk := os.pread(self._fd, end - offset, offset)):
                chunks.append(chunk)
                offset += len(chunk)
            # Checking after the read proves that all bytes belong to the object that was opened.
            self._check_unchanged(os.fstat(self._fd))
        return b"".join(chunks)

    def _check_unchanged(self, found: os.stat_result) -> None:
        if found.st_nlink and is_growing(self.info.etag) and found.st_size >= self.info.size:
            check_growing(self._fd, self.info.key, self.info.etag)
            return
        if found.st_nlink and etag_of(found) == self.info.etag:
            return
        self._check_store()
        if not found.st_nlink and not self._path.exists():
            raise ObjectMissing(f"{self.info.key} was deleted while it was read")
        raise ObjectChanged(f"{self.info.key} was replaced while it was read")

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
