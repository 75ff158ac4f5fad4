"""Free space on the disk of the data folder, and which writer may use how much of it.

The ledger is on this disk and must stay writable, so the engine stops its other writers before the disk is full:

- New work is admitted, and bytes that arrive (uploads, fetches, copies, previews) are written, only while
  `limits.min_free_bytes` stay free.
- Clips that were accepted may use half of these bytes, in scratch and in a folder store, so that uploads do not make
  them fail.
- Deletions may also use the reserve, see `disk_reserve`: they end the shortage.

Free space is read before each write, which takes half a microsecond. Folders on other disks have no limit.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from clipengine.basis.disk_reserve import RESERVE_BYTES, DiskReserve
from clipengine.errors import ClipEngineError, DiskFull, DiskLow, StorageError, StorageUnavailable

WRITE_BYTES = 1 << 20  # of the largest write: new work is refused when no writer has room for another one
_HINT = (
    "Free space on the disk of the data folder, or lower limits.min_free_bytes, then try again; "
    "an upload that resumes continues at its offset."
)

T = TypeVar("T")
Writing = Callable[[int, int], AbstractContextManager[None]]  # of so many bytes to a descriptor


class Space(NamedTuple):
    """Bytes of a disk. Blocks that the file system reserves for root are neither used nor free."""

    total: int
    used: int
    free: int


def space_of(folder: Path) -> Space | None:
    """Return the bytes of the folder's disk, or None if the folder is missing: the health checks say so."""
    with suppress(OSError):
        return Space(*shutil.disk_usage(folder))
    return None


class DiskSpace:
    """The space on the disk of `folder`, `floor` bytes of which stay free. Thread-safe."""

    def __init__(self, folder: Path, floor: int, *, reserve: DiskReserve | None = None) -> None:
        self._folder = folder
        self._floor = floor
        self._reserve = reserve
        self._lock = threading.Lock()
        self._reserved: dict[str, int] = {}
        self._pending = 0  # bytes that writers of this process were granted and may not have written yet
        try:
            self._device: int | None = os.stat(folder).st_dev
        except FileNotFoundError:
            self._device = None

    def free(self) -> int:
        """Return the number of bytes that are free now."""
        return shutil.disk_usage(self._folder).free

    # ---- new work

    def is_low(self) -> bool:
        """Return True if no new work may begin, or the folder is missing."""
        try:
            return self.free() < self._admitting
        except FileNotFoundError:
            return True

    def check(self) -> None:
        """Raise DiskLow if no new work may begin."""
        free = self.free()
        if free < self._admitting:
            raise DiskLow(_shortage(free, self._floor), retry_after=30)

    @property
    def _admitting(self) -> int:
        return self._floor + WRITE_BYTES if self._floor else 0

    # ---- clips that run

    def reserve(self, id: str, size: int) -> bool:
        """Reserve `size` bytes for a clip besides other reservations. Return False if too little is free."""
        with self._lock:
            others = sum(reserved for other, reserved in self._reserved.items() if other != id)
            if self.free() < self._floor + others + size:
                return False
            self._reserved[id] = size
            return True

    def release(self, id: str) -> None:
        with self._lock:
            self._reserved.pop(id, None)

    def kept_free(self, descriptor: int) -> int:
        """Return the bytes that a child that writes an accepted clip to the descriptor must leave free."""
        return self._floor // 2 if os.fstat(descriptor).st_dev == self._device else 0

    # ---- writers

    def incoming(self, descriptor: int, size: int) -> AbstractContextManager[None]:
        """Return the context in which `size` bytes that arrive are written to the descriptor. Raises DiskFull."""
        return self._writing(descriptor, size, self._floor)

    def accepted(self, descriptor: int, size: int) -> AbstractContextManager[None]:
        """Return the context in which `size` bytes of accepted work are written. Raises DiskFull."""
        return self._writing(descriptor, size, self._floor // 2)

    @contextmanager
    def _writing(self, descriptor: int, size: int, kept: int) -> Iterator[None]:
        if self._reserve is not None and self._reserve.is_released:
            kept += self._reserve.missing  # it is left to the deletion that has released it
        if not kept or os.fstat(descriptor).st_dev != self._device:
            yield
            return
        with self._lock:
            found = os.fstatvfs(descriptor)
            free = found.f_bavail * found.f_frsize
            if free - self._pending - size < kept:
                raise DiskFull(_shortage(free, kept), hint=_HINT)
            self._pending += size
        try:
            yield
        finally:
            with self._lock:
                self._pending -= size

    # ---- deletions

    def restore(self) -> None:
        """Allocate what is missing of the reserve, if as much as is kept free stays free after that."""
        reserve = self._reserve
        if reserve is None or not reserve.missing:
            return
        if self.free() - reserve.missing < max(self._floor, reserve.missing):
            reserve.report("it has too little free space")
        else:
            reserve.allocate(reserve.missing)

    def freeing(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which deletes. If the disk is full, run it again with the space of the reserve.

        `work` may be repeated after an error, as a transaction.
        """
        try:
            return work()
        except StorageError as error:
            if self._reserve is None or not self._is_full(error):
                raise
        with self._reserve.released():
            return work()

    def _is_full(self, error: ClipEngineError) -> bool:
        """Return True if an error is one of a full disk: SQLite may also say that it cannot extend its files."""
        if not isinstance(error, StorageUnavailable):
            return isinstance(error, DiskFull)
        try:
            return self.free() < RESERVE_BYTES
        except FileNotFoundError:  # the data folder was moved
            return False


def _shortage(free: int, kept: int) -> str:
    return (
        f"only {free / 1_000_000:.0f} MB are free on the disk of the data folder, and"
        f" {kept / 1_000_000:.0f} MB are kept free (limits.min_free_bytes)"
    )


UNLIMITED = DiskSpace(Path("/nonexistent"), 0)  # of stores and folders without an engine
