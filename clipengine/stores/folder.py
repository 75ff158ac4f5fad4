"""The folder store: objects are plain files under a root, as any other program sees and serves them.

What a file cannot say of itself (sha256, content type) lies in `<root>/.clipengine/meta`, bound to the key and the
ETag, so that it is forgotten with the file that it describes. An ETag is made of size and time of change: it is cheap
at any length, sees a file that others replaced, and survives a backup that keeps times. Symbolic links are followed
only where they stay in the store; folders behind links are not listed.

A server's store is known by its id (`marker.py`), which is looked for before every operation, and once more before
what was written is published and where anything fails: so a folder that is away is an outage, never a missing object,
and nothing is written to what lies at its place. In the moment between the look and the rename, that is impossible
too: what is renamed lies in the store's own `.clipengine/tmp`, and is gone with it.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from clipengine.errors import (
    InvalidBucketPath,
    ObjectMissing,
    PayloadTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)
from clipengine.stores.base import ObjectReader, StoredObject
from clipengine.stores.body import Body
from clipengine.stores.claims import Claim, claim, take_over
from clipengine.stores.durable import sync_folder
from clipengine.stores.folder_faults import folder_faults
from clipengine.stores.folder_reader import FolderReader, etag_of
from clipengine.stores.keys import RESERVED, check_key, check_list_prefix, clean_prefix, is_key
from clipengine.stores.marker import Known, Marker
from clipengine.stores.pinned import check_etag

_COPY_BYTES = 1024 * 1024
_OCTETS = "application/octet-stream"


class FolderStore:
    """A store in `root`, keys relative to `prefix` in it.

    The folder is made where it is missing; with `known`, only where no store is known yet, and all that is done
    elsewhere than in the store that is known raises StorageUnavailable.
    """

    def __init__(self, root: Path, prefix: str = "", *, known: Known | None = None) -> None:
        self._prefix = clean_prefix(prefix)
        self._given = root
        self._marker = Marker(root, known, self._settle) if known else None
        self._find()
        if self._marker is None:
            with folder_faults(str(root)):
                root.mkdir(parents=True, exist_ok=True)
                self._settle()
            return
        with suppress(StorageUnavailable):  # whoever asks for something is told
            self._marker.check()

    def _find(self) -> None:
        self._root = self._given.resolve()
        self._base = (self._root / self._prefix).resolve()
        self._own = self._root / RESERVED

    def _settle(self) -> None:
        """Take the folder as it is now; a link to it may lead elsewhere than before."""
        self._find()
        self._make_folders(self._base)

    def _check_here(self) -> None:
        """Raises StorageUnavailable where the store is away."""
        if self._marker is not None:
            self._marker.check()

    @contextmanager
    def _use(self, key: str) -> Iterator[None]:
        """Something is done with the store, which is there before it, and away where that is why it failed."""
        self._check_here()
        try:
            with folder_faults(key):
                yield
        except (StorageError, InvalidBucketPath):
            self._check_here()
            raise

    # ---- reading

    def head(self, key: str) -> StoredObject:
        check_key(key)
        with self._use(key):
            return self._describe(key, self._resolve(key).stat())

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        check_key(key)
        with self._use(key):
            # A pipe in the folder must not hold the caller until somebody writes to it.
            fd = os.open(self._resolve(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            with folder_faults(key):
                info = self._describe(key, os.fstat(fd))
            check_etag(info, etag)
            return FolderReader(info, fd, self._base / key, self._check_here)
        except BaseException:
            os.close(fd)
            raise

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        check_list_prefix(prefix)
        folder, slash, _ = prefix.rpartition("/")
        self._check_here()
        yield from self._walk(self._resolve(folder), folder + slash, prefix)
        self._check_here()  # what was not listed is not there, and not away

    def _walk(self, folder: Path, parent: str, prefix: str) -> Iterator[StoredObject]:
        for name in self._names(folder, parent):
            key = parent + name
            if folder / name == self._own or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(folder / name, key, prefix)
            elif is_key(key) and (listed := self._listed(key)):
                yield listed

    @staticmethod
    def _names(folder: Path, parent: str) -> Sequence[str]:
        """What lies in a folder, in the order of whole keys as S3 lists them: folders sort with their slash."""
        try:
            with folder_faults(parent), os.scandir(folder) as found:
                names = [f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name for each in found]
        except ObjectMissing:
            return []
        return sorted(names, key=os.fsencode)

    def _listed(self, key: str) -> StoredObject | None:
        try:
            with folder_faults(key):
                return self._bare(key, self._resolve(key).stat())
        except (ObjectMissing, StorageDenied):
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
            self._copy(source, temporary.fd, key)
            source.check(key, sha256=sha256)
            return self._publish(temporary, key, content_type, sha256)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        source = Body(body, size=limit + 1)
        with self._temporary(check_key(key)) as temporary:
            self._copy(source, temporary.fd, key)
            if source.taken > limit:
                raise PayloadTooLarge(f"the upload is larger than {limit} bytes")
            return self._publish(temporary, key, content_type, source.sha256)

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._use(key):
                path = self._target(key)
                found = path.stat(follow_symlinks=False)
                path.unlink()
                sync_folder(path.parent)
                self._meta(key, etag_of(found)).unlink(missing_ok=True)
        except (ObjectMissing, InvalidBucketPath):
            pass  # nothing there, or a folder, which is no object

    def link(self, key: str, *, filename: str, content_type: str) -> str | None:
        check_key(key)
        return None

    def sweep_uploads(self) -> int:
        removed = 0
        with self._use(str(self._own)):
            for path in (self._own / "tmp").glob("*"):
                with take_over(path) as left_behind:
                    if left_behind:
                        left_behind.keep = False
                        removed += 1
        return removed

    def clock_ahead(self) -> float | None:
        return None

    def check(self) -> None:
        self._check_here()
        name = str(self._base)
        try:
            with folder_faults(name), os.scandir(self._base):
                pass
        except ObjectMissing:
            raise StorageUnavailable(f"the store's folder {name} does not exist") from None
        if not os.access(self._base, os.R_OK | os.W_OK | os.X_OK):
            raise StorageDenied(f"the store's folder {name} cannot be written")

    # ---- paths

    def _resolve(self, key: str) -> Path:
        path = Path(os.path.realpath(self._base / key))
        if not path.is_relative_to(self._base):
            raise StorageDenied(f"{key} leads out of the store's folder by a symbolic link")
        return path

    def _target(self, key: str) -> Path:
        """Where a new object of the key goes: a link under that name is replaced, not followed."""
        folder, _, name = key.rpartition("/")
        return self._resolve(folder) / name

    # ---- what is known of an object

    def _bare(self, key: str, found: os.stat_result) -> StoredObject:
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(f"{key} is not a file of the store")
        return StoredObject(key, found.st_size, etag_of(found), found.st_mtime_ns // 1_000_000)

    def _describe(self, key: str, found: os.stat_result) -> StoredObject:
        bare = self._bare(key, found)
        content_type, sha256 = mimetypes.guess_type(key)[0] or _OCTETS, None
        try:
            known = json.loads(self._meta(key, bare.etag).read_bytes())
            content_type, sha256 = known["content_type"], known["sha256"]
        except (FileNotFoundError, ValueError, KeyError):
            pass  # made by others
        return StoredObject(key, bare.size, bare.etag, bare.modified, content_type, sha256)

    def _meta(self, key: str, etag: str) -> Path:
        name = hashlib.sha256(f"{self._prefix}{key}\0{etag}".encode()).hexdigest()[:40]
        return self._own / "meta" / name[:2] / name

    # ---- the steps of a put

    @contextmanager
    def _temporary(self, key: str) -> Iterator[Claim]:
        """A file beside the store that is gone after the block, unless it was published."""
        with ExitStack() as stack:
            with self._use(key):
                if self._target(key).is_dir():
                    raise InvalidBucketPath(f"{key} is a folder of the store")
                if self._marker is None:
                    self._own.mkdir(exist_ok=True)
                temporary = stack.enter_context(claim(self._own / "tmp"))
            yield temporary

    @staticmethod
    def _copy(source: Body, fd: int, key: str) -> None:
        while chunk := source.take(_COPY_BYTES):
            view = memoryview(chunk)
            with folder_faults(key):
                while view:
                    view = view[os.write(fd, view) :]

    def _publish(self, temporary: Claim, key: str, content_type: str, sha256: str) -> StoredObject:
        """Make a whole temporary file visible under the key, durably, with what is known of it."""
        with self._use(key):
            # The file system's own clock ticks too slowly to tell two puts of one size apart.
            now = time.time_ns()
            os.utime(temporary.fd, ns=(now, now))
            os.fsync(temporary.fd)
            made = os.fstat(temporary.fd)
            self._make_folders(self._target(key).parent)
            target = self._target(key)
            replaced = self._etag_at(target)
            known = {"key": key, "sha256": sha256, "content_type": content_type}
            self._write_meta(self._meta(key, etag_of(made)), json.dumps(known).encode())
            os.rename(temporary.path, target)
            sync_folder(target.parent)
            if replaced not in (None, etag_of(made)):
                self._meta(key, str(replaced)).unlink(missing_ok=True)
            # Told from what was written: whoever replaces it in this moment takes along what is known of it.
            return replace(self._bare(key, made), content_type=content_type, sha256=sha256)

    def _write_meta(self, path: Path, text: bytes) -> None:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(exist_ok=True)
        with claim(self._own / "tmp") as temporary:
            os.write(temporary.fd, text)
            os.fsync(temporary.fd)
            os.rename(temporary.path, path)

    def _make_folders(self, folder: Path) -> None:
        if folder != self._root and not folder.is_dir():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

    @staticmethod
    def _etag_at(path: Path) -> str | None:
        try:
            return etag_of(path.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None
