"""The protocol of a store: keys in, bytes out. Two kinds exist, a folder and S3; one conformance suite holds both.

Keys are relative to the store's configured prefix, `/`-separated, never absolute and never with `.` or `..` parts.
Every method may be called from any thread, has a deadline of its own and raises only errors of `clipengine.errors`:
ObjectMissing, ObjectChanged, StorageDenied, StorageUnavailable, DiskFull, InvalidBucketPath.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class StoredObject:
    """What the store says of one object. `etag` has no quotes; `modified` is in ms since 1970, UTC."""

    key: str
    size: int
    etag: str
    modified: int
    content_type: str = "application/octet-stream"
    sha256: str | None = None  # as it was given at `put`; None for objects that others made


class ObjectReader(Protocol):
    """One object, open for ranged reads, pinned to the ETag that it had when it was opened."""

    info: StoredObject

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `min(length, size - offset)` bytes; b"" at or past the end. Retries short reads by itself.

        Raises ObjectChanged when the object is no longer the one that was opened.
        """

    def fileno(self) -> int | None:
        """A descriptor of the whole object that a child process may inherit and pread, or None (remote store)."""

    def close(self) -> None: ...


class Store(Protocol):
    def head(self, key: str) -> StoredObject:
        """What is stored under the key. Raises ObjectMissing."""

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        """Open for ranged reads. With `etag`, raises ObjectChanged when the object has another one."""

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        """Store `size` bytes of `body` (seekable, at its start) whole or not at all, and prove it with a HEAD.

        When the key already holds an object of this size and sha256, that object is kept and returned.
        An object of other content under the key is replaced. Nothing is visible under the key before it is whole.
        """

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        """Store a body of unknown length (an upload), at most `limit` bytes. Raises PayloadTooLarge beyond that."""

    def delete(self, key: str) -> None:
        """Remove the object. A key that does not exist is no error."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects whose keys begin with `prefix`, in key order."""

    def link(self, key: str, *, filename: str, content_type: str) -> str | None:
        """A presigned GET link that downloads as `filename`, or None where the store has no links (folder)."""

    def sweep_uploads(self) -> int:
        """Abort multipart uploads that a killed process of this engine left behind; how many were aborted."""

    def clock_ahead(self) -> float | None:
        """Seconds by which the store's clock is ahead of this machine's; None where it has none of its own (folder)."""

    def check(self) -> None:
        """Prove that the store can be reached and read. Raises StorageDenied or StorageUnavailable with the cause."""
