"""Use of the store and of the disk, and clips and recordings that expire soon."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.basis.disk_space import space_of
from clipengine.basis.moments import rfc3339
from clipengine.ledger.retention.clip_bytes_limit import LimitState
from clipengine.ledger.stored_objects.storage_use import Amount
from clipengine.objects.storage import (
    AmountObject,
    ClipLimitObject,
    LargeClipObject,
    LargeRecordingObject,
    LimitLevel,
    RemovedObject,
    StorageDayObject,
    StorageObject,
)
from clipengine.settings.settings import Settings

_WITHIN_DAYS = (1, 7, 30)


def get_storage(call: Call[NoQuery, NoBody]) -> Response:
    use, kept = call.ledger.storage_use, call.engine.settings.retention
    removed = use.removed(_WITHIN_DAYS, keep_clips_ms=kept.keep_clips_ms, keep_recordings_ms=kept.keep_recordings_ms)
    found = StorageObject(
        recordings=_amount(use.recordings()),
        clips=_amount(use.clips()),
        clips_limit=_limit(kept.max_clips_bytes, call.ledger.clip_limit.state()),
        previews=_amount(Amount(*call.engine.previews.stored())),
        transcripts=use.transcripts(),
        used_bytes=_used_bytes(call.engine.settings),
        ledger_bytes=sum(call.ledger.database.sizes()),
        largest_recordings=[
            LargeRecordingObject(recording_id=each.id, name=each.name, bytes=each.bytes)
            for each in use.largest_recordings()
        ],
        largest_clips=[
            LargeClipObject(clip_id=each.id, label=each.name, bytes=each.bytes) for each in use.largest_clips()
        ],
        removed=[
            RemovedObject(within_days=each.within_days, clips=_amount(each.clips), recordings=_amount(each.recordings))
            for each in removed
        ],
        history=[
            StorageDayObject(at=rfc3339(each.day), recordings=_amount(each.recordings), clips=_amount(each.clips))
            for each in use.history()
        ],
    )
    return json_response(found)


def _used_bytes(settings: Settings) -> int | None:
    if settings.storage.kind == "folder":
        space = space_of(settings.store_folder)
        return None if space is None else space.used
    return None


def _limit(max_bytes: int, state: LimitState) -> ClipLimitObject | None:
    level: LimitLevel = "unmet" if state.unmet else "warning" if state.warned else "ok"
    return ClipLimitObject(max_bytes=max_bytes, state=level) if max_bytes else None


def _amount(amount: Amount) -> AmountObject:
    return AmountObject(count=amount.count, bytes=amount.bytes)


OPERATIONS = [
    Operation(
        "GET",
        "/v1/storage",
        "read",
        get_storage,
        "Get what fills the store",
        [Answer(200, "Counts and sizes, the largest ones, what expires soon, and the last 30 days.", StorageObject)],
    ),
]
