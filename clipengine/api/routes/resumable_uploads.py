"""Uploads that resume: tus 1.0 at `/v1/uploads`. Bytes that have arrived are kept if a request is interrupted."""

from __future__ import annotations

import hashlib
import io
import logging
from contextlib import ExitStack, suppress
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import Any, BinaryIO, cast

from starlette.requests import Request
from starlette.responses import Response

from clipengine.api.http.access import Action, Object, require
from clipengine.api.http.acts import actor_of
from clipengine.api.http.auth import credential
from clipengine.api.http.body_pipe import BodyPipe, too_long
from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, kept_answer
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.requests.recordings import UploadMetadata
from clipengine.api.http.requests.tus import (
    BYTES,
    MAX_METADATA_CHARACTERS,
    Checksum,
    RequestParts,
    check_content_type,
    check_version,
    described,
    expected_checksum,
    metadata_header,
    tus_headers,
    upload_length,
    upload_offset,
)
from clipengine.api.http.upload_slots import Slot, UploadSlots
from clipengine.api.http.validation import declared_length
from clipengine.api.routes.uploads import received
from clipengine.basis.moments import rfc3339
from clipengine.errors import (
    Busy,
    ChecksumMismatch,
    DiskFull,
    DiskLow,
    InvalidRequest,
    PayloadTooLarge,
    RateLimited,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    TusVersionUnsupported,
    UnsupportedContentType,
    UploadAssembling,
    UploadLocked,
    UploadNotDirect,
    UploadNotFound,
    UploadOffsetConflict,
)
from clipengine.ledger.database.act import Act, acting
from clipengine.ledger.recordings.resumable_uploads import ResumableUpload
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.base import shown_time
from clipengine.objects.upload import UploadObject, UploadPart, UploadParts
from clipengine.recordings.recording import RecordingSpec
from clipengine.settings.settings import Settings

_READ_BYTES = 1 << 20

log = logging.getLogger(__name__)

_Call = Call[NoQuery, NoBody]


async def begin_upload(slots: UploadSlots, call: _Call) -> Response:
    """Begin an upload, and receive the bytes of the request if it has any."""
    check_version(call.request)
    if not _has_body(call.request):
        return await _begin(slots, call, None)
    check_content_type(call.request)
    with slots.taken(call.request.scope, "uploads") as slot:
        return await _begin(slots, call, slot)


async def _begin(slots: UploadSlots, call: _Call, slot: Slot | None) -> Response:
    """Begin an upload. With a slot, receive the bytes of the request."""
    request, settings = call.request, call.engine.settings
    size = upload_length(request, most=settings.limits.max_upload_bytes)
    header = metadata_header(request)
    metadata, checksum = described(header), expected_checksum(request)
    if slot is not None:
        _check_length(request, size)
    call.engine.admit()
    await _check_direct(slots, call)

    def begin() -> StoredAnswer:
        begun = call.engine.upload_receiver.begin(
            call.caller.id, metadata.filename, _spec(call, metadata), size=size, description=header
        )
        # The response follows the bytes; one that cannot be built begins no upload.
        json_response(_object(call, begun).to_object(), 201, _headers(call, begun))
        return StoredAnswer(201, {"upload_id": begun.upload_id})

    same = hashlib.sha256(f"{size} {header}".encode()).hexdigest()
    answer, replayed = await call.in_session(lambda: kept_answer(call, begin, same))
    id = answer.body["upload_id"]
    if slot is not None:
        try:
            await _receive(slot, call, id, 0, checksum, missing=size)
        except (UploadOffsetConflict, UploadAssembling, StorageError) as error:
            # The client continues at the offset of the response.
            log.info("upload %s: %s", id, error.message)
    upload = await call.in_session(lambda: _own(call, id))
    headers = {"Location": f"/v1/uploads/{id}", **({"Idempotent-Replayed": "true"} if replayed else {})}
    return json_response(_object(call, upload).to_object(), 201, {**headers, **_headers(call, upload)})


async def get_upload(slots: UploadSlots, call: _Call) -> Response:
    """Return the offset. If the store has all bytes, the recording is registered first, unless it is being done."""
    check_version(call.request)
    id = call.path("upload_id")
    upload = await call.in_session(lambda: _own(call, id))
    if upload.completed_at is None:
        await _check_direct(slots, call)
    try:
        upload = await _registered(slots, call, await _counted(slots, call, upload))
    except (UploadLocked, UploadAssembling):  # by another request, at whose end another offset is recorded
        upload = await call.in_session(lambda: _own(call, id))
    return json_response(_object(call, upload).to_object(), 200, _headers(call, upload, with_metadata=True))


