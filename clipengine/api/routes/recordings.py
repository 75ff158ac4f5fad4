"""Recordings: register an object of the store, read, list, change, forget. Uploads have their own file."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from clipengine.api.http.access import Object, may, require
from clipengine.api.http.long_poll import answer_when_ended
from clipengine.api.http.operation import (
    NOTHING,
    Answer,
    Call,
    Operation,
    json_response,
    list_filters,
    once,
    page_response,
    written,
)
from clipengine.api.http.ports import Engine
from clipengine.api.http.requests.fields import NoBody, NoQuery, WaitQuery
from clipengine.api.http.requests.recordings import (
    DeleteRecording,
    ListPieces,
    ListRecordings,
    RegisterRecording,
    UpdateRecording,
)
from clipengine.clips.request import check_expiry
from clipengine.errors import (
    DiskLow,
    InvalidBucketPath,
    InvalidRecordingUrl,
    InvalidRequest,
    InvalidWebhookUrl,
    ObjectMissing,
    ObjectNotFound,
    PatternInvalid,
    RecordingBusy,
    RecordingNotFound,
    StorageDenied,
    StorageUnavailable,
    located,
)
from clipengine.ingest.jibri import described
from clipengine.ledger.recordings.fetches import Origin
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.recording import ListedPiecesObject, RecordingObject
from clipengine.outbound.address import worded
from clipengine.outbound.download import parse_source
from clipengine.outbound.webhook_addresses import check_address
from clipengine.recordings.discovery import clean_name, file_name, id_of_upload
from clipengine.recordings.file_name_pattern import FolderSource, is_time_zone
from clipengine.recordings.media_types import without_ending
from clipengine.recordings.pieces import MICROSECONDS
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.settings.settings import Settings
from clipengine.stores.base import StoredObject
from clipengine.stores.folders import compiled, lacks_files
from clipengine.stores.keys import check_key
from clipengine.work.recording_files import recognise

_NO_FILES_HINT = "Check folder, pattern, camera and day; a rule of the settings registers a camera when it has a file."


def register_recording(call: Call[NoQuery, RegisterRecording]) -> Response:
    body = call.body
    if body.url is not None:
        return _fetch(call, body.url)
    if body.folder is not None:
        return _register_folder(call, body.folder)
    assert body.bucket_path is not None
    stored = _look_up(call, body.bucket_path)  # before the transaction: the store may be slow
    recognise(call.engine.store, call.ledger.recordings, stored)
    name, metadata = described(call.engine.store, stored.key, body.name, body.metadata)

    def work() -> StoredAnswer:
        recording, created = call.ledger.recordings.register(
            stored.key,
            replace(body.spec(), name=name, metadata=metadata, created_by=call.caller.id),
            etag=stored.etag,
            size=stored.size,
        )
        headers = {"Location": f"/v1/recordings/{recording.recording_id}"}
        return StoredAnswer(202 if created else 200, RecordingObject.of(recording).to_object(), headers)

    return once(call, work)


def _register_folder(call: Call[NoQuery, RegisterRecording], folder: str) -> Response:
    """Register the files of a camera as a recording."""
    body, source = call.body, folder_source(call.body, folder)
    with located(pointer="/folder"):
        if lacks_files(call.engine.store, source):
            raise ObjectNotFound(f"The store has no object like {source.shown!r}", hint=_NO_FILES_HINT)

    def work() -> StoredAnswer:
        recording, created = call.ledger.recordings.register_folder(
            source, replace(body.spec(), created_by=call.caller.id)
        )
        headers = {"Location": f"/v1/recordings/{recording.recording_id}"}
        return StoredAnswer(202 if created else 200, RecordingObject.of(recording).to_object(), headers)

    return once(call, work)


def folder_source(body: RegisterRecording, folder: str) -> FolderSource:
    """Return the files that a body names. Raises InvalidBucketPath or PatternInvalid."""
    folder = f"{folder.rstrip('/')}/" if folder.strip("/") else folder.strip("/")
    with located(pointer="/folder"):
        if folder:
            check_key(folder.rstrip("/"))
    with located(pointer="/timezone"):
        if not is_time_zone(body.timezone):
            raise InvalidRequest(f"timezone {body.timezone!r} is not known", hint="Give a name such as Europe/Berlin.")
    source = FolderSource(folder, body.pattern or "", body.timezone, body.camera, body.day)
    with located(pointer="/pattern"):
        if "{camera}" in source.pattern and source.camera is None:
            raise PatternInvalid("the pattern has {camera}: give the camera")
        compiled(source)
    return source


def _fetch(call: Call[NoQuery, RegisterRecording], url: str) -> Response:
    """Register a recording that is fetched from a URL."""
    body = call.body
    check_source(call.engine.settings, url)  # before the transaction: name servers may be slow

    def work() -> StoredAnswer:
        recording, _ = fetch_recording(
            call.engine,
            Origin(url),
            replace(body.spec(), created_by=call.caller.id),
            checked=True,
        )
        headers = {"Location": f"/v1/recordings/{recording.recording_id}"}
        return StoredAnswer(202, RecordingObject.of(recording).to_object(), headers)

    return once(call, work)


def check_source(settings: Settings, url: str) -> None:
    """Raise InvalidRecordingUrl if the address rules refuse the URL of a recording. Each request checks again."""
    try:
        check_address(parse_source(url), settings, pointer="/url", look_up=True)
    except InvalidWebhookUrl as error:
        message = worded(error)
        raise InvalidRecordingUrl(message, errors=[{"detail": message, "pointer": "/url"}]) from None


def fetch_recording(
    engine: Engine,
    origin: Origin,
    spec: RecordingSpec,
    *,
    file: str = "",
    source_id: str | None = None,
    checked: bool = False,
) -> tuple[Recording, bool]:
    """Create a recording that is fetched from a URL. Return it, and True if it is new, see `Fetches.add`.

    Raises InvalidRecordingUrl, unless the URL was `checked`, and DiskLow.
    """
    if not checked:
        check_source(engine.settings, origin.url)
    engine.admit()
    file = file or file_name(origin.url)
    named = replace(spec, name=spec.name or clean_name(without_ending(file)))
    return engine.ledger.fetches.add(origin, file, named, source_id=source_id)


def _look_up(call: Call[Any, Any], bucket_path: str) -> StoredObject:
    """Return the store's entry of the object. Raise InvalidBucketPath, ObjectNotFound or a StorageError."""
    with located(pointer="/bucket_path"):
        try:
            return call.engine.store.head(bucket_path)
        except ObjectMissing:
            raise ObjectNotFound(f"The store has no object {bucket_path!r}") from None


