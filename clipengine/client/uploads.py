"""Upload of a file in steps (tus 1.0), which continues after an interruption with the bytes that the server lacks."""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from clipengine.client.errors import ApiError, FileChanged, ServerUnreachable
from clipengine.client.exchange import TEMPORARY_STATUSES, Api, Pause, Request, Steps, exchange, retry_delay, route
from clipengine.client.files import Progress, chunks_of
from clipengine.objects.upload import UploadObject, UploadPart, UploadParts

PATIENCE_SECONDS = 300.0
_ONE_REQUEST_BYTES = 16 << 20  # what the server stores in one step
_LAST_BYTE_SECONDS = 60  # in which the store assembles the object; after it, the offset is requested
_TEMPORARY = (409, 423, *TEMPORARY_STATUSES)  # and while another request sends the same upload
_AGAIN = "Call this again later, with the same idempotency key."
_LINKS = 16  # of one request: slow connections send these parts before the links expire
_PART_ATTEMPTS = 3
_VERSION = {"Tus-Resumable": "1.0.0"}


class _PartRefused(Exception):
    """The store does not take a part, such as because it cannot be reached from here."""


class SourceFile:
    """A file that can seek, read from its current position to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self._start
        self._state = self._stat()
        self.is_read = False  # some of it has been sent

    def chunks(self, offset: int, end: int, on_progress: Progress | None) -> Iterator[bytes]:
        """Yield the bytes from `offset` to `end`. `on_progress` is called after each chunk has been sent.

        Raises FileChanged if the size or the time of the file has changed.
        """
        self._file.seek(self._start + offset)
        for chunk in chunks_of(self._file, on_progress, self.size, done=offset):
            self.is_read = True
            offset += len(chunk)
            # The last chunk registers the recording, so the state is compared before it is sent.
            if offset > self.size or self._stat() != self._state:
                break
            yield chunk[: len(chunk) - max(0, offset - end)]
            if offset >= end:
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
        failures, failing_since, is_sure, is_direct = 0, 0.0, True, True
        while True:
            try:
                found = yield from self._step(upload, is_sure, is_direct)
                if found.recording_id is not None:
                    self._show(self.file.size)
                    return found.recording_id
                if upload is None or found.offset > upload.offset:
                    failures = 0
                upload, is_sure = found, True
                self._show(found.offset)
            except _PartRefused:
                is_sure = is_direct = False
            except FileChanged:
                yield from self._abandon()
                raise
            except (ApiError, ServerUnreachable) as error:
                if not failures:
                    failing_since = time.monotonic()
                failures, is_sure, is_direct = failures + 1, False, True
                has_begun = upload is not None or self.file.is_read
                is_over = (
                    time.monotonic() - failing_since >= self.patience if has_begun else failures >= self.api.attempts
                )
                if is_over or not _is_temporary(error):
                    raise
            if failures:
                yield Pause(retry_delay(failures))

    def _step(self, upload: UploadObject | None, is_sure: bool, is_direct: bool) -> Steps[UploadObject]:
        """Return the upload after the next requests. The offset is requested first if it is not sure."""
        if upload is None:
            # After an interruption some of the bytes are stored, so it is begun without bytes then.
            with_bytes = self.file.size <= _ONE_REQUEST_BYTES and not self.file.is_read
            return (yield from self._begin(with_bytes=with_bytes))
        if is_sure and upload.offset < self.file.size:
            if upload.part_bytes and is_direct:
                yield from self._send_parts(upload, upload.part_bytes)
            else:
                return (yield from self._append(upload))
        request = Request("GET", _path(upload), headers=_VERSION, extra_time=_LAST_BYTE_SECONDS)
        found = UploadObject.from_object((yield from self.api.call(request)))
        if found.recording_id is None and found.offset >= self.file.size:  # another request registers it
            raise ApiError(409, "upload_assembling", "The store still assembles the upload", _AGAIN)
        return found

    def _send_parts(self, upload: UploadObject, part_bytes: int) -> Steps[None]:
        """Send the next missing parts to the store. Raises _PartRefused if it does not take one."""
        first = upload.offset // part_bytes + 1
        last = min(first + _LINKS - 1, -(-self.file.size // part_bytes))
        for part in (yield from self._links(upload, range(first, last + 1))):
            for failures in range(1, _PART_ATTEMPTS + 1):
                try:
                    yield from self._put(part, (part.number - 1) * part_bytes)
                    break
                except (ApiError, ServerUnreachable) as error:
                    if failures == _PART_ATTEMPTS:
                        raise _PartRefused from error
                yield Pause(retry_delay(failures))
                # The response may have been lost, and the link may have expired.
                (part,) = yield from self._links(upload, [part.number])

    def _links(self, upload: UploadObject, numbers: Sequence[int]) -> Steps[list[UploadPart]]:
        path, body = route("uploads", upload.upload_id, "parts"), {"numbers": [*numbers]}
        return UploadParts.from_object((yield from self.api.send("POST", path, json=body, headers=_VERSION))).data

    def _put(self, part: UploadPart, offset: int) -> Steps[None]:
        """Send a part, unless the store has it."""
        end = offset + part.size_bytes
        if part.url:
            content = self.file.chunks(offset, end, self.on_progress)
            length = {"Content-Length": str(part.size_bytes)}
            request = Request("PUT", part.url, headers=length, content=content, to_store=True)
            yield from exchange(replace(request, extra_time=_LAST_BYTE_SECONDS), 1)
        self._show(end)

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
        begun = yield from self.api.call(self._with_bytes(request, 0, self.file.size) if with_bytes else request)
        return UploadObject.from_object(begun)

    def _append(self, upload: UploadObject) -> Steps[UploadObject]:
        """Append the rest, or, if the store may have later parts, the first one that is missing."""
        offset, end = upload.offset, self.file.size
        if upload.part_bytes:
            end = min(end, (offset // upload.part_bytes + 1) * upload.part_bytes)
        request = Request("PATCH", _path(upload), headers={**_VERSION, "Upload-Offset": str(offset)})
        reply = yield from exchange(self._with_bytes(request, offset, end), 1)
        reached = int(reply.headers.get("upload-offset", end)) if upload.part_bytes else end
        return replace(upload, offset=reached, recording_id=reply.headers.get("upload-recording"))

    def _with_bytes(self, request: Request, offset: int, end: int) -> Request:
        """Return the request with a range of the file as its body."""
        length = {"Content-Type": "application/offset+octet-stream", "Content-Length": str(end - offset)}
        content = self.file.chunks(offset, end, self.on_progress)
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
