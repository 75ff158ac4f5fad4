"""Upload of a file, which a new start of the command continues with the idempotency key of the unfinished upload.

A key belongs to a file at a path, with its options, on one server and with one API key. Commands that run at the same
time share it: the server lets one of them send, and all return the same recording.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from clipengine.cli import output
from clipengine.client import ApiError, Client, ClientError, FileChanged, Recording
from clipengine.client.recordings import RecordingFields

_COMPARED_BYTES = 1 << 20  # at each end of the file
_KEPT_SECONDS = 30 * 86400
_MAX_ENTRY_BYTES = 4096


def upload_file(client: Client, path: Path, fields: RecordingFields) -> Recording:
    """Upload a file with a progress bar and return its recording. Continue the upload of an earlier start."""
    unfinished = _unfinished(path, fields)
    sent = 0

    def send() -> Recording:
        key = None if unfinished is None else unfinished.key
        return client.recordings.upload(path, on_progress=moved, idempotency_key=key, **fields)

    def moved(done: int, total: int | None) -> None:
        nonlocal sent
        sent = done
        show(done, total)

    with output.transfer("uploading") as show:
        try:
            recording = _repeated_if_gone(send, unfinished)
        except (ClientError, KeyboardInterrupt) as error:
            if unfinished is not None and sent and not _is_final(error):
                output.say("The upload is not complete. Run the same command again to continue it.")
            raise
    if unfinished is not None:
        unfinished.forget()
    return recording


def _is_final(error: BaseException) -> bool:
    """Return True if the same upload would fail again."""
    return isinstance(error, FileChanged) or (isinstance(error, ApiError) and 400 <= error.status <= 422)


def _repeated_if_gone(send: Callable[[], Recording], unfinished: UnfinishedUpload | None) -> Recording:
    """Upload again if the upload has expired, or if its recording was deleted since."""
    try:
        return send()
    except ApiError as error:
        if unfinished is None or error.code not in ("upload_not_found", "recording_not_found"):
            raise
        unfinished.renew()
        return send()


def _unfinished(path: Path, fields: RecordingFields) -> UnfinishedUpload | None:
    """Return the record of the upload of a regular file, or None if none can be kept."""
    if not path.is_file():
        return None
    options = click.get_current_context().params
    place = {"server": options["server"].rstrip("/"), "api_key": options["api_key"], "fields": fields}
    try:
        return UnfinishedUpload(state_folder(), path, place)
    except (OSError, RuntimeError) as error:  # without a home folder
        output.warn(f"an interrupted upload will not be continued by a new start: {error}")
        return None


class UnfinishedUpload:
    """The `key` of an upload, kept in a folder until the upload has ended.

    `place` names everything that belongs to the key, except for the file's content. If that changes, so does the key.
    """

    def __init__(self, folder: Path, path: Path, place: Mapping[str, Any]) -> None:
        self._folder = folder
        name = json.dumps([str(path.resolve()), place], sort_keys=True)
        self._entry = folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
        self._file = _identity(path)
        self.key = ""
        self.renew()

    def renew(self) -> None:
        """Replace the key, unless another command has replaced it already."""
        with self._locked():
            kept = _read(self._entry)
            key = kept.get("key")
            if not isinstance(key, str) or key == self.key or kept.get("file") != self._file:
                key = str(uuid.uuid4())
                part = self._entry.with_suffix(".part")
                part.write_text(json.dumps({"key": key, "file": self._file}))
                part.replace(self._entry)
            self.key = key

    def forget(self) -> None:
        """Delete the key, unless another command has replaced it."""
        with self._locked():
            if _read(self._entry).get("key") == self.key:
                self._entry.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder against other commands for a moment, and delete keys that are too old."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            oldest = time.time() - _KEPT_SECONDS
            for entry in self._folder.glob("*.json"):
                if entry.stat().st_mtime < oldest:
                    entry.unlink()
            yield


def state_folder() -> Path:
    """Return the folder of the user in which unfinished uploads are kept."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "clipengine" / "uploads"


def _identity(path: Path) -> list[Any]:
    """Return the size, the time and the checksum of the first and the last MiB of a file."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_COMPARED_BYTES))
        file.seek(max(0, found.st_size - _COMPARED_BYTES))
        digest.update(file.read(_COMPARED_BYTES))
    return [found.st_size, found.st_mtime_ns, digest.hexdigest()]


def _read(entry: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        with entry.open("rb") as file:
            kept = json.loads(file.read(_MAX_ENTRY_BYTES))
        return kept if isinstance(kept, dict) else {}
    return {}
