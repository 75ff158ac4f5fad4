"""Clips and their plans.

The first nine keys of the clip object are a contract of the hosted API: their order, types and names are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field
from typing_extensions import TypedDict

from clipengine.clips.clip import Clip, ClipResult, QueuePlace, Step
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap, SnappedCut
from clipengine.clips.options.without import Removable
from clipengine.clips.texts.subtitles import SubtitleMode
from clipengine.objects.base import (
    ApiObject,
    JobObject,
    MaybeTime,
    Object,
    Status,
    Time,
    described,
    described_as,
    shown_time,
)


@dataclass(frozen=True)
class ErrorObject(ApiObject):
    """Reason for the failure of a clip, a recording or a transcription."""

    code: str
    message: str = ""
    """What happened."""
    hint: str = ""
    retryable: bool = False


class PartObject(TypedDict):
    """A part of a clip, as requested."""

    recording_id: str
    start_seconds: float
    end_seconds: float


class SubtitlesObject(TypedDict):
    """Subtitles that the clip was asked to have. `language` is null for all transcripts of the recording."""

    mode: SubtitleMode
    """What becomes of the transcripts."""
    language: str | None
    style: Annotated[Object | None, described_as(CaptionStyle | None)]
    """How they are drawn into the picture, as requested; null for white letters with an outline."""


class QueuePlaceObject(TypedDict):
    """The place of a clip in the queue, and rough estimates from the clips that were cut last.

    They are null while no engine cuts clips, until a first clip is complete, and of a clip that is blocked.
    """

    position: Annotated[int, Field(ge=1)]
    """1 for the clip that is cut next."""
    estimated_start_at: MaybeTime
    """When the clip is probably started."""
    estimated_end_at: MaybeTime
    """When the clip is probably complete."""
    blocked: Literal["needs_newer_engine"] | None
    """`needs_newer_engine` if it has options that no running engine knows: it waits for a newer version."""


@dataclass(frozen=True)
class ClipObject(JobObject):
    """A clip. `status` is `processing`, `complete` (with `result`) or `failed` (with `error`)."""

    clip_id: str
    recording_id: str
    label: str
    """Name of the clip."""
    start_seconds: float
    end_seconds: float
    status: Status
    """`processing` until it is `complete` or `failed`."""
    bucket_path: str | None = None
    """Key of the finished clip in the store; null until it is complete."""
    created_at: Time = ""
    completed_at: MaybeTime = None
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Finished part, 0 to 1."""
    step: Step | None = None
    """What is being done now; null after the end."""
    profile: str = "default"
    priority: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    """Number of times that the clip was started, including after outages, restarts and retries."""
    error: ErrorObject | None = None
    """Why the clip failed; null if it has not."""
    result: ClipResult | None = None
    """Facts of the finished clip; null until it is complete."""
    expires_at: MaybeTime = None
    """When it is deleted. If null: `retention.clips_days` after its end, or never if that is 0."""
    request_id: str | None = None
    """`X-Request-Id` of the request that created the clip. Null for clips of version 0.1."""
    render: Render | None = None
    """As requested; null for the profile's. `result.render` says how the clip was made."""
    output: Annotated[Object | None, described_as(Output | None)] = None
    """As requested, only with the given options; null for the profile's."""
    parts: list[PartObject] | None = None
    """As requested; null for a clip of one range."""
    tags: list[str] = field(default_factory=list)
    snap: Annotated[Object | None, described_as(Snap | None)] = None
    """As requested. `result.snapped` says what each cut became."""
    subtitles: SubtitlesObject | None = None
    """As requested; null if not given, which keeps all transcripts. `result.subtitles` lists the files."""
    queue: QueuePlaceObject | None = None
    """Of a queued clip, in GET and PATCH. Null otherwise, in events, and after the first 10,000 of the queue."""
    wait_until: MaybeTime = None
    """How long it waits, or has waited, for its recording, which is still written; null if it need not wait."""
    start_time: MaybeTime = None
    """Where it begins by the clock of its recording when the clip was created; null if that was unknown."""
    end_time: MaybeTime = None
    """Where it ends by that clock. Both are null for `parts`, unless these are of recordings of a series."""
    without: list[Removable] = field(default_factory=list)
    """As requested. `result.removed_seconds` says how much was removed."""
    variant_of: str | None = None
    """The clip of which it is a variant, with other options; null for other clips. That clip may be deleted."""
    revision: int = 0
    """Number of the state, higher after each change. Of two answers or events, the higher one is the newer state."""
    created_by: str | None = None
    waits_for: list[str] = field(default_factory=list)
    """Failing checks of `/readyz` for which it waits, such as `store`. Empty after the end, in lists and in events."""

    parsers: ClassVar = {"error": ErrorObject.from_object, "result": ClipResult.from_object}

    @classmethod
    def of(cls, clip: Clip, /, queue: QueuePlace | None = None, *, waits_for: Sequence[str] = (), **given: Any) -> Self:
        return super().of(
            clip,
            start_seconds=float(clip.start_seconds),
            end_seconds=float(clip.end_seconds),
            status=clip.state if clip.ended else "processing",
            bucket_path=clip.object_key if clip.state == "complete" else None,
            error=clip.error and ErrorObject.from_object(clip.error),
            output=clip.output and clip.output.to_object(),
            parts=[{**vars(part)} for part in clip.parts] or None,
            snap=clip.snap and clip.snap.model_dump(),
            subtitles=clip.subtitles_object(),
            queue=queue and _place(queue),
            without=[*clip.without.kinds],
            waits_for=[*waits_for],
            **given,
        )