def get_recording(call: Call[WaitQuery, NoBody]) -> Response | Awaitable[Response]:
    recording_id = call.path("recording_id")

    def read() -> RecordingObject:
        recording = call.ledger.recordings.get(recording_id)
        if recording.state == "recording":
            call.ledger.live.want(recording_id)
        return _counted(call, [recording])[0]

    return answer_when_ended(call, recording_id, read)


def end_recording(call: Call[NoQuery, NoBody]) -> Response:
    def work() -> StoredAnswer:
        recording = call.ledger.live.end(call.path("recording_id"))
        return StoredAnswer(200, RecordingObject.of(recording).to_object(), {})

    return once(call, work)


def list_recordings(call: Call[ListRecordings, NoBody]) -> Response:
    page = call.ledger.recordings.list(RecordingFilter(**list_filters(call)))
    return page_response(call, _counted(call, page.data), page.next_cursor)


def _counted(call: Call[Any, Any], recordings: Sequence[Recording]) -> list[RecordingObject]:
    """Return the objects of recordings with the number of their clips."""
    counts = call.ledger.recordings.clips_counts([each.recording_id for each in recordings])
    return [RecordingObject.of(each, clips_count=counts.get(each.recording_id, 0)) for each in recordings]


def list_pieces(call: Call[ListPieces, NoBody]) -> Response:
    recordings, id = call.ledger.recordings, call.path("recording_id")
    index = recordings.pieces.get(recordings.get(id).recording_id)
    found = [] if index is None else index.listed(int(call.query.start_seconds * MICROSECONDS))
    return json_response(ListedPiecesObject.first_of(found, call.query.limit).to_object())


