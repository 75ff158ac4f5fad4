"""Journal of open multipart uploads, so that uploads of a killed process can be aborted.

S3 keeps the parts of an upload that is neither completed nor aborted; they are invisible but paid for, and buckets do
not reliably expire them. An entry is a locked file with two lines: bucket and object name, written before the upload is
created, and the upload id. If the process died before the second line, the upload is found by its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipengine.basis.fsync import fsync
from clipengine.errors import ObjectMissing, StorageUnavailable
from clipengine.stores.locked_files import LockedFile, create_locked, lock_abandoned
from clipengine.stores.os_errors import translate_os_errors


@dataclass
class OpenUpload:
    """Journal entry of one upload. `search` is set if another upload of this name may exist whose id was lost."""

    name: str
    upload_id: str | None
    file: LockedFile
    search: bool = False

    def lost(self) -> None:
        """Record that the upload may exist although its id is lost."""
        self.search = True

    def started(self, upload_id: str) -> None:
        """Record the upload id."""
        with translate_os_errors("the upload journal"):
            self.upload_id = upload_id
            _append(self.file.fd, {"upload_id": upload_id})

    def close(self) -> None:
        """Delete the entry once the upload is complete or aborted; keep it for a search by name if `search` is set."""
        self.file.keep = self.search
        if self.search:
            _append(self.file.fd, {"upload_id": ""})


class UploadJournal:
    """The entries of one bucket, in a folder that the journals of several buckets may share."""

    def __init__(self, folder: Path, *, endpoint: str, bucket: str) -> None:
        self._folder = folder
        self._bucket = {"endpoint": endpoint, "bucket": bucket}

    @contextmanager
    def record(self, name: str) -> Iterator[OpenUpload]:
        """Write an entry durably before the block runs. It remains unless the upload is closed in the block."""
        with ExitStack() as stack:
            with _journal_errors():
                file = stack.enter_context(create_locked(self._folder))
                _append(file.fd, {**self._bucket, "name": name})
                fsync(self._folder)
            file.keep = True
            yield OpenUpload(name, None, file)

    def abandoned(self) -> Iterator[OpenUpload]:
        """Yield the uploads whose process has ended or could not abort them."""
        for path in sorted(self._folder.glob("*")):
            with lock_abandoned(path) as file:
                if file is None:
                    continue
                lines = _read(path)
                if not lines:
                    file.keep = False  # the process died before it created the upload
                elif {key: lines[0].get(key) for key in self._bucket} == self._bucket:
                    yield OpenUpload(lines[0]["name"], lines[-1].get("upload_id"), file)


@contextmanager
def _journal_errors() -> Iterator[None]:
    try:
        with translate_os_errors("the upload journal"):
            yield
    except ObjectMissing as error:
        raise StorageUnavailable(
            "the data folder, which holds the upload journal, is missing",
            hint="Put it back where it was; work then resumes on its own.",
        ) from error


def _append(fd: int, line: dict[str, str]) -> None:
    os.write(fd, json.dumps(line).encode() + b"\n")
    os.fsync(fd)


def _read(path: Path) -> list[dict[str, str]]:
    """Return the complete lines. A last line that a crash cut short is ignored."""
    lines = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines
