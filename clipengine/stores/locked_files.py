"""Files that stay locked while the process that created them is alive.

The kernel releases the lock when that process ends in any way, so a process that gets the lock knows that the file
is abandoned. File names are never reused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


@dataclass
class LockedFile:
    """An open, locked file. It is deleted on release unless `keep` is set."""

    path: Path
    fd: int
    keep: bool = False


@contextmanager
def create_locked(folder: Path) -> Iterator[LockedFile]:
    """Create a file in `folder`, lock it for the duration of the block, then delete it unless it is to be kept.

    The folder is created if it is missing, but not its parent: a missing parent means that the disk is not mounted.
    Raises OSError.
    """
    folder.mkdir(exist_ok=True)
    file = _create(folder)
    try:
        yield file
    finally:
        if not file.keep:
            file.path.unlink(missing_ok=True)
        os.close(file.fd)


@contextmanager
def lock_abandoned(path: Path) -> Iterator[LockedFile | None]:
    """Lock a file whose creator has ended. Yield None if the creator is alive or the file is gone. Kept by default."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    file = LockedFile(path, fd, keep=True)
    try:
        yield file if _lock(fd) and _same(path, fd) else None
        if not file.keep:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _create(folder: Path) -> LockedFile:
    while True:
        path = folder / uuid4().hex
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        # A sweep may delete the file as abandoned before the lock is taken.
        if _lock(fd) and _same(path, fd):
            return LockedFile(path, fd)
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
