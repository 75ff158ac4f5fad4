"""Recordings: register an object of the store, read, list, change, forget. Uploads have their own file."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from starlette.responses import Response

from clipengine.api.http.long_poll import answer_when_ended
from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, once, page_response
from clipengine.api.http.requests import (
    DeleteRecording,
    ListRecordings,
    NoBody,
    NoQuery,
    RegisterRecording,
    UpdateRecording,
    WaitQuery,
)
from clipengine.api.http.responses import RecordingObject
from clipengine.api.http.validation import check_expiry, located
from clipengine.errors import (
    InvalidBucketPath,
    ObjectMissing,
    ObjectNotFound,
    RecordingBusy,
    RecordingNotFound,
    StorageDenied,
    StorageUnavailable,
)
from clipengine.ledger.idempotency import Answer as StoredAnswer
from clipengine.stores.base import StoredObject


def register_recording(call: Call[NoQuery, RegisterRecording]) -> Response:
    body = call.body
    stored = _look_up(call, body.bucket_path)  # before the transaction: the store may be slow

    def work() -> StoredAnswer:
        recording, created = call.ledger.recordings.register(
            body.bucket_path,
            etag=stored.etag,
            size=stored.size,
            name=body.name,
            metadata=body.metadata,
            tags=body.tags,
        )
        headers = {"Location": f"/v1/recordings/{recording.recording_id}"}
        return StoredAnswer(202 if created else 200, recording.to_object(), headers)

    return once(call, work)


def _look_up(call: Call[Any, Any], bucket_path: str) -> StoredObject:
    """Return the store's entry of the object. Raise InvalidBucketPath, ObjectNotFound or a StorageError."""
    with located(pointer="/bucket_path"):
        try:
            return call.engine.store.head(bucket_path)
        except ObjectMissing:
            raise ObjectNotFound(f"The store has no object {bucket_path!r}") from None


def get_recording(call: Call[WaitQuery, NoBody]) -> Response | Awaitable[Response]:
    recording_id = call.path("recording_id")
    return answer_when_ended(call, recording_id, lambda: call.ledger.recordings.get(recording_id))


def list_recordings(call: Call[ListRecordings, NoBody]) -> Response:
    page = call.ledger.recordings.list(**call.query.model_dump())
    return page_response(call, [recording.to_object() for recording in page.data], page.next_cursor)


def update_recording(call: Call[NoQuery, UpdateRecording]) -> Response:
    recordings, body = call.ledger.recordings, call.body
    check_expiry(body.expires_at)
    changed = recordings.update(call.path("recording_id"), body.columns(), body.metadata or {})
    return json_response(changed.to_object())


def delete_recording(call: Call[DeleteRecording, NoBody]) -> Response:
    with call.ledger.transaction():
        recording = call.ledger.recordings.delete(call.path("recording_id"))
        if call.query.object == "true":
            call.ledger.removals.add(recording.bucket_path)
    return Response(status_code=204)


_RECORDING = Answer(200, "The recording.", RecordingObject)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings",
        "write",
        register_recording,
        "Register an object of the store as a recording",
        [
            Answer(202, "The recording is being read.", RecordingObject),
            Answer(200, "This object, unchanged, is a recording already.", RecordingObject),
        ],
        (ObjectNotFound, InvalidBucketPath, StorageDenied, StorageUnavailable),
        body=RegisterRecording,
        creates=True,
    ),
    Operation(
        "GET",
        "/v1/recordings",
        "read",
        list_recordings,
        "List recordings",
        [Answer(200, "One page of recordings.", RecordingObject, page=True)],
        query=ListRecordings,
    ),
    Operation(
        "GET",
        "/v1/recordings/{recording_id}",
        "read",
        get_recording,
        "Get a recording",
        [_RECORDING],
        (RecordingNotFound,),
        query=WaitQuery,
    ),
    Operation(
        "PATCH",
        "/v1/recordings/{recording_id}",
        "write",
        update_recording,
        "Change the name, the metadata, the tags or the expiry of a recording",
        [_RECORDING],
        (RecordingNotFound,),
        body=UpdateRecording,
    ),
    Operation(
        "DELETE",
        "/v1/recordings/{recording_id}",
        "write",
        delete_recording,
        "Forget a recording and its ended clips",
        [NOTHING],
        (RecordingNotFound, RecordingBusy),
        query=DeleteRecording,
    ),
]
