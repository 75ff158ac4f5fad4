"""Upload of a file in steps (tus 1.0), which continues after an interruption with the bytes that the server lacks."""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from clipengine.client.errors import ApiError, FileChanged, ServerUnreachable
from clipengine.client.exchange import TEMPORARY_STATUSES, Api, Pause, Request, Steps, exchange, retry_delay, route
from clipengine.client.files import Progress, chunks_of
from clipengine.objects.upload import UploadObject

PATIENCE_SECONDS = 300.0
_ONE_REQUEST_BYTES = 16 << 20  # what the server stores in one step
_LAST_BYTE_SECONDS = 60  # in which the store assembles the object; after it, the offset is requested
_TEMPORARY = (409, 423, *TEMPORARY_STATUSES)  # and while another request sends the same upload
_VERSION = {"Tus-Resumable": "1.0.0"}


class SourceFile:
    """A file that can seek, read from its current position to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self._start
        self._state = self._stat()
        self.is_read = False  # some of it has been sent

    def chunks(self, offset: int, on_progress: Progress | None) -> Iterator[bytes]:
        """Yield the bytes from `offset` on. `on_progress` is called after each chunk has been sent.

        Raises FileChanged if the size or the time of the file has changed.
        """
        self._file.seek(self._start + offset)
        for chunk in chunks_of(self._file, on_progress, self.size, done=offset):
            self.is_read = True
            offset += len(chunk)
            # The last chunk registers the recording, so the state is compared before it is sent.
            if offset > self.size or self._stat() != self._state:
                break
            yield chunk
            if offset == self.size:
                return
        raise FileChanged("the file changed while it was uploaded")

    def rewind(self) -> None:
        self._file.seek(self._start)

    def _stat(self) -> tuple[int, int] | None:
        with suppress(OSError, AttributeError):  # of an object in memory
            found = os.fstat(self._file.fileno())
            return found.st_size, found.st_mtime_ns
        return None


@dataclass(frozen=True)
class Upload:
    """An upload of a file, identified by its idempotency key.

    `patience` is the time without progress, in seconds, after which an upload that has begun raises the last error.
    """

    api: Api
    file: SourceFile
    filename: str
    fields: Mapping[str, Any]
    on_progress: Progress | None
    idempotency_key: str
    patience: float

    def send(self) -> Steps[str]:
        """Send the file and return the id of its recording. Raises FileChanged, ApiError and ServerUnreachable."""
        upload: UploadObject | None = None
        failures, failing_since, is_sure = 0, 0.0, True
        while True:
            try:
                found = yield from self._step(upload, is_sure)
                if found.recording_id is not None:
                    self._show(self.file.size)
                    return found.recording_id
                if upload is None or found.offset > upload.offset:
                    failures = 0
                upload, is_sure = found, True
                self._show(found.offset)
            except FileChanged:
                yield from self._abandon()
                raise
            except (ApiError, ServerUnreachable) as error:
                if not failures:
                    failing_since = time.monotonic()
                failures, is_sure = failures + 1, False
                has_begun = upload is not None or self.file.is_read
                is_over = (
                    time.monotonic() - failing_since >= self.patience if has_begun else failures >= self.api.attempts
                )
                if is_over or not _is_temporary(error):
                    raise
            if failures:
                yield Pause(retry_delay(failures))

    def _step(self, upload: UploadObject | None, is_sure: bool) -> Steps[UploadObject]:
        """Return the upload after the next request. The offset is requested first if it is not sure."""
        if upload is None:
            # After an interruption some of the bytes are stored, so it is begun without bytes then.
            with_bytes = self.file.size <= _ONE_REQUEST_BYTES and not self.file.is_read
            return (yield from self._begin(with_bytes=with_bytes))
        if is_sure and upload.offset < self.file.size:
            return (yield from self._append(upload))
        request = Request("GET", _path(upload), headers=_VERSION, extra_time=_LAST_BYTE_SECONDS)
        return UploadObject.from_object((yield from self.api.call(request)))

    def _begin(self, *, with_bytes: bool) -> Steps[UploadObject]:
        """Begin the upload, or return the upload that this idempotency key has begun."""
        metadata = {"filename": self.filename, **({"recording": json.dumps(self.fields)} if self.fields else {})}
        headers = {
            **_VERSION,
            "Idempotency-Key": self.idempotency_key,
            "Upload-Length": str(self.file.size),
            "Upload-Metadata": ",".join(f"{name} {_encoded(value)}" for name, value in metadata.items()),
        }
        request = Request("POST", "/v1/uploads", headers=headers)
        begun = yield from self.api.call(self._with_bytes(request, 0) if with_bytes else request)
        return UploadObject.from_object(begun)

    def _append(self, upload: UploadObject) -> Steps[UploadObject]:
        request = Request("PATCH", _path(upload), headers={**_VERSION, "Upload-Offset": str(upload.offset)})
        reply = yield from exchange(self._with_bytes(request, upload.offset), 1)
        return replace(upload, offset=self.file.size, recording_id=reply.headers.get("upload-recording"))

    def _with_bytes(self, request: Request, offset: int) -> Request:
        """Return the request with the file from `offset` on as its body."""
        length = {"Content-Type": "application/offset+octet-stream", "Content-Length": str(self.file.size - offset)}
        content = self.file.chunks(offset, self.on_progress)
        return replace(request, headers={**request.headers, **length}, content=content, extra_time=_LAST_BYTE_SECONDS)

    def _abandon(self) -> Steps[None]:
        """Delete the upload. If that fails, the server does it later."""
        with suppress(ApiError, ServerUnreachable):
            upload = yield from self._begin(with_bytes=False)
            for count in range(self.api.attempts):
                try:
                    yield from self.api.send("DELETE", _path(upload), headers=_VERSION)
                except ApiError as error:  # the interrupted request has not ended yet
                    if not _is_temporary(error):
                        raise
                else:
                    return
                yield Pause(retry_delay(count + 1))

    def _show(self, offset: int) -> None:
        if self.on_progress:
            self.on_progress(offset, self.file.size)


def _path(upload: UploadObject) -> str:
    return route("uploads", upload.upload_id)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _is_temporary(error: ApiError | ServerUnreachable) -> bool:
    return error.status in _TEMPORARY if isinstance(error, ApiError) else error.retryable
