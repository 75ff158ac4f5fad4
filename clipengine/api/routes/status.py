"""State of the installation for operators: queues, engines, disk, webhooks, and how clips ended; and its settings."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from clipengine import __version__
from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.basis.disk_space import space_of
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import age_seconds, now_ms
from clipengine.objects.installation import (
    CheckObject,
    DiskObject,
    EngineObject,
    FailuresObject,
    HourObject,
    LastDayObject,
    OutboxObject,
    QueueObject,
    SettingsObject,
    StatusObject,
    StoreObject,
    WatchObject,
)
from clipengine.settings.settings import Settings

_DAY_MS = 24 * 3_600_000


def get_status(call: Call[NoQuery, NoBody]) -> Response:
    stats, settings = call.ledger.stats.read(), call.engine.settings
    checks = call.engine.health()
    status = StatusObject(
        status="ok" if all(check.ok for check in checks) else "failing",
        version=__version__,
        engine_id=call.engine.instance_id,
        checks=[CheckObject(name=each.name, ok=each.ok, detail=each.detail) for each in checks],
        queue=QueueObject(
            clips_queued=stats.clips_queued,
            clips_running=stats.clips_running,
            clips_set_aside=stats.clips_set_aside,
            oldest_queued_seconds=age_seconds(stats.queued_since),
            recordings_processing=stats.recordings_processing,
            recordings_set_aside=stats.recordings_set_aside,
            removals_pending=stats.removals_pending,
        ),
        engines=_engines(call),
        disk=_disk(settings),
        store=_store(settings),
        webhooks=OutboxObject(
            deliveries_pending=stats.deliveries_pending,
            oldest_delivery_seconds=age_seconds(stats.oldest_delivery),
        ),
        watch=WatchObject(left_out=call.engine.left_out()),
        last_day=_last_day(call),
    )
    return json_response(status)


def _disk(settings: Settings) -> DiskObject:
    free, total = _space(settings.data.folder)
    return DiskObject(free_bytes=free, total_bytes=total, min_free_bytes=settings.limits.min_free_bytes)


def _store(settings: Settings) -> StoreObject:
    if settings.storage.kind == "s3":
        return StoreObject(kind="s3", bucket=settings.storage.bucket, free_bytes=None, total_bytes=None)
    free, total = _space(settings.store_folder)
    return StoreObject(kind="folder", bucket=None, free_bytes=free, total_bytes=total)


def _space(folder: Path) -> tuple[int | None, int | None]:
    """Return the free bytes and all bytes of the folder's disk."""
    space = space_of(folder)
    return (None, None) if space is None else (space.free, space.total)


def _engines(call: Call[NoQuery, NoBody]) -> list[EngineObject]:
    busy = call.ledger.stats.cutting()
    return [
        EngineObject(
            engine_id=each.engine_id,
            host=each.host,
            version=each.version,
            encoders=each.encoders,
            encoders_busy=busy.get(each.engine_id, 0),
            stopping=each.stopping,
        )
        for each in call.ledger.engines.alive()
    ]


def _last_day(call: Call[NoQuery, NoBody]) -> LastDayObject:
    since = now_ms() - _DAY_MS
    hours = call.ledger.stats.ended(since)
    failures = call.ledger.stats.failures(since)
    return LastDayObject(
        clips_ready=sum(ready for _, ready, _ in hours),
        clips_failed=sum(failed for _, _, failed in hours),
        hours=[HourObject(at=rfc3339(at), clips_ready=ready, clips_failed=failed) for at, ready, failed in hours],
        failures=[
            FailuresObject(code=each.code, clips=each.clips, last_clip_id=each.last_clip_id) for each in failures
        ],
    )


def get_settings(call: Call[NoQuery, NoBody]) -> Response:
    return json_response(call.engine.settings.masked())


OPERATIONS = [
    Operation(
        "GET",
        "/v1/status",
        "read",
        get_status,
        "Get the status of the installation",
        [Answer(200, "The status.", StatusObject)],
    ),
    Operation(
        "GET",
        "/v1/settings",
        "read",
        get_settings,
        "Get the settings",
        [Answer(200, "The settings of this engine with all defaults. Secrets are masked.", SettingsObject)],
    ),
]
