"""Use of the store."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from clipengine.objects.base import Time, described

LimitLevel = Literal["ok", "warning", "unmet"]


@described
class AmountObject(TypedDict):
    """Objects of one kind."""

    count: int
    """Number of them."""
    bytes: int
    """Their size together."""


@described
class LargeRecordingObject(TypedDict):
    """One of the largest recordings."""

    recording_id: str
    name: str
    bytes: int
    """Its size; of a recording of many files, that of all files."""


@described
class LargeClipObject(TypedDict):
    """One of the largest clips."""

    clip_id: str
    label: str
    """Its label."""
    bytes: int
    """Its size."""


@described
class RemovedObject(TypedDict):
    """Clips and recordings that expire within some days, at `expires_at` or by `retention`."""

    within_days: int
    """Number of days from now."""
    clips: AmountObject
    """Clips, with their objects."""
    recordings: AmountObject
    """Recordings. Only objects of uploaded ones are deleted."""


@described
class StorageDayObject(TypedDict):
    """Use of the store at the end of a day. The last day is today."""

    at: Time
    """Start of the day, UTC."""
    recordings: AmountObject
    """Recordings."""
    clips: AmountObject
    """Complete clips."""


@described
class StorageLimitObject(TypedDict):
    """The limit of the bytes of clips, and their use."""

    max_clips_bytes: int
    """`retention.max_clips_bytes`."""
    clips: AmountObject
    """Complete clips, without posters, subtitles and manifests."""


@described
class ClipLimitObject(TypedDict):
    """The limit of the bytes of clips."""

    max_bytes: int
    """`retention.max_clips_bytes`."""
    state: LimitLevel
    """`warning` from 80 % of the limit on; `unmet` while clips use more and none may be deleted."""


@described
class StorageObject(TypedDict):
    """Contents of the store and of the data folder."""

    recordings: AmountObject
    """Recordings, by the size that their objects had when they were registered."""
    clips: AmountObject
    """Complete clips, without posters, subtitles and manifests."""
    clips_limit: ClipLimitObject | None
    """The limit of the bytes of clips; null if none is set."""
    previews: AmountObject
    """Previews and proxies in the cache of this engine, which `previews.max_bytes` limits."""
    transcripts: int
    """Number of transcripts, which are in the ledger."""
    used_bytes: int | None
    """Used bytes of the disk of a folder store, without blocks that are reserved for root; null if unknown."""
    ledger_bytes: int
    """Size of the ledger."""
    largest_recordings: list[LargeRecordingObject]
    """The ten largest ones, largest first."""
    largest_clips: list[LargeClipObject]
    """The ten largest ones, largest first."""
    removed: list[RemovedObject]
    """Objects that expire within 1, 7 and 30 days, each including the days before."""
    history: list[StorageDayObject]
    """The last 30 days that are known, oldest first."""
