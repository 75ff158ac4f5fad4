"""Translation of OSError into storage errors."""

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

# Hints that replace the default hint of StorageDenied, which is about access keys.
LINK_HINT = "Put the file itself into the store's folder, or mount its folder there: no link may leave the store."
DENIED_HINT = "Give the user of this process read and write permission for the store's folder and what is in it."
_MOUNT_HINT = "Mount the file system of the store's folder writable."
_HINTS = {errno.ELOOP: LINK_HINT, errno.EACCES: DENIED_HINT, errno.EPERM: DENIED_HINT, errno.EROFS: _MOUNT_HINT}
_ERRORS: dict[int | None, tuple[type[ClipEngineError], str]] = {
    errno.ENOENT: (ObjectMissing, "{key} does not exist"),
    errno.ENOTDIR: (ObjectMissing, "{key} does not exist"),
    errno.ENXIO: (ObjectMissing, "{key} is not a file"),
    errno.ELOOP: (StorageDenied, "{key} is a symbolic link that cannot be followed"),
    errno.ENOSPC: (DiskFull, "the store's disk is full"),
    errno.EDQUOT: (DiskFull, "the disk quota of the store is used up"),
    errno.EFBIG: (DiskFull, "{key} exceeds the file size limit of the store's file system or of this process"),
    errno.EACCES: (StorageDenied, "this process has no permission for {key} in the store's folder"),
    errno.EPERM: (StorageDenied, "this process has no permission for {key} in the store's folder"),
    errno.EROFS: (StorageDenied, "the store's file system is mounted read-only"),
    errno.ENAMETOOLONG: (InvalidBucketPath, "a part of {key} is too long for the store's file system"),
    errno.EISDIR: (InvalidBucketPath, "{key} is a folder of the store"),
    errno.EEXIST: (InvalidBucketPath, "a part of {key} is a file of the store, not a folder"),
}


@contextmanager
def translate_os_errors(key: str) -> Iterator[None]:
    """Translate an OSError raised in the block. Other exceptions pass unchanged."""
    try:
        yield
    except OSError as error:
        kind, message = _ERRORS.get(error.errno, (StorageUnavailable, "{key}: I/O error in the store's folder"))
        said = f"{message.format(key=key)} ({error.strerror or error})"
        raise kind(said, hint=_HINTS.get(error.errno or 0)) from error
