"""Local copies of new recordings in a remote store, from which their previews are made ahead.

Audio is interleaved with video, so nearly all of a recording is read for its waveform. An upload or a fetch has these
bytes at hand. A copy is deleted when the previews were made, after an hour, and when the engine starts. Without it, the
store is read.
"""

from __future__ import annotations

import io
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.errors import DiskFull
from clipengine.recordings.recording import Recording
from clipengine.stores.base import ObjectReader, StoredObject
from clipengine.stores.folder_reader import FolderReader, etag_of

log = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0
_DISK_PART = 4  # copies take at most this part of the space that would be free without them
_CHECKED_BYTES = 16 * 1024 * 1024  # between two looks at the free space


@dataclass(eq=False)
class _Copy:
    """A copy. It has no recording while it is written, and no `file` after that.

    `etag` is the ETag of the object in the store.
    """

    path: Path
    file: BinaryIO | None = None
    size: int = 0
    recording_id: str = ""
    etag: str = ""
    until: float = math.inf


class LocalCopies:
    """The copies in a folder. Nothing is kept until `enable` is called. Thread-safe.

    Faults of the disk are logged: an upload or a fetch goes on without its copy.
    """

    def __init__(self, folder: Path, *, disk: DiskSpace = UNLIMITED) -> None:
        self._folder = folder
        self._disk = disk
        self._lock = threading.Lock()
        self._copies: set[_Copy] = set()
        self._enabled = False

    def enable(self) -> None:
        """Keep copies from now on."""
        self._enabled = True

    def clear(self) -> None:
        """Delete all copies, also copies that an earlier engine has left."""
        with self._lock:
            self._copies.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def copied(self, body: BinaryIO) -> Iterator[CopiedBody]:
        """Copy the bytes that the context reads from the body. Delete the copy after it, unless it was kept."""
        copied = CopiedBody(body, self, self._new() if self._enabled else None)
        try:
            yield copied
        finally:
            copied.give_up()

    def take(self, path: Path, recording_id: str, stored: StoredObject) -> None:
        """Move a file with the bytes of a stored object into the folder, if the disk has room."""
        if not self._enabled:
            return
        copy = self._new()
        try:
            path.rename(copy.path)
            copy.size = copy.path.stat().st_size
        except OSError as error:
            self.delete(copy, error)
        else:
            self.keep(copy, recording_id, stored)

    def open(self, recording: Recording) -> ObjectReader | None:
        """Open the copy of a recording, or return None."""
        copy = self._find(recording.recording_id)
        if copy is None or copy.etag != recording.etag:
            return None
        try:
            fd = os.open(copy.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self.delete(copy, error)
            return None
        found = os.fstat(fd)
        info = StoredObject(recording.bucket_path, found.st_size, etag_of(found), found.st_mtime_ns // 1_000_000)
        return FolderReader(info, fd, copy.path, lambda: None)

    def drop(self, recording_id: str) -> None:
        """Delete the copy of a recording."""
        copy = self._find(recording_id)
        if copy is not None:
            self.delete(copy)

    def purge(self) -> None:
        """Delete the copies that are too old."""
        now = time.monotonic()
        for copy in self._listed():
            if copy.until <= now:
                self.delete(copy)

    def keep(self, copy: _Copy, recording_id: str, stored: StoredObject) -> None:
        """Keep a copy for a recording, or delete it if it is incomplete or the disk is too full."""
        if copy.size != stored.size or not self._has_room():
            self.delete(copy)
            return
        self.drop(recording_id)
        with self._lock:
            copy.recording_id, copy.etag = recording_id, stored.etag
            copy.until = time.monotonic() + KEPT_SECONDS

    def append(self, copy: _Copy, chunk: bytes) -> bool:
        """Write to a copy. Return False if it was deleted because of a fault or a full disk."""
        before, copy.size = copy.size, copy.size + len(chunk)
        if before // _CHECKED_BYTES != copy.size // _CHECKED_BYTES and not self._has_room():
            self.delete(copy)
            return False
        try:
            if copy.file is None:
                copy.file = copy.path.open("xb")
            with self._disk.incoming(copy.file.fileno(), len(chunk)):
                copy.file.write(chunk)
        except (OSError, DiskFull) as error:
            self.delete(copy, error)
            return False
        return True

    def delete(self, copy: _Copy, error: OSError | DiskFull | None = None) -> None:
        """Delete a copy, because of the error."""
        if error is not None:
            log.warning("a local copy of a recording could not be kept: %s", error)
        with self._lock:
            self._copies.discard(copy)
        with suppress(OSError):
            if copy.file is not None:
                copy.file.close()
        with suppress(OSError):
            copy.path.unlink(missing_ok=True)

    def _new(self) -> _Copy:
        copy = _Copy(self._folder / uuid4().hex)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._lock:
            self._copies.add(copy)
        return copy

    def _find(self, recording_id: str) -> _Copy | None:
        return next((each for each in self._listed() if each.recording_id == recording_id), None)

    def _listed(self) -> list[_Copy]:
        with self._lock:
            return [*self._copies]

    def _has_room(self) -> bool:
        """Return True if the copies leave enough of the disk free."""
        used = sum(each.size for each in self._listed())
        try:
            return used <= (shutil.disk_usage(self._folder).free + used) // _DISK_PART
        except OSError:
            return False


class CopiedBody(io.RawIOBase):
    """A stream that writes the bytes that are read from it to a local copy, as long as there is room."""

    def __init__(self, body: BinaryIO, copies: LocalCopies, copy: _Copy | None) -> None:
        super().__init__()
        self._body, self._copies, self._copy = body, copies, copy

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._body.read(size)
        if self._copy is not None and not self._copies.append(self._copy, chunk):
            self._copy = None
        return chunk

    def keep(self, recording_id: str, stored: StoredObject) -> None:
        """Keep the copy for a recording, whose object in the store is this body."""
        copy, self._copy = self._copy, None
        if copy is None:
            return
        try:
            if copy.file is not None:
                copy.file.close()
        except OSError as error:
            self._copies.delete(copy, error)
        else:
            self._copies.keep(copy, recording_id, stored)

    def give_up(self) -> None:
        """Delete the copy unless it was kept."""
        copy, self._copy = self._copy, None
        if copy is not None:
            self._copies.delete(copy)
