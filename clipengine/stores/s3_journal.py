"""Which multipart uploads are open: written down before the first byte is sent, so that none outlives its process.

S3 keeps the parts of an upload that nobody completes or aborts, unseen and paid for, and buckets do not reliably clean
up by themselves. An entry is a claimed file of two lines: the bucket and the object's name, then the upload id. Where
a process died between the store's answer and the second line, the name is enough to find the upload.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipengine.errors import ObjectMissing, StorageUnavailable
from clipengine.stores.claims import Claim, claim, take_over
from clipengine.stores.durable import sync_folder
from clipengine.stores.folder_faults import folder_faults


@dataclass
class OpenUpload:
    """One upload. `settle` when the store holds nothing of it that is not visible.

    `search` says that there may be another one of the same name, whose id nobody was told.
    """

    name: str
    upload_id: str | None
    claim: Claim
    search: bool = False

    def started(self, upload_id: str) -> None:
        with folder_faults("the journal of uploads"):
            self.upload_id = upload_id
            _append(self.claim.fd, {"upload_id": upload_id})

    def settle(self) -> None:
        self.claim.keep = self.search
        if self.search:
            _append(self.claim.fd, {"upload_id": ""})


class UploadJournal:
    """The entries of one bucket in a folder that journals of other buckets may share."""

    def __init__(self, folder: Path, *, endpoint: str, bucket: str) -> None:
        self._folder = folder
        self._place = {"endpoint": endpoint, "bucket": bucket}

    @contextmanager
    def record(self, name: str) -> Iterator[OpenUpload]:
        """An entry, on the disk before the block runs; it stays unless the upload was settled."""
        with ExitStack() as stack:
            with _faults():
                claimed = stack.enter_context(claim(self._folder))
                _append(claimed.fd, {**self._place, "name": name})
                sync_folder(self._folder)
            claimed.keep = True
            yield OpenUpload(name, None, claimed)

    def left_behind(self) -> Iterator[OpenUpload]:
        """The uploads whose process is gone, or gave up on aborting them."""
        for path in sorted(self._folder.glob("*")):
            with take_over(path) as claimed:
                if claimed is None:
                    continue
                lines = _read(path)
                if not lines:
                    claimed.keep = False  # died before the upload was asked for
                elif {key: lines[0].get(key) for key in self._place} == self._place:
                    yield OpenUpload(lines[0]["name"], lines[-1].get("upload_id"), claimed)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        with folder_faults("the journal of uploads"):
            yield
    except ObjectMissing as error:
        raise StorageUnavailable(
            "the data folder, where uploads are noted, was moved away",
            hint="Put it back where it was: it goes on by itself.",
        ) from error


def _append(fd: int, line: dict[str, str]) -> None:
    os.write(fd, json.dumps(line).encode() + b"\n")
    os.fsync(fd)


def _read(path: Path) -> list[dict[str, str]]:
    """The whole lines: one that a crash cut short is as good as none."""
    lines = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines
