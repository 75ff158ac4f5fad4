"""What the file system refuses, in the words of the error tree."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from clipengine.errors import (
    ClipEngineError,
    DiskFull,
    InvalidBucketPath,
    ObjectMissing,
    StorageDenied,
    StorageUnavailable,
)

_KINDS: dict[int | None, tuple[type[ClipEngineError], str]] = {
    errno.ENOENT: (ObjectMissing, "{key} does not exist"),
    errno.ENOTDIR: (ObjectMissing, "{key} does not exist"),
    errno.ENXIO: (ObjectMissing, "{key} is not a file"),
    errno.ELOOP: (StorageDenied, "{key} is a symbolic link that leads nowhere"),
    errno.ENOSPC: (DiskFull, "the disk of the store is full"),
    errno.EDQUOT: (DiskFull, "the quota on the disk of the store is used up"),
    errno.EFBIG: (DiskFull, "{key} is larger than the store's file system or the process's limit allows"),
    errno.EACCES: (StorageDenied, "this process may not do that with {key} in the store's folder"),
    errno.EPERM: (StorageDenied, "this process may not do that with {key} in the store's folder"),
    errno.EROFS: (StorageDenied, "the store's folder is on a file system that is mounted read-only"),
    errno.ENAMETOOLONG: (InvalidBucketPath, "{key} has a part that is too long for the store's file system"),
    errno.EISDIR: (InvalidBucketPath, "{key} is a folder of the store"),
    errno.EEXIST: (InvalidBucketPath, "a part of {key} is a file of the store, not a folder"),
}


@contextmanager
def folder_faults(key: str) -> Iterator[None]:
    """Turn an OSError of the block into the error that says who has to act. Other errors pass."""
    try:
        yield
    except OSError as error:
        kind, message = _KINDS.get(error.errno, (StorageUnavailable, "{key}: the store's folder fails"))
        raise kind(f"{message.format(key=key)} ({error.strerror or error})") from error
