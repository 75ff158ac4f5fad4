"""State and settings of the installation, and checks of its engines."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from clipengine.objects.base import Time, described


class CheckObject(TypedDict):
    """One check of `/readyz`. `detail` is only shown to callers with a key."""

    name: str
    """Name of the check."""
    ok: bool
    detail: NotRequired[str | None]
    """What was found, for callers with a key."""


@described
class HealthObject(TypedDict):
    """Whether the process answers, or whether the engine can work."""

    status: Literal["ok", "failing"]
    """`ok` if every check has passed."""
    checks: NotRequired[list[CheckObject] | None]


class QueueObject(TypedDict):
    """Work that has not ended, at all engines."""

    clips_queued: int
    """Number of clips that wait."""
    clips_running: int
    """Number of clips that are being cut or uploaded."""
    oldest_queued_seconds: float
    """Longest wait of a queued clip that is due."""
    clips_set_aside: int
    """Number of clips that have not ended and wait for a newer version of the engine."""
    recordings_processing: int
    """Number of recordings that are being probed."""
    recordings_set_aside: int
    """Number of recordings that a newer version of the engine must probe or follow."""
    removals_pending: int
    """Objects that must still be deleted."""


class EngineObject(TypedDict):
    """An engine that is alive. `version` and `encoders` are null for engines of version 0.1."""

    engine_id: str
    host: str
    """Name of its machine."""
    version: str | None
    encoders: int | None
    """Clips that it cuts at the same time."""
    encoders_busy: int
    """Clips that it is cutting now."""
    stopping: bool
    """It finishes its jobs and takes no new ones."""


class DiskObject(TypedDict):
    """Disk of the data folder of this engine. New work is refused below `min_free_bytes`."""

    free_bytes: int | None
    total_bytes: int | None
    min_free_bytes: int
    """`limits.min_free_bytes` of the settings."""


class StoreObject(TypedDict):
    """The store of recordings and clips: a folder with the size of its disk, or a bucket."""

    kind: Literal["folder", "s3"]
    """`folder` or `s3`."""
    bucket: str | None
    """Name of the bucket; null for a folder."""
    free_bytes: int | None
    total_bytes: int | None


class OutboxObject(TypedDict):
    """Webhook deliveries that have not ended."""

    deliveries_pending: int
    """Number of deliveries."""
    oldest_delivery_seconds: float
    """Age of the oldest one in seconds."""


class WatchObject(TypedDict):
    """What the watch of this engine has left out in its last scans. The log names each object once."""

    left_out: int
    """Files and folders that it cannot read, whose names it cannot understand, or that are beyond its limits."""


class HourObject(TypedDict):
    """The clips that ended in one hour."""

    at: Time
    """Start of the hour."""
    clips_ready: int
    clips_failed: int


class FailuresObject(TypedDict):
    """Clips that failed with one code. The last of them may have been deleted or retried since."""

    code: str
    clips: int
    """Number of clips."""
    last_clip_id: str
    """Id of the clip that failed last."""


class LastDayObject(TypedDict):
    """Clips that ended in the last 24 hours. `hours` has no entry for an hour without any."""

    clips_ready: int
    clips_failed: int
    hours: list[HourObject]
    """By hour, oldest first."""
    failures: list[FailuresObject]
    """Most frequent first."""


@described
class StatusObject(TypedDict):
    """State of the installation. `checks`, `version`, `disk`, `store` and `watch` are of this engine."""

    status: Literal["ok", "failing"]
    """`ok` if every check has passed."""
    version: str
    engine_id: str
    checks: list[CheckObject]
    queue: QueueObject
    """Work that has not ended."""
    engines: list[EngineObject]
    """The engines that are alive."""
    disk: DiskObject
    """Disk of the data folder."""
    store: StoreObject
    """The store of recordings and clips."""
    webhooks: OutboxObject
    """Deliveries that have not ended."""
    watch: WatchObject
    """What the watch has left out."""
    last_day: LastDayObject
    """Clips that ended in the last 24 hours."""


@with_config(ConfigDict(extra="allow"))
class SettingsObject(TypedDict):
    """The tables of the settings, as in `clipengine.toml`."""
