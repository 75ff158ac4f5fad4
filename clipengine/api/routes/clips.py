"""Clips: create, read, wait, list, change, cancel, retry, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from clipengine.api.http.access import Object, may
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
from clipengine.api.http.requests.clips import (
    BatchedClip,
    CreateClip,
    CreateClips,
    CreateClipsByTime,
    ListAllClips,
    ListClips,
    UpdateClip,
)
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery, WaitQuery
from clipengine.api.http.validation import check_each
from clipengine.api.routes.clip_requests import recording_of_path, requests_of, resolved, resolved_request
from clipengine.api.routes.lookups import check_address, find_clip
from clipengine.api.routes.webhooks import delivery_object
from clipengine.basis.timecode import now_ms
from clipengine.clips.by_time import Covered, cover
from clipengine.clips.clip import Clip
from clipengine.clips.edit import MAX_RECORDINGS
from clipengine.clips.labels import check_label
from clipengine.clips.request import check_expiry
from clipengine.clips.resolve import ResolvedClip
from clipengine.errors import (
    ClipEnded,
    ClipNotFailed,
    ClipNotFound,
    ClockAmbiguous,
    ClockUnknown,
    DiskLow,
    InvalidLabel,
    InvalidTimeRange,
    InvalidWebhookUrl,
    NoMediaInRange,
    NothingRecorded,
    NotRecordedYet,
    QueueFull,
    RecordingEncrypted,
    RecordingNotComplete,
    RecordingNotFound,
    UnknownProfile,
    UnknownWatermark,
    located,
)
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.ledger.webhooks.events import origin_of
from clipengine.objects.clip import ClipObject, ClipsObject
from clipengine.objects.webhook import DeliveryObject

_NEXT_HINT = (
    "A clip waits only for a recording that has begun: ask again when `GET /v1/recordings?series=` lists it, or cut "
    "what is there with `on_timeout`: `clamp`."
)


def create_clip(call: Call[NoQuery, CreateClip]) -> Response:
    def work() -> StoredAnswer:
        call.engine.admit()
        clip = _create(call, resolved(call, call.body, recording_of_path(call)))
        made = ClipObject.of(clip, waits_for=waits_for)
        return StoredAnswer(202, made.to_object(), {"Location": f"/v1/clips/{clip.clip_id}"})

    waits_for = call.engine.awaited()
    return once(call, work)


def create_clips(call: Call[NoQuery, CreateClips]) -> Response:
    """Create all clips of the batch or none. The faults of all clips are reported together."""

    def work() -> StoredAnswer:
        call.engine.admit()
        clips = check_each(call.body.clips, partial(_resolved_batched, call), pointer="/clips")
        return _all_created(call, clips, waits_for)

    waits_for = call.engine.awaited()
    return once(call, work)


def create_clips_by_time(call: Call[NoQuery, CreateClipsByTime]) -> Response:
    """Create a clip of each series or none. The faults of all series are reported together."""

    def work() -> StoredAnswer:
        call.engine.admit()
        clips = check_each(call.body.series, partial(_resolved_series, call), pointer="/series")
        return _all_created(call, clips, waits_for)

    waits_for = call.engine.awaited()
    return once(call, work)


def _all_created(call: Call[Any, Any], clips: Sequence[ResolvedClip], waits_for: Sequence[str]) -> StoredAnswer:
    call.ledger.recordings.lock({source.recording.recording_id for clip in clips for source in clip.sources})
    made = [ClipObject.of(_create(call, clip), waits_for=waits_for).to_object() for clip in clips]
    return StoredAnswer(202, {"data": made}, {})


def _resolved_series(call: Call[Any, CreateClipsByTime], series: str) -> ResolvedClip:
    body, recordings = call.body, call.ledger.recordings
    times = (body.start_time, body.end_time)
    if times[0] >= times[1]:
        raise InvalidTimeRange("end_time must be after start_time")
    found = recordings.of_series(series, *times, limit=MAX_RECORDINGS + 1)
    covered = cover(found, times)
    _check_covered(call, series, covered)
    request = body.of_ranges(covered.ranges(times), request_id=call.request_id, traceparent=call.traceparent)
    by_id = {each.recording_id: each for each in found}
    return resolved_request(call, request, by_id[covered.parts[0][0]])


def _check_covered(call: Call[Any, CreateClipsByTime], series: str, covered: Covered) -> None:
    """Raise RecordingNotComplete, NotRecordedYet or NothingRecorded if too little of the range is covered."""
    body = call.body
    if covered.parts and not covered.missing:
        return
    if (unprobed := call.ledger.recordings.unprobed_of(series)) is not None:
        raise RecordingNotComplete.of(unprobed, "processing", None)
    is_ahead = body.end_time > now_ms()
    awaits_next = covered.is_cut_short and (covered.may_follow or (bool(covered.parts) and is_ahead))
    if awaits_next and not (covered.parts and body.on_timeout == "clamp"):
        fault = f"the range ends after the recordings of the series {series!r}, and the next one has not begun"
        raise NotRecordedYet(fault, hint=_NEXT_HINT)
    if body.gaps == "fail" or not covered.parts:
        fault = f"the series {series!r} has no recording in the range, or only in a part of it"
        raise NothingRecorded(fault, hint=_NEXT_HINT if is_ahead else None)


def _resolved_batched(call: Call[Any, Any], body: BatchedClip) -> ResolvedClip:
    with located(pointer="/recording_id"):
        return resolved(call, body, call.ledger.recordings.get(body.recording_id))


def _create(call: Call[Any, Any], clip: ResolvedClip) -> Clip:
    return requests_of(call).create(clip)


def get_clip(call: Call[WaitQuery, NoBody]) -> Response | Awaitable[Response]:
    def read() -> ClipObject:
        clip = find_clip(call)
        return _placed(call, clip, waits_for=[] if clip.ended else call.engine.awaited())

    return answer_when_ended(call, call.path("clip_id"), read)


def _placed(call: Call[Any, Any], clip: Clip, waits_for: Sequence[str] = ()) -> ClipObject:
    """Return a clip with its place in the queue."""
    return ClipObject.of(clip, call.ledger.queue_order.place(clip), waits_for=waits_for)


def list_clips(call: Call[ListAllClips, NoBody]) -> Response:
    return _page_of_clips(call, ClipFilter(**list_filters(call)))


def list_clips_of_recording(call: Call[ListClips, NoBody]) -> Response:
    recording = call.ledger.recordings.get(call.path("recording_id"))
    return _page_of_clips(call, ClipFilter(recording_id=recording.recording_id, **list_filters(call)))


def _page_of_clips(call: Call[Any, NoBody], wanted: ClipFilter) -> Response:
    page = call.ledger.clips.list(wanted)
    return page_response(call, [_placed(call, clip) for clip in page.data], page.next_cursor)


def list_deliveries(call: Call[PageQuery, NoBody]) -> Response:
    deliveries = call.ledger.deliveries
    page = deliveries.list(clip_id=find_clip(call).clip_id, limit=call.query.limit, cursor=call.query.cursor)
    shown = [delivery_object(each, deliveries) for each in page.data]
    if not may(call.caller, "read", Object("webhooks")):
        shown = [replace(each, url=origin_of(each.url)) for each in shown]
    return page_response(call, shown, page.next_cursor)


def update_clip(call: Call[NoQuery, UpdateClip]) -> Response:
    values, metadata, permit = call.body.columns(), call.body.metadata or {}, call.permit("clips")

    def work() -> Response:
        changed = call.ledger.clips.update(call.path("clip_id"), values, metadata, permit=permit)
        return json_response(_placed(call, check_address(call, changed)).to_object())

    if "label" in values:
        with located(pointer="/label"):
            check_label(values["label"] or "")
    check_expiry(call.body.expires_at)
    return written(call, work)


def cancel_clip(call: Call[NoQuery, NoBody]) -> Response:
    clip_id, permit = find_clip(call).clip_id, call.permit("clips")

    def work() -> StoredAnswer:
        return StoredAnswer(200, ClipObject.of(call.ledger.clips.cancel(clip_id, permit=permit)).to_object(), {})

    return once(call, work, lambda: call.engine.abandon(clip_id))


def retry_clip(call: Call[NoQuery, NoBody]) -> Response:
    clip_id = find_clip(call).clip_id
    waits_for = call.engine.awaited()

    def work() -> StoredAnswer:
        clip = ClipObject.of(call.ledger.clips.retry(clip_id), waits_for=waits_for)
        return StoredAnswer(202, clip.to_object(), {"Location": f"/v1/clips/{clip_id}"})

    return once(call, work)


def delete_clip(call: Call[NoQuery, NoBody]) -> Response:
    clip = call.ledger.clips.delete(find_clip(call).clip_id, permit=call.permit("clips"))
    call.engine.abandon(clip.clip_id)
    return Response(status_code=204)


_CLIP = Answer(200, "The clip.", ClipObject)
_CLIPS = Answer(200, "One page of clips.", ClipObject, page=True)
_CLIP_PATH = "/v1/clips/{clip_id}"
_MISSING = (ClipNotFound,)

_CREATE_ERRORS = (
    RecordingNotFound,
    RecordingNotComplete,
    UnknownProfile,
    UnknownWatermark,
    InvalidTimeRange,
    ClockUnknown,
    ClockAmbiguous,
    InvalidLabel,
    InvalidWebhookUrl,
    NoMediaInRange,
    RecordingEncrypted,
    QueueFull,
    DiskLow,
)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/clips",
        "write",
        create_clip,
        "Create a clip",
        [Answer(202, "The clip is queued; it survives any crash from here on.", ClipObject)],
        _CREATE_ERRORS,
        body=CreateClip,
        creates=True,
        audit="clip.create",
    ),
    Operation(
        "POST",
        "/v1/clips/batch",
        "write",
        create_clips,
        "Create several clips, or none",
        [Answer(202, "All clips are queued, in the order of the request.", ClipsObject)],
        _CREATE_ERRORS,
        body=CreateClips,
        creates=True,
        audit="clip.create",
    ),
    Operation(
        "POST",
        "/v1/clips/by-time",
        "write",
        create_clips_by_time,
        "Create a clip of each series by the time of day, or none",
        [Answer(202, "All clips are queued, in the order of the series.", ClipsObject)],
        (*_CREATE_ERRORS, NothingRecorded, NotRecordedYet),
        body=CreateClipsByTime,
        creates=True,
        audit="clip.create",
    ),
    Operation(
        "GET",
        "/v1/recordings/{recording_id}/clips",
        "read",
        list_clips_of_recording,
        "List a recording's clips",
        [_CLIPS],
        (RecordingNotFound,),
        query=ListClips,
    ),
    Operation("GET", "/v1/clips", "read", list_clips, "List clips", [_CLIPS], query=ListAllClips),
    Operation("GET", _CLIP_PATH, "read", get_clip, "Get a clip", [_CLIP], _MISSING, query=WaitQuery),
    Operation(
        "GET",
        "/v1/recordings/{recording_id}/clips/{clip_id}",
        "read",
        get_clip,
        "Get a clip of a recording",
        [_CLIP],
        _MISSING,
        query=WaitQuery,
    ),
    Operation(
        "DELETE",
        _CLIP_PATH,
        "delete",
        delete_clip,
        "Delete a clip and its object",
        [NOTHING],
        _MISSING,
        own=True,
        audit="clip.delete",
    ),
    Operation(
        "PATCH",
        _CLIP_PATH,
        "write",
        update_clip,
        "Change the label, the metadata, the tags or the expiry of a clip",
        [_CLIP],
        (*_MISSING, InvalidLabel),
        body=UpdateClip,
        audit="clip.update",
    ),
    Operation(
        "POST",
        f"{_CLIP_PATH}/cancel",
        "delete",
        cancel_clip,
        "Cancel a clip",
        [_CLIP],
        (*_MISSING, ClipEnded),
        creates=True,
        own=True,
        audit="clip.cancel",
    ),
    Operation(
        "POST",
        f"{_CLIP_PATH}/retry",
        "write",
        retry_clip,
        "Queue a failed clip again",
        [replace(_CLIP, status=202)],
        (*_MISSING, ClipNotFailed),
        creates=True,
        audit="clip.retry",
    ),
    Operation(
        "GET",
        f"{_CLIP_PATH}/deliveries",
        "read",
        list_deliveries,
        "List the webhooks about a clip",
        [Answer(200, "One page of deliveries, newest first.", DeliveryObject, page=True)],
        _MISSING,
        query=PageQuery,
    ),
]
