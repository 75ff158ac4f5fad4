"""ETags of files that other programs are still writing: valid as long as a file is only appended to.

Such an ETag names the file's inode, and the length and the digest of its beginning, which is rewritten when a file is
closed or replaced.
"""

from __future__ import annotations

import hashlib
import os
import re

from clipengine.errors import ObjectClosed

_BEGINNING_BYTES = 4096
_ETAG = re.compile(r"growing-([0-9a-f]{1,16})-([0-9a-f]{1,4})-([0-9a-f]{32})")


def growing_etag(fd: int) -> str:
    """Return the ETag of an open file."""
    return _etag(fd, _BEGINNING_BYTES)


def is_growing(etag: str | None) -> bool:
    """Return True if the ETag is one of a file that is still written."""
    return etag is not None and _ETAG.fullmatch(etag) is not None


def check_growing(fd: int, key: str, etag: str) -> None:
    """Raise ObjectClosed if the file has another ETag than this one of a file that is still written."""
    known = _ETAG.fullmatch(etag)
    if known is None or _etag(fd, int(known[2], 16)) != etag:
        raise ObjectClosed(f"{key} was closed, replaced or written anew")


def _etag(fd: int, length: int) -> str:
    beginning = os.pread(fd, length, 0)
    digest = hashlib.sha256(beginning).hexdigest()[:32]
    return f"growing-{os.fstat(fd).st_ino:x}-{len(beginning):x}-{digest}"
