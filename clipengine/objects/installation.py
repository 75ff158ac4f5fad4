"""State and settings of the installation, and checks of its engines."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from clipengine.objects.base import Time


class CheckObject(TypedDict):
    """One check of `/readyz`. `detail` is only shown to callers with a key."""

    name: str
    ok: bool
    detail: NotRequired[str | None]


class HealthObject(TypedDict):
    """Whether the process answers, or whether the engine can work."""

    status: Literal["ok", "failing"]
    checks: NotRequired[list[CheckObject] | None]


class QueueObject(TypedDict):
    """Work that has not ended, at all engines."""

    clips_queued: int
    clips_running: int
    oldest_queued_seconds: Annotated[float, Field(description="Longest wait of a queued clip that is due.")]
    recordings_processing: int
    removals_pending: Annotated[int, Field(description="Objects that must still be deleted.")]


class EngineObject(TypedDict):
    """An engine that is alive. `version` and `encoders` are null for engines of version 0.1."""

    engine_id: str
    host: str
    version: str | None
    encoders: Annotated[int | None, Field(description="Clips that it cuts at the same time.")]
    encoders_busy: int
    stopping: bool


class DiskObject(TypedDict):
    """Disk of the data folder of this engine. New work is refused below `min_free_bytes`."""

    free_bytes: int | None
    min_free_bytes: int


class StoreObject(TypedDict):
    """The store of recordings and clips: a folder with the free bytes of its disk, or a bucket."""

    kind: Literal["folder", "s3"]
    bucket: str | None
    free_bytes: int | None


class OutboxObject(TypedDict):
    """Webhook deliveries that have not ended."""

    deliveries_pending: int
    oldest_delivery_seconds: float


class HourObject(TypedDict):
    """The clips that ended in one hour."""

    at: Time
    clips_ready: int
    clips_failed: int


class FailuresObject(TypedDict):
    """Clips that failed with one code. The last of them may have been deleted or retried since."""

    code: str
    clips: int
    last_clip_id: str


class LastDayObject(TypedDict):
    """Clips that ended in the last 24 hours. `hours` has no entry for an hour without any."""

    clips_ready: int
    clips_failed: int
    hours: list[HourObject]
    failures: Annotated[list[FailuresObject], Field(description="Most frequent first.")]


class StatusObject(TypedDict):
    """State of the installation. `checks`, `version`, `disk` and `store` are those of the engine that answers."""

    status: Literal["ok", "failing"]
    version: str
    engine_id: str
    checks: list[CheckObject]
    queue: QueueObject
    engines: list[EngineObject]
    disk: DiskObject
    store: StoreObject
    webhooks: OutboxObject
    last_day: LastDayObject


@with_config(ConfigDict(extra="allow"))
class SettingsObject(TypedDict):
    """The tables of the settings, as in `clipengine.toml`."""
