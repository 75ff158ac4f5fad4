"""File of an object that a folder store receives in steps: appended, synced, and renamed when it is whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from clipengine.basis.disk_space import WRITE_BYTES, Writing
from clipengine.basis.fsync import fsync
from clipengine.errors import DiskFull, ObjectMissing, StorageUnavailable
from clipengine.recordings.partial_object import PartialObject
from clipengine.stores.locked_files import LockedFile
from clipengine.stores.os_errors import translate_os_errors

_STEP_BYTES = 16 << 20  # between two syncs: what a crash may lose


@dataclass(frozen=True)
class PartialFile:
    """An open file, locked while a process of this host appends to it."""

    path: Path
    fd: int
    key: str

    @classmethod
    @contextmanager
    def open(cls, path: Path, key: str, *, exists: bool) -> Iterator[PartialFile]:
        """Open the file, and create it unless it `exists`. Raises OSError, and StorageUnavailable if it is locked."""
        if not exists:
            path.parent.mkdir(exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (0 if exists else os.O_CREAT), 0o666)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageUnavailable(f"another process still writes {key}") from None
            if not exists:
                fsync(path.parent)
                fsync(path.parent.parent)
            yield cls(path, fd, key)
        finally:
            os.close(fd)

    def extend(self, partial: PartialObject, body: BinaryIO, writing: Writing) -> Iterator[PartialObject]:
        """Append the stream, see `Store.extend`. What an interrupted writer has left after `offset` is cut off.

        If the disk is full, what was written before is kept.
        """
        self._check_size(partial.offset)
        with translate_os_errors(self.key):
            os.ftruncate(self.fd, partial.offset)
        offset = synced = partial.offset
        while chunk := body.read(min(WRITE_BYTES, partial.size - offset)):
            try:
                with writing(self.fd, len(chunk)):
                    self._write(chunk, offset)
            except DiskFull:
                if offset > synced:
                    yield self._synced(partial, offset)
                raise
            offset += len(chunk)
            if offset - synced >= _STEP_BYTES:
                yield self._synced(partial, offset)
                synced = offset
        if offset > synced:
            yield self._synced(partial, offset)

    @contextmanager
    def whole(self, partial: PartialObject) -> Iterator[LockedFile]:
        """Yield the complete file as a temporary file that can be published. Raises ObjectMissing if bytes are lost."""
        self._check_size(partial.size)
        with translate_os_errors(self.key):
            os.ftruncate(self.fd, partial.size)
        yield LockedFile(self.path, self.fd, keep=True)

    def _check_size(self, size: int) -> None:
        found = os.fstat(self.fd).st_size
        if found < size:
            raise ObjectMissing(f"the store has {found} of the {size} bytes of {self.key}")

    def _write(self, chunk: bytes, offset: int) -> None:
        view = memoryview(chunk)
        with translate_os_errors(self.key):
            while view:
                count = os.pwrite(self.fd, view, offset)
                view, offset = view[count:], offset + count

    def _synced(self, partial: PartialObject, offset: int) -> PartialObject:
        with translate_os_errors(self.key):
            os.fsync(self.fd)
        return replace(partial, offset=offset)
