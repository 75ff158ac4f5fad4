"""Many clips at once: variants, and deletions by ids or by a filter.

A dry run says what a request would do, with a `selection` that stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from clipengine.api.http.access import Object, may
from clipengine.api.http.operation import Answer, Call, Operation, json_response, once, written
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.requests.selections import (
    MAX_DELETED,
    MAX_VARIANTS,
    CreateVariants,
    DeleteClips,
    DeleteClipsOfRecording,
    FilterOfClips,
)
from clipengine.clips.clip import Clip
from clipengine.clips.variant import selection_of
from clipengine.errors import (
    ClipEngineError,
    InvalidRequest,
    InvalidWebhookUrl,
    QueueFull,
    RecordingNotFound,
    RequestError,
    SelectionChanged,
    TooManyClips,
    UnknownProfile,
    UnknownWatermark,
    located,
    located_below,
)
from clipengine.ledger.automation.batches import Batch, BatchItem
from clipengine.ledger.clips.clips import ClipFilter, ClipSummary
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.ledger.rows.pages import Page
from clipengine.objects.batch import BatchObject, SelectedClipObject, SelectionObject
from clipengine.objects.clip import DeletedClipsObject
from clipengine.recordings.recording import Recording
from clipengine.work.cutting.variants import variant_items

_SHOWN = 100


def create_variants(call: Call[NoQuery, CreateVariants]) -> Response:
    body = call.body
    changes = body.patch
    with located_below("/changes"):
        call.engine.variants.check(changes)

    def chosen() -> tuple[Sequence[Clip], Sequence[BatchItem], str]:
        clips, missing = _clips_of(call)
        items = variant_items(clips, missing, changes)
        return clips, items, selection_of("variants", [str(each.source_clip_id) for each in items], changes)

    def work() -> StoredAnswer:
        _, items, selection = chosen()
        _check_selection(body.selection, selection)
        call.engine.admit()
        return _accepted(call.ledger.requested_batches.create("variants", items, created_by=call.caller.id))

    if body.dry_run:  # outside a transaction, which would hold the write lock while all variants are resolved
        return json_response(_tried(call, *chosen()).to_object())
    return once(call, work)


def _clips_of(call: Call[NoQuery, CreateVariants]) -> tuple[Sequence[Clip], Sequence[str]]:
    """Return the clips of the request, and the ids that no clip has."""
    if call.body.filter is not None:
        return _all(call.ledger.clips.list(_filter(call.body.filter, MAX_VARIANTS)), MAX_VARIANTS), ()
    ids = call.body.clip_ids or ()
    clips = call.ledger.clips.of_ids(ids)
    found = {clip.clip_id for clip in clips}
    return clips, [each for each in ids if each not in found]


def _tried(call: Call[Any, Any], clips: Sequence[Clip], items: Sequence[BatchItem], selection: str) -> SelectionObject:
    """Return what the request would make. Each variant is resolved as the engine does it."""
    by_id = {clip.clip_id: clip for clip in clips}
    known: dict[str, Recording] = {}
    shown: list[SelectedClipObject] = []
    refused = 0
    for item in items:
        clip = by_id.get(str(item.source_clip_id))
        error = None if item.code is None else {"code": item.code, "message": item.message}
        if item.body is not None and (fault := _fault_of(call, item, known)) is not None:
            refused += 1
            error = fault.to_object()
        if len(shown) < _SHOWN:
            shown.append(_selected(str(item.source_clip_id), clip, item.body, error))
    pending = [item for item in items if item.body is not None]
    return SelectionObject(
        selection=selection,
        count=len(pending) - refused,
        bytes=sum(clip.result.size_bytes for clip in clips if clip.result),
        skipped=len(items) - len(pending),
        refused=refused,
        data=shown,
    )


def _fault_of(call: Call[Any, Any], item: BatchItem, known: dict[str, Recording]) -> ClipEngineError | None:
    try:
        call.engine.variants.resolve(item.body or {}, str(item.source_clip_id), known=known)
    except RequestError as error:
        return error
    return None


def _selected(clip_id: str, clip: Clip | None, body: Any, error: Any) -> SelectedClipObject:
    size = clip.result.size_bytes if clip and clip.result else 0
    label = clip.label if clip else ""
    return SelectedClipObject(clip_id=clip_id, label=label, size_bytes=size, body=body, error=error)


def delete_clips(call: Call[NoQuery, DeleteClips]) -> Response:
    """Delete several clips. Of those that are given by ids, the ones that do not exist are listed in the response."""
    body = call.body
    if body.filter is None:
        return _delete_ids(call, body.clip_ids or ())
    wanted = _filter(body.filter, MAX_DELETED)
    _require_selection(body.selection, body.dry_run, pointer="/selection")

    if body.dry_run:
        return _try_deletion(call, wanted, body.include_processing)
    return once(call, lambda: _delete_filtered(call, wanted, body.selection, body.include_processing))


def delete_clips_of_recording(call: Call[DeleteClipsOfRecording, NoBody]) -> Response:
    query = call.query
    recording = call.ledger.recordings.get(call.path("recording_id"))
    filters = query.model_dump(exclude={"dry_run", "selection", "include_processing"})
    wanted = ClipFilter(limit=MAX_DELETED, recording_id=recording.recording_id, **filters)
    is_dry, processing = query.dry_run == "true", query.include_processing == "true"
    _require_selection(query.selection, is_dry, parameter="selection")
    if is_dry:
        return _try_deletion(call, wanted, processing)

    def work() -> Response:
        answer = _delete_filtered(call, wanted, query.selection, processing)
        return json_response(answer.body, answer.status, answer.headers)

    return written(call, work)


def _chosen(call: Call[Any, Any], wanted: ClipFilter, processing: bool) -> tuple[Sequence[ClipSummary], str, int]:
    """Return the clips to delete, their selection, and the number of clips that are left out.

    These are processing, or the caller must not delete them.
    """
    found = _all(call.ledger.clips.summaries(wanted), MAX_DELETED)
    wished = [clip for clip in found if processing or clip.status != "processing"]
    chosen = sorted(
        (clip for clip in wished if may(call.caller, "delete", _object(clip))), key=lambda clip: clip.clip_id
    )
    return chosen, selection_of("delete", [clip.clip_id for clip in chosen]), len(found) - len(chosen)


def _try_deletion(call: Call[Any, Any], wanted: ClipFilter, processing: bool) -> Response:
    clips, selection, left = _chosen(call, wanted, processing)
    return json_response(_to_delete(clips, selection, skipped=left).to_object())


def _delete_filtered(call: Call[Any, Any], wanted: ClipFilter, selection: str | None, processing: bool) -> StoredAnswer:
    """Store the batch that deletes the clips. It deletes those that were chosen, whatever matches later."""
    chosen, found, _ = _chosen(call, wanted, processing)
    _check_selection(selection, found)
    items = [BatchItem("", 0, "pending", source_clip_id=clip.clip_id) for clip in chosen]
    batch = call.ledger.requested_batches.create(
        "delete", items, recording_id=wanted.recording_id, created_by=call.caller.id
    )
    call.concerns([batch.batch_id])
    return _accepted(batch)


def _object(clip: ClipSummary) -> Object:
    return Object("clips", clip.clip_id, lambda: clip.created_by)


def _to_delete(clips: Sequence[ClipSummary], selection: str, *, skipped: int) -> SelectionObject:
    return SelectionObject(
        selection=selection,
        count=len(clips),
        bytes=sum(clip.size_bytes for clip in clips),
        skipped=skipped,
        data=[
            SelectedClipObject(
                clip_id=clip.clip_id, label=clip.label, size_bytes=clip.size_bytes, body=None, error=None
            )
            for clip in clips[:_SHOWN]
        ],
    )


def _delete_ids(call: Call[NoQuery, DeleteClips], ids: Sequence[str]) -> Response:
    deleted: list[str] = []

    def work() -> StoredAnswer:
        deleted[:] = call.ledger.clips.delete_all(ids, permit=call.permit("clips"))
        missing = sorted({*ids} - {*deleted})
        return StoredAnswer(200, {"deleted": deleted, "not_found": missing}, {})

    def then() -> None:
        for clip_id in deleted:
            call.engine.abandon(clip_id)

    return once(call, work, then)


def _filter(wanted: FilterOfClips, limit: int) -> ClipFilter:
    return ClipFilter(limit=limit, **wanted.model_dump())


def _all(page: Page[Any], limit: int) -> Sequence[Any]:
    """Return the clips of the only page. Raises TooManyClips."""
    if page.next_cursor is not None:
        raise TooManyClips(f"more than {limit:,} clips match")
    return page.data


def _require_selection(selection: str | None, is_dry: bool, **place: str) -> None:
    if selection is None and not is_dry:
        with located(**place):
            hint = "Send the request with `dry_run` first, and then with the `selection` of its response."
            raise InvalidRequest("is required to delete clips by a filter", hint=hint)


def _check_selection(given: str | None, found: str) -> None:
    if given is not None and given != found:
        raise SelectionChanged("the request selects other clips than its dry run did")


def _accepted(batch: Batch) -> StoredAnswer:
    return StoredAnswer(202, BatchObject.of(batch).to_object(), {"Location": f"/v1/batches/{batch.batch_id}"})


_TRIED = Answer(200, "Dry run: what would be done.", SelectionObject)
_DELETED = Answer(200, "The clips are deleted, or what would be deleted.", DeletedClipsObject, other=SelectionObject)
_QUEUED = Answer(202, "The clips are chosen; the batch survives any crash from here on.", BatchObject)
_ERRORS = (TooManyClips, SelectionChanged, QueueFull)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/clips/variants",
        "write",
        create_variants,
        "Create a variant of each of many clips",
        [_TRIED, _QUEUED],
        (*_ERRORS, UnknownProfile, UnknownWatermark, InvalidWebhookUrl),
        body=CreateVariants,
        creates=True,
        multiplies=True,
        audit="batch.create",
    ),
    Operation(
        "POST",
        "/v1/clips/delete",
        "write",
        delete_clips,
        "Delete several clips and their objects",
        [_DELETED, _QUEUED],
        _ERRORS,
        body=DeleteClips,
        creates=True,
        audit="clip.delete",
    ),
    Operation(
        "DELETE",
        "/v1/recordings/{recording_id}/clips",
        "write",
        delete_clips_of_recording,
        "Delete a recording's clips and their objects",
        [_TRIED, _QUEUED],
        (RecordingNotFound, *_ERRORS),
        query=DeleteClipsOfRecording,
        audit="clip.delete",
    ),
]