def _place(queue: QueuePlace) -> QueuePlaceObject:
    start, end = shown_time(queue.start_at), shown_time(queue.end_at)
    blocked: Literal["needs_newer_engine"] | None = "needs_newer_engine" if queue.is_blocked else None
    return QueuePlaceObject(position=queue.position, estimated_start_at=start, estimated_end_at=end, blocked=blocked)


class ClipsObject(TypedDict):
    """The clips of one request, in its order."""

    data: list[ClipObject]


@described
class DeletedClipsObject(TypedDict):
    """Result of a request to delete clips."""

    deleted: list[str]
    """Ids of the clips that were deleted."""
    not_found: list[str]
    """Ids that no clip has, for example because it was deleted before."""


class SegmentObject(TypedDict):
    """A segment of a part, counted from 0, on its recording's timeline. `reason` says why all is encoded."""

    part: int
    """Number of the part, from 0."""
    kind: Literal["copy", "encode"]
    """`copy` or `encode`."""
    start_seconds: float
    end_seconds: float
    reason: str | None
    """Why all of the part is encoded; null if it is not."""


class RemovedRangeObject(TypedDict):
    """A range that is removed from the clip, on the timeline of its recording."""

    part: int
    """Number of the part, from 0."""
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class ClipPlanObject(ApiObject):
    """Plan of a clip. Sizes and times are estimates."""

    actual_start_seconds: float
    actual_end_seconds: float
    duration_seconds: float
    """Length of the clip, which depends on the speed of its output."""
    frames: int
    width: int | None
    height: int | None
    segments: list[SegmentObject]
    """What is copied and what is encoded."""
    estimated_bytes: int
    """Size of the clip's file."""
    estimated_seconds: float
    """Time that the clip takes once it is started, on an idle engine."""
    bytes_to_read: int
    """Bytes of the recording that are read, without its index."""
    warnings: list[str]
    snapped: Annotated[list[Object], described_as(list[SnappedCut])] = field(default_factory=list)
    """The cuts of all parts, if `snap` was requested."""
    removed: list[RemovedRangeObject] = field(default_factory=list)
    """The ranges that are removed, at most 5,000, if `without` was requested."""
    frames_exact: bool = False
    """False if `frames` is an estimate, because the range is longer than 10 minutes or larger than 32 MB."""
