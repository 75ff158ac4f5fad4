"""Uploads: a request's body streamed into the store, then registered like any other object.

The body goes through a bounded pipe from the event loop to a worker thread: never whole in memory, and a slow store
slows the client. An upload that ends early (client, limit, disk, server) leaves no object and no row.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections import deque
from functools import partial
from typing import BinaryIO, cast

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.fields import NoBody
from clipengine.api.http.requests.recordings import UploadRecording
from clipengine.api.http.validation import declared_length
from clipengine.errors import (
    Busy,
    ClipEngineError,
    DiskFull,
    Internal,
    MalformedRequest,
    PayloadTooLarge,
    StorageUnavailable,
)
from clipengine.ids import new_id
from clipengine.objects.recording import RecordingObject
from clipengine.pace import Pace
from clipengine.recordings.discovery import upload_key
from clipengine.recordings.media_types import media_type
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.stores.base import StoredObject

MAX_UPLOADS = 16  # each occupies a thread while its client sends
STALL_SECONDS = 60
_PIPE_BYTES = 4 * 1024 * 1024

log = logging.getLogger(__name__)


class BodyPipe(io.RawIOBase):
    """Written by a coroutine, read as a blocking stream by a thread; holds at most `capacity` bytes or one chunk."""

    def __init__(self, capacity: int = _PIPE_BYTES) -> None:
        super().__init__()
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._filled = threading.Condition()
        self._chunks: deque[memoryview] = deque()
        self._held = 0
        self._finished = False
        self._error: ClipEngineError | None = None

    async def send(self, chunk: bytes) -> None:
        """Append a chunk, waiting while the pipe is full."""
        while self._held >= self._capacity:
            self._room.clear()
            if self._held >= self._capacity:  # the reader may have consumed data meanwhile
                await self._room.wait()
        if chunk:
            with self._filled:
                self._chunks.append(memoryview(chunk))
                self._held += len(chunk)
                self._filled.notify()

    def finish(self) -> None:
        """Mark the body as complete."""
        with self._filled:
            self._finished = True
            self._filled.notify()

    def fail(self, error: ClipEngineError) -> None:
        """Mark the body as incomplete; the next read raises this error."""
        with self._filled:
            self._error = self._error or error
            self._filled.notify()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._filled:
            while not (self._chunks or self._finished or self._error):
                self._filled.wait()
            if self._error:
                raise self._error
            if not self._chunks:
                return 0
            chunk = self._chunks.popleft()
            count = min(len(buffer), len(chunk))
            buffer[:count] = chunk[:count]
            if count < len(chunk):
                self._chunks.appendleft(chunk[count:])
            self._held -= count
        self._loop.call_soon_threadsafe(self._room.set)
        return count


def operations() -> list[Operation]:
    slots = anyio.CapacityLimiter(MAX_UPLOADS)
    return [
        Operation(
            "PUT",
            "/v1/recordings/upload",
            "write",
            partial(upload_recording, slots),
            "Upload a recording",
            [Answer(202, "The object is in the store; the recording is being read.", RecordingObject)],
            (PayloadTooLarge, StorageUnavailable, DiskFull, Busy),
            query=UploadRecording,
            uploads=["application/octet-stream"],
        )
    ]


async def upload_recording(slots: anyio.CapacityLimiter, call: Call[UploadRecording, NoBody]) -> Response:
    limit = call.engine.settings.limits.max_upload_bytes
    if declared_length(call.request) > limit:
        raise PayloadTooLarge(f"The upload is larger than {limit} bytes", hint=f"Send at most {limit} bytes.")
    if slots.available_tokens < 1:
        raise Busy(f"{MAX_UPLOADS} uploads are under way", retry_after=10)
    call.engine.admit()
    recording_id = new_id("rec")
    key = upload_key(recording_id, call.query.name)
    # A declared length lets the store cut the upload into parts of the right size.
    stored = await _store(slots, call, key, recording_id, limit=declared_length(call.request) or limit)

    def register() -> Recording:
        try:
            recording, _ = call.ledger.recordings.register(
                key,
                RecordingSpec(name=call.query.name),
                etag=stored.etag,
                size=stored.size,
                recording_id=recording_id,
            )
        except ClipEngineError:
            call.engine.store.delete(key)
            call.engine.previews.copies.drop(recording_id)
            raise
        return recording

    recording = await call.in_session(register)
    location = {"Location": f"/v1/recordings/{recording.recording_id}"}
    return json_response(RecordingObject.of(recording).to_object(), 202, location)


async def _store(
    slots: anyio.CapacityLimiter, call: Call[UploadRecording, NoBody], key: str, recording_id: str, *, limit: int
) -> StoredObject:
    pipe = BodyPipe()
    stopping = StorageUnavailable("The server is stopping", hint="Send the upload again when it is back.")
    feeding = asyncio.create_task(_feed(call.request, pipe))

    def put() -> StoredObject:
        with call.engine.previews.copies.copied(io.BufferedReader(pipe, 1024 * 1024)) as body:
            stored = call.engine.store.put_stream(key, cast(BinaryIO, body), content_type=media_type(key), limit=limit)
            body.keep(recording_id, stored)
            return stored

    try:
        with call.changes.closing(lambda: pipe.fail(stopping)):
            return await anyio.to_thread.run_sync(put, limiter=slots)
    finally:
        feeding.cancel()


async def _feed(request: Request, pipe: BodyPipe) -> None:
    """Copy the body into the pipe. Never raises: an error is passed to the reader, which raises it."""
    loop = asyncio.get_running_loop()
    chunks = request.stream()
    pace, received = Pace(STALL_SECONDS), 0
    try:
        while True:
            asked = loop.time()
            async with asyncio.timeout(pace.left()):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            received += len(chunk)
            pace.add(waited=loop.time() - asked, received=len(chunk))
            await pipe.send(chunk)
    except TimeoutError:
        pipe.fail(MalformedRequest("The upload came too slowly, or not at all", hint="Send the upload again."))
    except ClientDisconnect:
        pipe.fail(MalformedRequest("The client ended the connection before the upload was whole"))
    except Exception as error:  # otherwise the reader would wait forever
        log.exception("an upload failed")
        pipe.fail(Internal(f"The upload failed: {type(error).__name__}"))
    else:
        if not received:
            pipe.fail(MalformedRequest("The upload is empty", hint="Send the recording's bytes as the body."))
        pipe.finish()
