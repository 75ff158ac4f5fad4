"""The folder store: objects are plain files under a root that other programs may read and write as well.

Metadata that a file cannot hold (sha256, content type) is kept in `<root>/.clipengine/meta` under a hash of key and
ETag, so it no longer applies once the file is replaced. An ETag consists of size and modification time: it is cheap for
files of any size and survives a backup that preserves times. Symbolic links are followed only if they stay inside the
store; folders behind links are not listed.

A server's store is identified by an id file (`store_identity.py`), checked before every operation, before a new object
is published and after every failure. A missing folder is therefore reported as an outage, never as a missing object. If
the store disappears between the last check and the rename, the rename fails, because its source is in the store's own
`.clipengine/tmp`.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from clipengine.basis.disk_space import UNLIMITED, WRITE_BYTES, DiskSpace, Writing
from clipengine.basis.fsync import fsync
from clipengine.basis.moments import is_moment, note_left_out
from clipengine.errors import (
    ClipEngineError,
    InvalidBucketPath,
    ObjectMissing,
    PayloadTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)
from clipengine.recordings.partial_object import PartialObject
from clipengine.stores.base import Disposition, ObjectReader, Skipped, StoredObject, delete_each
from clipengine.stores.body import Body
from clipengine.stores.folder_partial import PartialFile
from clipengine.stores.folder_reader import FolderReader, etag_of
from clipengine.stores.growing_etag import check_growing, growing_etag, is_growing
from clipengine.stores.keys import (
    INVALID_KEY,
    MAX_KEY_BYTES,
    PARTIAL,
    RESERVED,
    check_key,
    check_list_prefix,
    clean_prefix,
    is_key,
)
from clipengine.stores.locked_files import LockedFile, create_locked, lock_abandoned
from clipengine.stores.object_errors import check_etag
from clipengine.stores.os_errors import DENIED_HINT, LINK_HINT, translate_os_errors
from clipengine.stores.store_identity import SavedIdentity, StoreIdentity

_OCTETS = "application/octet-stream"


class FolderStore:
    """A store in the folder `root`, with keys relative to `prefix` in it.

    Without `identity`, the folder is created if it is missing. With it, the folder is created only by the first start;
    after that, every operation raises StorageUnavailable while the store is missing. `disk` limits the writers if the
    folder is on the disk of an engine's data folder.
    """

    direct = None  # a folder has no links

    def __init__(
        self, root: Path, prefix: str = "", *, identity: SavedIdentity | None = None, disk: DiskSpace = UNLIMITED
    ) -> None:
        self._disk = disk
        self._prefix = clean_prefix(prefix)
        self._configured_root = root
        self._identity = StoreIdentity(root, identity, self._prepare) if identity else None
        self._resolve_root()
        if self._identity is None:
            with translate_os_errors(str(root)):
                root.mkdir(parents=True, exist_ok=True)
                self._prepare()
            return
        with suppress(StorageUnavailable):  # every operation reports it
            self._identity.check()

    def _resolve_root(self) -> None:
        self._root = self._configured_root.resolve()
        self._base = (self._root / self._prefix).resolve()
        self._reserved = self._root / RESERVED

    def _prepare(self) -> None:
        """Resolve the root again, because a symbolic link may have a new target, and create the prefix's folder."""
        self._resolve_root()
        self._make_folders(self._base)

    def _check_store(self) -> None:
        """Raise StorageUnavailable if the store is missing."""
        if self._identity is not None:
            self._identity.check()

    @contextmanager
    def _operation(self, key: str) -> Iterator[None]:
        """Check the store before the block, and after a failure, to report an outage instead of its symptom."""
        self._check_store()
        try:
            with translate_os_errors(key):
                yield
        except (StorageError, InvalidBucketPath):
            self._check_store()
            raise

    # ---- reading

    def head(self, key: str) -> StoredObject:
        check_key(key)
        with self._operation(key):
            return self._with_metadata(key, self._resolve(key).stat())

    def growing(self, key: str) -> StoredObject:
        with closing(self._open(check_key(key))) as reader:
            return replace(reader.info, etag=growing_etag(reader.fileno()))

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        return self._open(check_key(key), etag)

    def _open(self, key: str, etag: str | None = None) -> FolderReader:
        with self._operation(key):
            # O_NONBLOCK: opening a pipe must not block until it has a writer.
            fd = os.open(self._resolve(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            with translate_os_errors(key):
                info = self._with_metadata(key, os.fstat(fd))
                if etag is not None and is_growing(etag):
                    check_growing(fd, key, etag)
                    info = replace(info, etag=etag)
            check_etag(info, etag)
            return FolderReader(info, fd, self._base / key, self._check_store)
        except BaseException:
            os.close(fd)
            raise

    def read(self, key: str, *, limit: int, unless: str | None = None) -> tuple[StoredObject, bytes] | None:
        with closing(self.open(key)) as reader:
            return None if reader.info.etag == unless else (reader.info, reader.read_at(0, limit))

    def list(self, prefix: str = "", *, after: str = "", skipped: Skipped | None = None) -> Iterator[StoredObject]:
        check_list_prefix(prefix)
        folder, slash, _ = prefix.rpartition("/")
        self._check_store()
        yield from self._walk(self._resolve(folder), folder + slash, prefix, os.fsencode(after), skipped)
        self._check_store()  # otherwise an outage looks like an empty folder

    def _walk(
        self, folder: Path, parent: str, prefix: str, after: bytes, skipped: Skipped | None
    ) -> Iterator[StoredObject]:
        for name, entry in self._entries(folder, parent, skipped):
            key = parent + name
            if not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            encoded = os.fsencode(key)
            if encoded <= after and not (name.endswith("/") and after.startswith(encoded)):
                continue
            if name.endswith("/"):
                if folder / entry.name == self._reserved:
                    continue
                if len(encoded) <= MAX_KEY_BYTES:
                    yield from self._walk(folder / entry.name, key, prefix, after, skipped)
                elif skipped is not None:
                    skipped(key, INVALID_KEY)
            elif found := self._listed_object(key, entry, skipped):
                yield found

    @staticmethod
    def _entries(folder: Path, parent: str, skipped: Skipped | None) -> Sequence[tuple[str, os.DirEntry[str]]]:
        """Return the entries of a folder in the key order of S3: names of folders include their slash when sorted."""
        try:
            with translate_os_errors(parent), os.scandir(folder) as found:
                entries = [
                    (f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name, each) for each in found
                ]
        except ObjectMissing:
            return []
        except StorageDenied as error:
            if skipped is None or not parent:
                raise
            skipped(parent, error.message)
            return []
        return sorted(entries, key=lambda each: os.fsencode(each[0]))

    def _listed_object(self, key: str, entry: os.DirEntry[str], skipped: Skipped | None) -> StoredObject | None:
        """Return the metadata of an entry, or None. Only a link may leave the store: the folder is in it."""
        if not is_key(key):
            if skipped is not None:
                skipped(key, INVALID_KEY)
            return None
        try:
            with translate_os_errors(key):
                found = self._resolve(key).stat() if entry.is_symlink() else entry.stat(follow_symlinks=False)
                return self._stored_object(key, found)
        except ObjectMissing:
            return None
        except StorageDenied as error:
            if skipped is not None:
                skipped(key, error.message)
            return None

    # ---- writing

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        check_key(key)
        try:
            stored = self.head(key)
        except ObjectMissing:
            stored = None
        if stored and (stored.size, stored.sha256) == (size, sha256):
            return stored
        source = Body(body, size=size)
        with self._temporary(key) as temporary:
            self._copy(source, temporary.fd, key, self._disk.accepted)
            source.verify(key, sha256=sha256)
            return self._publish(temporary, key, content_type, sha256)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        source = Body(body, size=limit + 1)
        with self._temporary(check_key(key)) as temporary:
            self._copy(source, temporary.fd, key, self._disk.incoming)
            if source.bytes_read > limit:
                raise PayloadTooLarge(f"the upload is larger than {limit} bytes")
            return self._publish(temporary, key, content_type, source.sha256)

    def extend(self, partial: PartialObject, body: BinaryIO) -> Iterator[PartialObject]:
        with self._partial(partial) as file:
            yield from file.extend(partial, body, self._disk.incoming)

    def forget(self, partial: PartialObject) -> None:
        """Do nothing: a later state uses all bytes of an earlier one."""

    def finish(self, partial: PartialObject) -> StoredObject:
        try:
            with self._partial(partial, exists=True) as file, file.whole(partial) as whole:
                return self._publish(whole, partial.key, partial.content_type, None)
        except ObjectMissing:
            stored = self.head(partial.key)  # an engine may have been killed after it had published the file
            if stored.size != partial.size:
                raise
            return stored

    def discard(self, partial: PartialObject) -> None:
        with self._operation(partial.key):
            self._partial_path(partial).unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._operation(key):
                path = self._target(key)
                found = path.stat(follow_symlinks=False)
                path.unlink()
                fsync(path.parent)
                self._metadata_path(key, etag_of(found)).unlink(missing_ok=True)
        except (ObjectMissing, InvalidBucketPath):
            pass  # missing, or a folder, which is not an object

    def delete_many(self, keys: Sequence[str]) -> dict[str, ClipEngineError]:
        return delete_each(self.delete, keys)

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        kind: Disposition = "attachment",
        seconds: int | None = None,
    ) -> str | None:
        check_key(key)
        return None

    def sweep_uploads(self) -> int:
        removed = 0
        with self._operation(str(self._reserved)):
            for path in (self._reserved / "tmp").glob("*"):
                with lock_abandoned(path) as abandoned:
                    if abandoned:
                        abandoned.keep = False
                        removed += 1
        return removed

    def clock_ahead(self) -> float | None:
        return None

    def check(self) -> None:
        self._check_store()
        name = str(self._base)
        try:
            with translate_os_errors(name), os.scandir(self._base):
                pass
        except ObjectMissing:
            raise StorageUnavailable(f"the store's folder {name} does not exist") from None
        if not os.access(self._base, os.R_OK | os.W_OK | os.X_OK):
            raise StorageDenied(f"this process cannot write in the store's folder {name}", hint=DENIED_HINT)

    # ---- paths

    def _resolve(self, key: str) -> Path:
        path = Path(os.path.realpath(self._base / key))
        if not path.is_relative_to(self._base):
            fault = f"{key} is behind a symbolic link that leaves the store's folder"
            raise StorageDenied(fault, hint=LINK_HINT)
        return path

    def _target(self, key: str) -> Path:
        """Return the path to write or delete: a symbolic link under the key itself is not followed."""
        folder, _, name = key.rpartition("/")
        return self._resolve(folder) / name

    # ---- metadata

    def _stored_object(self, key: str, found: os.stat_result) -> StoredObject:
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(f"{key} is not a file of the store")
        modified = found.st_mtime_ns // 1_000_000
        if not is_moment(modified):
            note_left_out("the store", "the time of a file", f"{key} was changed before 1970 or after 2199")
            modified = 0
        return StoredObject(key, found.st_size, etag_of(found), modified)

    def _with_metadata(self, key: str, found: os.stat_result) -> StoredObject:
        bare = self._stored_object(key, found)
        content_type, sha256 = mimetypes.guess_type(key)[0] or _OCTETS, None
        try:
            metadata = json.loads(self._metadata_path(key, bare.etag).read_bytes())
            content_type, sha256 = metadata["content_type"], metadata["sha256"]
        except (FileNotFoundError, ValueError, KeyError):
            pass  # written by another program
        return StoredObject(key, bare.size, bare.etag, bare.modified, content_type, sha256)

    def _metadata_path(self, key: str, etag: str) -> Path:
        name = hashlib.sha256(f"{self._prefix}{key}\0{etag}".encode()).hexdigest()[:40]
        return self._reserved / "meta" / name[:2] / name

    # ---- steps of a put

    def _partial_path(self, partial: PartialObject) -> Path:
        return self._reserved / PARTIAL / partial.upload_id

    @contextmanager
    def _partial(self, partial: PartialObject, *, exists: bool = False) -> Iterator[PartialFile]:
        """Open the file of an object that is stored in steps, for one writer, after checking the store."""
        with ExitStack() as stack:
            with self._operation(partial.key):
                if self._identity is None:
                    self._reserved.mkdir(exist_ok=True)
                path = self._partial_path(partial)
                file = stack.enter_context(PartialFile.open(path, partial.key, exists=exists or partial.offset > 0))
            yield file

    @contextmanager
    def _temporary(self, key: str) -> Iterator[LockedFile]:
        """Create a temporary file in the store that is deleted after the block unless it was published."""
        with ExitStack() as stack:
            with self._operation(key):
                if self._target(key).is_dir():
                    raise InvalidBucketPath(f"{key} is a folder of the store")
                if self._identity is None:
                    self._reserved.mkdir(exist_ok=True)
                temporary = stack.enter_context(create_locked(self._reserved / "tmp"))
            yield temporary

    @staticmethod
    def _copy(source: Body, fd: int, key: str, writing: Writing) -> None:
        while chunk := source.read(WRITE_BYTES):
            view = memoryview(chunk)
            with writing(fd, len(chunk)), translate_os_errors(key):
                while view:
                    view = view[os.write(fd, view) :]

    def _publish(self, temporary: LockedFile, key: str, content_type: str, sha256: str | None) -> StoredObject:
        """Durably rename a complete temporary file to the key, after writing its metadata."""
        with self._operation(key):
            # The file system's clock is too coarse: two puts of the same size could get the same ETag.
            now = time.time_ns()
            os.utime(temporary.fd, ns=(now, now))
            os.fsync(temporary.fd)
            made = os.fstat(temporary.fd)
            self._make_folders(self._target(key).parent)
            target = self._target(key)
            replaced = self._etag_at(target)
            metadata = {"key": key, "sha256": sha256, "content_type": content_type}
            self._write_metadata(self._metadata_path(key, etag_of(made)), json.dumps(metadata).encode())
            os.rename(temporary.path, target)
            fsync(target.parent)
            if replaced not in (None, etag_of(made)):
                self._metadata_path(key, str(replaced)).unlink(missing_ok=True)
            # Not read back: a concurrent put may already have replaced the object and its metadata.
            return replace(self._stored_object(key, made), content_type=content_type, sha256=sha256)

    def _write_metadata(self, path: Path, content: bytes) -> None:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(exist_ok=True)
        with create_locked(self._reserved / "tmp") as temporary:
            os.write(temporary.fd, content)
            os.fsync(temporary.fd)
            os.rename(temporary.path, path)

    def _make_folders(self, folder: Path) -> None:
        if folder != self._root and not folder.is_dir():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            fsync(folder.parent)

    @staticmethod
    def _etag_at(path: Path) -> str | None:
        try:
            return etag_of(path.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None