async def _check_direct(slots: UploadSlots, call: _Call) -> None:
    """Find out whether the client may send parts to the store. If all slots are used, it may not yet."""
    receiver = call.engine.upload_receiver
    if receiver.is_check_due:
        with suppress(Busy, RateLimited), slots.taken(call.request.scope, "requests of uploads") as slot:
            await slot.run(receiver.check_direct)


async def _counted(slots: UploadSlots, call: _Call, upload: ResumableUpload) -> ResumableUpload:
    """Return the upload with the parts that clients have sent to the store."""
    if upload.completed_at is not None or not upload.partial.part_bytes:
        return upload
    with slots.taken(call.request.scope, "requests of uploads") as slot:
        return await slot.run(partial(call.engine.upload_receiver.count, upload.upload_id))


async def _registered(slots: UploadSlots, call: _Call, upload: ResumableUpload) -> ResumableUpload:
    """Return the upload after its recording is registered, or as it is if bytes are missing or all slots are used."""
    if upload.completed_at is not None or not upload.partial.is_whole:
        return upload
    with ExitStack() as stack:
        try:
            slot = stack.enter_context(slots.taken(call.request.scope, "assemblies of uploads"))
        except Busy:  # a later request begins it
            return upload
        actor = actor_of(call.caller, call.request, credential(call.request))
        stack.enter_context(acting(Act("recording.create", actor, request_id=call.request_id)))
        return await slot.run(partial(call.engine.upload_receiver.complete, upload.upload_id))


async def append_to_upload(slots: UploadSlots, call: _Call) -> Response:
    request, id = call.request, call.path("upload_id")
    check_version(request)
    offset, checksum = upload_offset(request), expected_checksum(request)
    upload = await call.in_session(lambda: _own(call, id))
    size, end = upload.partial.size, None if _is_chunked(request) else offset + declared_length(request)
    if upload.completed_at is None or end != size:  # else a repeated last request
        _check_length(request, size - offset)
        with slots.taken(request.scope, "uploads") as slot:
            call.engine.admit()
            upload = await _receive(slot, call, id, offset, checksum, missing=size - offset)
    return Response(status_code=204, headers=_headers(call, upload))


async def get_links_of_parts(slots: UploadSlots, call: Call[NoQuery, RequestParts]) -> Response:
    """Return links to which the client sends parts of the upload."""
    check_version(call.request)
    id, numbers = call.path("upload_id"), call.body.numbers
    await call.in_session(lambda: _own(call, id))
    call.engine.admit()
    with slots.taken(call.request.scope, "requests of uploads") as slot:
        links = await slot.run(partial(call.engine.upload_receiver.links, id, numbers))
    parts = [UploadPart(number, links.partial.part_length(number), links.urls[number]) for number in numbers]
    expires_at = rfc3339(links.expires_at)
    found = UploadParts(links.partial.part_bytes, links.partial.offset, expires_at, parts)
    return json_response(found.to_object(), 200, {"Cache-Control": "no-store"})


async def end_upload(slots: UploadSlots, call: _Call) -> Response:
    check_version(call.request)
    id = call.path("upload_id")
    await call.in_session(lambda: _own(call, id, "delete"))
    with slots.taken(call.request.scope, "requests of uploads") as slot:
        await slot.run(partial(call.engine.upload_receiver.end, id))
    return Response(status_code=204)


async def _receive(
    slot: Slot, call: _Call, id: str, offset: int, checksum: Checksum | None, *, missing: int
) -> ResumableUpload:
    """Store the bytes of the request. If it is interrupted, raise the reason after what has arrived is stored."""
    pipe = BodyPipe(keeps=True, most=max(missing, 0))

    def check() -> None:
        if pipe.interruption:
            raise pipe.interruption
        assert checksum is not None
        checksum.verify()

    def store() -> ResumableUpload:
        buffered = cast(BinaryIO, io.BufferedReader(pipe, _READ_BYTES))
        if missing <= 0 and not buffered.read(1) and pipe.interruption:  # nothing may follow the last byte
            raise pipe.interruption
        body = buffered if checksum is None else cast(BinaryIO, checksum.reading(buffered))
        receive = call.engine.upload_receiver.receive
        return receive(id, body, offset=offset, check=None if checksum is None else check)

    upload = await received(slot, call, pipe, store)
    if pipe.interruption and upload.completed_at is None:
        raise pipe.interruption
    return upload


def _spec(call: _Call, metadata: UploadMetadata) -> RecordingSpec:
    return replace(metadata.spec(), created_by=call.caller.id)


def _own(call: Call[Any, Any], id: str, action: Action = "write") -> ResumableUpload:
    """Return the upload. Raise UploadNotFound, and Forbidden if another key began it."""
    upload = call.engine.upload_receiver.get(id)
    require(call.caller, action, Object("uploads", id, lambda: upload.key_id))
    return upload


