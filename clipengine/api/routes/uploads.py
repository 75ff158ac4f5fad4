"""Uploads: a request's body streamed into the store, then registered like any other object.

An upload that ends early (client, limit, disk, server) leaves no object and no row. `resumable_uploads` are others.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

from starlette.responses import Response

from clipengine.api.http.body_pipe import BodyPipe, feed
from clipengine.api.http.operation import Answer, Call, Operation, json_response, written
from clipengine.api.http.requests.fields import NoBody
from clipengine.api.http.requests.recordings import UploadRecording
from clipengine.api.http.upload_slots import Slot, UploadSlots
from clipengine.api.http.validation import declared_length
from clipengine.basis.ids import new_id
from clipengine.errors import (
    Busy,
    ClipEngineError,
    DiskFull,
    PayloadTooLarge,
    StorageUnavailable,
)
from clipengine.objects.recording import RecordingObject
from clipengine.recordings.discovery import upload_key
from clipengine.recordings.media_types import media_type
from clipengine.recordings.recording import RecordingSpec
from clipengine.stores.base import StoredObject

T = TypeVar("T")

log = logging.getLogger(__name__)


def operations(slots: UploadSlots) -> list[Operation]:
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
            audit="recording.create",
        )
    ]


async def upload_recording(slots: UploadSlots, call: Call[UploadRecording, NoBody]) -> Response:
    limit = call.engine.settings.limits.max_upload_bytes
    if declared_length(call.request) > limit:
        raise PayloadTooLarge(f"The upload is larger than {limit} bytes", hint=f"Send at most {limit} bytes.")
    recording_id = new_id("rec")
    key = upload_key(recording_id, call.query.name)
    with slots.taken(call.request.scope, "uploads") as slot:
        call.engine.admit()
        # A declared length lets the store cut the upload into parts of the right size.
        stored = await _store(slot, call, key, recording_id, limit=declared_length(call.request) or limit)

    def register() -> Response:
        recording, _ = call.ledger.recordings.register(
            key,
            RecordingSpec(name=call.query.name, created_by=call.caller.id),
            etag=stored.etag,
            size=stored.size,
            recording_id=recording_id,
        )
        location = {"Location": f"/v1/recordings/{recording.recording_id}"}
        return json_response(RecordingObject.of(recording).to_object(), 202, location)

    def forget() -> None:
        call.engine.previews.copies.drop(recording_id)
        try:
            call.ledger.removals.add(key)  # kept if the recording was registered nevertheless
        except ClipEngineError as error:
            log.warning("the object %s of a failed upload stays in the store: %s", key, error.message)

    try:
        return await call.in_session(lambda: written(call, register))
    except Exception:
        await call.in_thread(forget)
        raise


async def _store(
    slot: Slot, call: Call[UploadRecording, NoBody], key: str, recording_id: str, *, limit: int
) -> StoredObject:
    pipe = BodyPipe()

    def put() -> StoredObject:
        with call.engine.previews.copies.copied(io.BufferedReader(pipe, 1024 * 1024)) as body:
            stored = call.engine.store.put_stream(key, cast(BinaryIO, body), content_type=media_type(key), limit=limit)
            body.keep(recording_id, stored)
            return stored

    return await received(slot, call, pipe, put)


async def received(slot: Slot, call: Call[Any, NoBody], pipe: BodyPipe, store: Callable[[], T]) -> T:
    """Return the result of `store`, which runs in the thread of the slot and reads the request's body from the pipe."""
    stopping = StorageUnavailable("The server is stopping", hint=f"Wait until it is back. {pipe.hint}")
    feeding = asyncio.create_task(feed(call.request, pipe, call.check_rights, slot.least_pace))
    try:
        with call.changes.closing(lambda: pipe.fail(stopping)):
            return await slot.run(store)
    finally:
        feeding.cancel()
