"""The store protocol. The folder store and the S3 store implement it; one conformance suite tests both.

Keys are relative to the configured prefix and separated by `/`. They are never absolute and have no `.` or `..` parts.
Every method is thread-safe, has a deadline and raises only errors of `clipengine.errors`:
ObjectMissing, ObjectChanged, StorageDenied, StorageUnavailable, DiskFull, InvalidBucketPath.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

from clipengine.errors import ClipEngineError
from clipengine.recordings.partial_object import PartialObject

Disposition = Literal["attachment", "inline"]  # of a download: saved as a file, or shown in the browser

Skipped = Callable[[str, str], None]  # of a key or a folder, and why it is left out of a list
MAX_DELETE = 1000  # objects in one S3 request


@dataclass(frozen=True)
class StoredObject:
    """Metadata of an object. `etag` has no quotes; `modified` is a moment, or 0 if it is unknown."""

    key: str
    size: int
    etag: str
    modified: int
    content_type: str = "application/octet-stream"
    sha256: str | None = None  # as given to `put`; None for objects that other programs wrote


class ObjectReader(Protocol):
    """An object that is open for ranged reads, pinned to the ETag it had when it was opened."""

    info: StoredObject

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly `min(length, size - offset)` bytes, or b"" at or past the end. Short reads are retried.

        Raises ObjectChanged if the object was replaced after it was opened.
        """

    def fileno(self) -> int | None:
        """Return a file descriptor that a child process may inherit and pread, or None for a remote store."""

    def close(self) -> None: ...


class DirectParts(Protocol):
    """Parts of an object that clients send to the store themselves, with presigned links."""

    def part_bytes(self, size: int) -> int | None:
        """Return the size of the parts of an object, or None if it has only one."""

    def begin(self, partial: PartialObject) -> PartialObject:
        """Prepare an object without bytes for parts. Record the result before a part is sent."""

    def count(self, partial: PartialObject) -> tuple[PartialObject, Collection[int]]:
        """Return the object up to the first missing part, and the numbers of all parts that the store has.

        A part of another size than `PartialObject.part_length` is missing. Raises ObjectMissing if the store has lost
        the object.
        """

    def link(self, partial: PartialObject, number: int, *, seconds: int) -> str:
        """Return a presigned URL to which a part of the right size is sent by PUT."""

    def takes_copies(self) -> bool:
        """Try to copy an object into a part with a link, as a client might, and return True if the store does it."""

    def abort_days(self) -> int | None:
        """Return the days after which a lifecycle rule deletes unfinished objects, or None if no rule is known."""


class Store(Protocol):
    def head(self, key: str) -> StoredObject:
        """Return the metadata of an object. Raises ObjectMissing."""

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        """Open an object for ranged reads. Raises ObjectChanged if `etag` is given and does not match."""

    def growing(self, key: str) -> StoredObject | None:
        """Return the metadata of an object that other programs may still write, or None if all objects are complete.

        With its ETag, the object can be opened as long as it is only appended to. Raises ObjectMissing.
        """

    def read(self, key: str, *, limit: int, unless: str | None = None) -> tuple[StoredObject, bytes] | None:
        """Return an object and its first `limit` bytes, or None if its ETag is still `unless`. Raises ObjectMissing.

        It is one request, and without data if nothing has changed.
        """

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        """Store `size` bytes of `body` (seekable, at its start) atomically and verify them with a HEAD request.

        An existing object of the same size and sha256 is kept and returned; any other is replaced.
        """

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        """Store a body of unknown length, such as an upload. Raises PayloadTooLarge beyond `limit` bytes."""

    def extend(self, partial: PartialObject, body: BinaryIO) -> Iterator[PartialObject]:
        """Append a stream to an object that is stored in steps, and yield each state that is durable.

        Reads until the stream ends or the object is whole. Raises ObjectMissing if the earlier bytes are lost.
        """

    def forget(self, partial: PartialObject) -> None:
        """Delete what only this state of an object used. Call it when a later state is recorded."""

    def finish(self, partial: PartialObject) -> StoredObject:
        """Create the object of a whole `partial`, or return it if it exists. Raises ObjectMissing if bytes are lost."""

    def discard(self, partial: PartialObject) -> None:
        """Delete everything that is stored of an object that is not finished. May be repeated."""

    @property
    def direct(self) -> DirectParts | None:
        """The parts that clients send to the store themselves, or None if it has no links (folder)."""

    def delete(self, key: str) -> None:
        """Delete an object. Deleting a missing object is not an error.

        Only `work.jobs.removals` deletes objects that a row of the ledger may need, see `ledger.needed_objects`.
        """

    def delete_many(self, keys: Sequence[str]) -> dict[str, ClipEngineError]:
        """Delete up to MAX_DELETE objects and return the error of each that was not deleted.

        Missing objects are not errors. Raises StorageError if the request failed as a whole.
        """

    def list(self, prefix: str = "", *, after: str = "", skipped: Skipped | None = None) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with `prefix` and follow `after`, in key order.

        Objects whose keys are invalid are left out, and `skipped` is called with each. With it, folders that cannot be
        read are left out as well; without it, they raise StorageDenied.
        """

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        kind: Disposition = "attachment",
        seconds: int | None = None,
    ) -> str | None:
        """Return a presigned GET URL, or None if the store has none (folder).

        It is valid for the configured time, or for `seconds` if that is shorter.
        """

    def sweep_uploads(self) -> int:
        """Abort multipart uploads that killed processes of this engine left open, and return their number."""

    def clock_ahead(self) -> float | None:
        """Return by how many seconds the store's clock is ahead of this machine's, or None for a folder."""

    def check(self) -> None:
        """Check that the store can be reached and read. Raises StorageDenied or StorageUnavailable."""


def delete_each(delete: Callable[[str], None], keys: Sequence[str]) -> dict[str, ClipEngineError]:
    """Delete the objects one request at a time and return the error of each that was not deleted."""
    failed: dict[str, ClipEngineError] = {}
    for key in keys:
        try:
            delete(key)
        except ClipEngineError as error:
            failed[key] = error
    return failed