def _has_body(request: Request) -> bool:
    return bool(declared_length(request)) or _is_chunked(request)


def _is_chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


def _check_length(request: Request, most: int) -> None:
    """Raise PayloadTooLarge if the body has more bytes than are missing."""
    if declared_length(request) > max(most, 0):
        raise too_long()


def _expires_at(call: _Call, upload: ResumableUpload) -> int:
    return upload.touched_at + call.engine.upload_receiver.idle_ms


def _object(call: _Call, upload: ResumableUpload) -> UploadObject:
    recording_id = None if upload.completed_at is None else upload.recording_id
    return UploadObject.of(
        upload,
        offset=upload.partial.offset,
        size_bytes=upload.partial.size,
        expires_at=shown_time(_expires_at(call, upload)),
        recording_id=recording_id,
        part_bytes=call.engine.upload_receiver.part_bytes(upload),
    )


def _headers(call: _Call, upload: ResumableUpload, *, with_metadata: bool = False) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(upload.partial.offset),
        "Upload-Length": str(upload.partial.size),
        "Upload-Expires": formatdate(_expires_at(call, upload) / 1000, usegmt=True),
    }
    if upload.completed_at is not None:
        headers["Upload-Recording"] = upload.recording_id
    if with_metadata and upload.description:
        headers["Upload-Metadata"] = upload.description
    return headers


def _described(text: str, **schema: Any) -> dict[str, Any]:
    return {"type": "string", **schema, "description": text}


def operations(slots: UploadSlots, settings: Settings) -> list[Operation]:
    checksum = {"Upload-Checksum": _described("`sha256`, `sha1` or `md5`, a space, and the digest in base64.")}
    every = tus_headers(settings.limits.max_upload_bytes)
    receiving = (
        UploadLocked,
        UploadOffsetConflict,
        ChecksumMismatch,
        TusVersionUnsupported,
        UnsupportedContentType,
        PayloadTooLarge,
        InvalidRequest,
        StorageDenied,
        StorageUnavailable,
        DiskFull,
        DiskLow,
        Busy,
    )
    one = "/v1/uploads/{upload_id}"
    return [
        Operation(
            "POST",
            "/v1/uploads",
            "write",
            partial(begin_upload, slots),
            "Begin an upload that resumes",
            [Answer(201, "The upload has begun, at `Location`.", UploadObject)],
            receiving,
            creates=True,
            headers={
                "Upload-Length": _described(
                    "Size of the recording in bytes.", pattern="^[1-9][0-9]{0,11}$", examples=["2000000"]
                ),
                "Upload-Metadata": _described(
                    "Pairs of a key and a base64 text: `filename`, and `recording`, a JSON object with fields of "
                    "`POST /v1/recordings`.",
                    maxLength=MAX_METADATA_CHARACTERS,
                    examples=["filename bWVldGluZy5tcDQ="],
                ),
                **checksum,
            },
            answer_headers=every,
            audit="upload.begin",
        ),
        Operation(
            "GET",
            one,
            "write",
            partial(get_upload, slots),
            "Get the offset at which an upload continues",
            [Answer(200, "The upload. With all bytes and no `recording_id`, it is being assembled.", UploadObject)],
            (UploadNotFound, TusVersionUnsupported, StorageDenied, DiskFull, Busy),
            answer_headers=every,
        ),
        Operation(
            "PATCH",
            one,
            "write",
            partial(append_to_upload, slots),
            "Append bytes to an upload",
            [Answer(204, "The bytes are stored. The last ones register the recording `Upload-Recording`.")],
            (UploadNotFound, UploadAssembling, *receiving),
            headers={
                "Upload-Offset": _described(
                    "Bytes that are stored, from which the body continues.", pattern="^[0-9]{1,18}$", examples=["0"]
                ),
                **checksum,
            },
            uploads=[BYTES],
            answer_headers=every,
            audit="upload.append",
        ),
        Operation(
            "POST",
            f"{one}/parts",
            "write",
            partial(get_links_of_parts, slots),
            "Get links to send parts of an upload to the store",
            [Answer(200, "Links of the parts that the store does not have.", UploadParts)],
            (
                *(UploadNotFound, UploadNotDirect, UploadLocked, UploadAssembling, TusVersionUnsupported),
                *(StorageDenied, StorageUnavailable, DiskFull, DiskLow, Busy),
            ),
            body=RequestParts,
            answer_headers=every,
            audit="upload.append",
        ),
        Operation(
            "DELETE",
            one,
            "write",
            partial(end_upload, slots),
            "Delete an upload; its recording, if it is complete, stays",
            [NOTHING],
            (UploadNotFound, UploadLocked, UploadAssembling, TusVersionUnsupported, Busy),
            answer_headers=every,
            audit="upload.end",
        ),
    ]
