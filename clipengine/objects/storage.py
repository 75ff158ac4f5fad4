"""What the store contains, and what becomes of it."""

from __future__ import annotations

from typing_extensions import TypedDict

from clipengine.objects.base import Time, described


@described
class AmountObject(TypedDict):
    """Objects of one kind."""

    count: int
    """Number of them."""
    bytes: int
    """Their size together."""


@described
class LargeRecordingObject(TypedDict):
    """One of the largest recordings. A recording of many files has the size of its playlist."""

    recording_id: str
    name: str
    bytes: int
    """Its size."""


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
    """What expires within some days: at its `expires_at`, or by `retention.clips_days`."""

    within_days: int
    """Number of days from now."""
    clips: AmountObject
    """Clips, with their objects."""
    recordings: AmountObject
    """Recordings. Only objects of uploaded ones are deleted."""


@described
class StorageDayObject(TypedDict):
    """A day, with what there was at its end. The last one is today."""

    at: Time
    """Start of the day, UTC."""
    recordings: AmountObject
    """Recordings."""
    clips: AmountObject
    """Complete clips."""


@described
class StorageObject(TypedDict):
    """What the store and the data folder contain."""

    recordings: AmountObject
    """Recordings, by the size that their objects had when they were registered."""
    clips: AmountObject
    """Complete clips, without posters, subtitles and manifests."""
    previews: AmountObject
    """Previews and proxies in the cache of this engine, which `previews.max_bytes` limits."""
    transcripts: int
    """Number of transcripts, which are in the ledger."""
    ledger_bytes: int
    """Size of the ledger."""
    largest_recordings: list[LargeRecordingObject]
    """The ten largest ones, largest first."""
    largest_clips: list[LargeClipObject]
    """The ten largest ones, largest first."""
    removed: list[RemovedObject]
    """What expires within 1, 7 and 30 days, each including the one before."""
    history: list[StorageDayObject]
    """The last 30 days that are known, oldest first."""
