"""The part of a recording that was fetched so far, in the data folder, so that a fetch continues after a crash.

A state file says how many bytes of the part are on the disk for certain, and of which version of the resource. It is
replaced only after the bytes were synced: bytes after that may be lost in a power failure, and are fetched again.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.basis.fsync import fsync
from clipengine.stores.os_errors import translate_os_errors

_STATE_SUFFIX, _PART_SUFFIX = ".json", ".part"


@dataclass(frozen=True)
class _State:
    received: NonNegativeInt
    total: NonNegativeInt  # 0 if it is unknown
    validator: str  # ETag or Last-Modified; "" if the resource has neither


class PartialFile:
    """The part of one recording. Raises DiskFull and StorageUnavailable."""

    def __init__(self, folder: Path, recording_id: str, *, disk: DiskSpace = UNLIMITED) -> None:
        self._disk = disk
        self._folder = folder
        self._name = recording_id
        self.path = folder / f"{recording_id}{_PART_SUFFIX}"
        self._state_file = folder / f"{recording_id}{_STATE_SUFFIX}"
        with translate_os_errors(self._name):
            folder.mkdir(mode=0o700, exist_ok=True)
            state = self._read_state()
            self._file: BinaryIO = open(self.path, "r+b" if self.path.exists() else "w+b")  # noqa: SIM115
            if self._file.seek(0, os.SEEK_END) < state.received:
                state = _State(0, 0, "")
            self._file.truncate(state.received)
            self._file.seek(state.received)
        self.received, self.total, self.validator = state.received, state.total, state.validator

    def restart(self, *, total: int, validator: str) -> None:
        """Begin again, with another version of the resource."""
        with translate_os_errors(self._name):
            self._state_file.unlink(missing_ok=True)  # first: it must not describe the new bytes
            fsync(self._folder)
            self._file.seek(0)
            self._file.truncate()
        self.received, self.total, self.validator = 0, total, validator

    def is_deleted(self) -> bool:
        """Return True if the file was deleted while it is open."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def append(self, chunk: bytes) -> None:
        with self._disk.incoming(self._file.fileno(), len(chunk)), translate_os_errors(self._name):
            self._file.write(chunk)
        self.received += len(chunk)

    def sync(self) -> None:
        """Make the received bytes durable."""
        with translate_os_errors(self._name):
            self._file.flush()
            os.fsync(self._file.fileno())
            draft = self._state_file.with_suffix(".new")
            with draft.open("w") as file:
                json.dump({"received": self.received, "total": self.total, "validator": self.validator}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._state_file)
            fsync(self._folder)

    def reader(self) -> BinaryIO:
        """Return the file, at its start."""
        with translate_os_errors(self._name):
            self._file.flush()
            self._file.seek(0)
        return self._file

    def close(self) -> None:
        with translate_os_errors(self._name):
            self._file.close()

    def _read_state(self) -> _State:
        """Return the state of the part, or of an empty part if the state is missing or damaged."""
        try:
            return TypeAdapter(_State).validate_json(self._state_file.read_bytes(), strict=True)
        except (FileNotFoundError, ValidationError):
            return _State(0, 0, "")


def recordings_with_parts(folder: Path) -> set[str]:
    """Return the ids of the recordings of which `folder` has a part."""
    return {path.name.partition(".")[0] for path in folder.iterdir()} if folder.exists() else set()


def delete_part(folder: Path, recording_id: str) -> None:
    for suffix in (_STATE_SUFFIX, _PART_SUFFIX, ".new"):
        (folder / f"{recording_id}{suffix}").unlink(missing_ok=True)