def update_recording(call: Call[NoQuery, UpdateRecording]) -> Response:
    recordings, id = call.ledger.recordings, call.path("recording_id")
    values, expires_at = call.body.columns(), call.body.expires_at
    if "expires_at" in values:
        deletes_all = may(call.caller, "delete", Object("recordings", id))
        values["expires_by"] = None if expires_at is None or deletes_all else call.caller.id
    check_expiry(expires_at)

    def work() -> Response:
        changed = recordings.update(id, values, call.body.metadata or {}, permit=call.permit("recordings"))
        return json_response(_counted(call, [changed])[0].to_object())

    return written(call, work)


def delete_recording(call: Call[DeleteRecording, NoBody]) -> Response:
    id = call.path("recording_id")
    with call.ledger.transaction():
        pieces = call.ledger.recordings.pieces.get(id) if call.query.pieces == "true" else None
        recording = call.ledger.recordings.delete(id, permit=call.permit("recordings"))
        if call.query.object == "true" and id_of_upload(recording.bucket_path) != id:
            require(call.caller, "delete", Object("recordings", id))  # a file that was only registered is of others
        if not recording.etag:  # it is being fetched; its object may be stored at this moment
            call.ledger.removals.add_recording(recording, looks=2)
        elif call.query.object == "true":
            keys = {each.key for each in pieces.ranges()} if pieces else set()
            call.ledger.removals.add_recording(recording, keys)
    return Response(status_code=204)


_RECORDING = Answer(200, "The recording.", RecordingObject)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings",
        "write",
        register_recording,
        "Register an object of the store, a URL, or the files of a camera as a recording",
        [
            Answer(202, "The recording is being fetched or read.", RecordingObject),
            Answer(200, "This object, unchanged, is a recording already.", RecordingObject),
        ],
        (
            ObjectNotFound,
            InvalidBucketPath,
            PatternInvalid,
            InvalidRecordingUrl,
            StorageDenied,
            StorageUnavailable,
            DiskLow,
        ),
        body=RegisterRecording,
        creates=True,
        audit="recording.create",
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
        "POST",
        "/v1/recordings/{recording_id}/end",
        "write",
        end_recording,
        "End a recording that is still written",
        [Answer(200, "It is `complete` after a moment, or has ended already.", RecordingObject)],
        (RecordingNotFound,),
        creates=True,
        audit="recording.end",
    ),
    Operation(
        "GET",
        "/v1/recordings/{recording_id}/pieces",
        "read",
        list_pieces,
        "List the files of a recording of many files",
        [Answer(200, "The files from a time on.", ListedPiecesObject)],
        (RecordingNotFound,),
        query=ListPieces,
    ),
    Operation(
        "PATCH",
        "/v1/recordings/{recording_id}",
        "write",
        update_recording,
        "Change the name, the metadata, the tags, the start, the series or the expiry of a recording",
        [_RECORDING],
        (RecordingNotFound,),
        body=UpdateRecording,
        audit="recording.update",
    ),
    Operation(
        "DELETE",
        "/v1/recordings/{recording_id}",
        "delete",
        delete_recording,
        "Forget a recording and its ended clips",
        [NOTHING],
        (RecordingNotFound, RecordingBusy),
        query=DeleteRecording,
        own=True,
        audit="recording.delete",
    ),
]
