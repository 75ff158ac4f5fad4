"""Files that tell whether the process that made them still lives.

A claimed file is locked for as long as its maker works on it; the kernel drops the lock when that process dies in any
way. Whoever gets the lock therefore knows that the file was left behind. Names never repeat.
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
class Claim:
    """An open, locked file. `keep` False removes it when the claim ends."""

    path: Path
    fd: int
    keep: bool = False


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """Make a new file in `folder` (made where it is missing), locked until the block ends, removed then unless kept.

    Raises OSError as the file system does. The folder's own folder is never made: where it is gone, so is its disk.
    """
    folder.mkdir(exist_ok=True)
    claimed = _make(folder)
    try:
        yield claimed
    finally:
        if not claimed.keep:
            claimed.path.unlink(missing_ok=True)
        os.close(claimed.fd)


@contextmanager
def take_over(path: Path) -> Iterator[Claim | None]:
    """The claim on a file whose maker is gone, or None where it lives or the file is no more. Kept by default."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    claimed = Claim(path, fd, keep=True)
    try:
        yield claimed if _lock(fd) and _same(path, fd) else None
        if not claimed.keep:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _make(folder: Path) -> Claim:
    while True:
        path = folder / uuid4().hex
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        # Between open and lock a sweep may have taken the file for one that was left behind.
        if _lock(fd) and _same(path, fd):
            return Claim(path, fd)
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
