"""Response types. The OpenAPI document is made from them, and the tests validate every response with them.

Responses are built by `to_object` of the values, without these models.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipengine.clips.clip import ClipResult, EventType, MessageFormat
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap, SnappedCut
from clipengine.clips.texts.subtitles import SubtitleMode
from clipengine.ledger.keys import Scope
from clipengine.recordings.pieces import GapReason

Status = Literal["processing", "complete", "failed"]
Time = Field(json_schema_extra={"format": "date-time"}, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
MaybeTime = Field(json_schema_extra={"format": "date-time"})


class _Object(BaseModel):
    """Base of all objects. Clients must ignore unknown keys; the tests reject them."""

    model_config = ConfigDict(
        extra="forbid", strict=True, defer_build=True, json_schema_extra={"additionalProperties": True}
    )


class ErrorObject(_Object):
    code: str
    message: str
    hint: str
    retryable: bool


class PartObject(_Object):
    recording_id: str
    start_seconds: float
    end_seconds: float


class SubtitlesObject(_Object):
    """Subtitles that the clip was asked to have. `language` is null for all transcripts of the recording."""

    mode: SubtitleMode
    language: str | None


class QueuePlaceObject(_Object):
    """The place of a clip in the queue, and rough estimates from the clips that were cut last.

    They are null while no engine cuts clips, and until a first clip is complete.
    """

    position: int = Field(ge=1, description="1 for the clip that is cut next.")
    estimated_start_at: str | None = MaybeTime
    estimated_end_at: str | None = MaybeTime


class ClipObject(_Object):
    clip_id: str
    recording_id: str
    label: str
    start_seconds: float
    end_seconds: float
    status: Status
    bucket_path: str | None
    created_at: str = Time
    completed_at: str | None = MaybeTime
    progress: float = Field(ge=0, le=1)
    step: Literal["queued", "reading", "encoding", "verifying", "uploading"] | None
    profile: str
    priority: int
    metadata: dict[str, str]
    attempt: int = Field(
        description="Number of times that the clip was started, including after outages, restarts and retries."
    )
    error: ErrorObject | None
    result: ClipResult | None
    expires_at: str | None = MaybeTime
    request_id: str | None = Field(
        description="`X-Request-Id` of the request that created the clip. Null for clips of version 0.1."
    )
    render: Render | None = Field(
        description="As requested; null for the profile's. `result.render` says how the clip was made."
    )
    output: Output | None = Field(description="As requested, only with the given options; null for the profile's.")
    parts: list[PartObject] | None = Field(description="As requested; null for a clip of one range.")
    tags: list[str]
    snap: Snap | None = Field(description="As requested. `result.snapped` says what each cut became.")
    subtitles: SubtitlesObject | None = Field(
        description="As requested; null if not given, which keeps all transcripts. `result.subtitles` lists the files."
    )
    queue: QueuePlaceObject | None = Field(
        description="Of a queued clip, in responses of GET and PATCH. Null in all others, in events and in webhooks, "
        "and after the first 10,000 clips of the queue."
    )


class ClipsObject(_Object):
    data: list[ClipObject]


class DeletedClipsObject(_Object):
    deleted: list[str]
    not_found: list[str] = Field(description="Ids that no clip has, for example because it was deleted before.")


class ShareObject(_Object):
    """A link to one clip. `views` counts the times that its page or its player was opened."""

    share_id: str
    clip_id: str
    created_at: str = Time
    expires_at: str | None = MaybeTime
    download: bool
    embed: bool
    views: int
    last_viewed_at: str | None = MaybeTime


class NewShareObject(ShareObject):
    """The only response that contains the link. `embed_url` is null if the clip may not be embedded."""

    url: str = Field(examples=["https://clips.example.org/s/2mQx…"])
    embed_url: str | None
    video_url: str


class VideoObject(_Object):
    codec: str
    width: int
    height: int
    fps: float = Field(description="Nominal frames per second, to three decimals.")
    frame_rate: str | None = Field(description="The exact rate as a fraction: `30000/1001`, `50/3`, `25`.")
    variable_rate: bool
    first_frame_seconds: float | None = Field(
        description="Time of the first frame; above 0 if audio begins before video. Null if unknown."
    )
    rotation: int


class AudioObject(_Object):
    codec: str
    channels: int
    sample_rate: int
    language: str | None


class ChapterObject(_Object):
    start_seconds: float
    end_seconds: float
    title: str


class MediaObject(_Object):
    container: str
    video: VideoObject | None
    audio: list[AudioObject]
    chapters: list[ChapterObject] = Field(description="At most 500, on the recording's timeline.")


class PiecesObject(_Object):
    count: int = Field(description="Segments.")
    runs: int = Field(description="Unbroken stretches.")
    tracks: int
    bytes: int


class VariantObject(_Object):
    max_height: int | None = Field(default=None, description="The largest one up to this height.")
    name: str | None = Field(default=None, description="The one with this `NAME`.")


class GapObject(_Object):
    start_seconds: float
    end_seconds: float
    reason: GapReason = Field(
        description="`missing`: segments are not in the store. `encrypted`: they cannot be read. `paused`: the dates "
        "of the playlist jump."
    )


class RecordingObject(_Object):
    recording_id: str
    status: Status
    duration_seconds: float | None
    file_size_bytes: int
    bucket_path: str
    created_at: str = Time
    completed_at: str | None = MaybeTime
    name: str | None
    metadata: dict[str, str]
    etag: str
    error: ErrorObject | None
    media: MediaObject | None
    tags: list[str]
    expires_at: str | None = MaybeTime
    fetched_bytes: int | None = Field(
        description="Bytes fetched from its URL so far, of `file_size_bytes`, which is 0 while it is unknown. "
        "Null for an object that was in the store already."
    )
    pieces: PiecesObject | None = Field(description="Null for one file.")
    started_at: str | None = Field(
        description="When the recording began, by its file or its playlist.",
        json_schema_extra={"format": "date-time"},
    )
    gaps: list[GapObject] = Field(description="Ranges without media of a recording of many files. At most 1,000.")
    gaps_count: int = Field(description="The number of all gaps.")
    variant: VariantObject | None = Field(description="Of a master playlist, as requested.")


class PieceObject(_Object):
    """A file of a recording, or a range of its bytes. `run` counts the unbroken stretches of its track."""

    track: int
    run: int
    key: str
    etag: str
    offset: int
    length: int
    start_seconds: float
    duration_seconds: float


class ListedPiecesObject(_Object):
    pieces: list[PieceObject] = Field(description="In the order of their starts; empty for one file.")
    more: bool = Field(description="There are further ones, after the start of the last one.")


class TranscriptObject(_Object):
    """The text of a recording in one language. `source` says where it comes from."""

    recording_id: str
    language: str = Field(description="BCP 47 tag, in its canonical form.")
    source: Literal["upload", "sidecar", "embedded"]
    cues: int
    created_at: str = Time


class SearchHitObject(_Object):
    """A cue that contains the words. `highlights` has start and end of each match in `text`, in code points."""

    recording_id: str
    language: str
    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None
    highlights: list[list[int]]


class RangeObject(_Object):
    """A range of a file. `label` is empty if the file names none."""

    start_seconds: float
    end_seconds: float
    label: str = Field(description="Its name in the file.")


class RangeNoteObject(_Object):
    """What was left out of a file. `line` is null if it concerns more than one line."""

    line: int | None = Field(description="Number of the line, from 1 on.")
    detail: str = Field(description="What was left out, and why.")


class RangesObject(_Object):
    """The ranges of a file, in its order, within the recording."""

    data: list[RangeObject]
    notes: list[RangeNoteObject] = Field(description="What was left out of the file.")


class FramesObject(_Object):
    """`frames` lists the times of the frame on screen at the start and of each later frame before the end."""

    start_seconds: float
    end_seconds: float
    frames: list[float] = Field(examples=[[5.0, 5.04, 5.08]])


class NextMomentObject(_Object):
    """The next or previous keyframe, silence or scene. `seconds` is null if the searched range has none."""

    to: Literal["keyframe", "silence", "scene"]
    seconds: float | None
    searched_from_seconds: float
    searched_to_seconds: float = Field(description="The moment, or the end of the search.")
    more: bool = Field(description="The recording goes on there: a search from `searched_to_seconds` may find more.")


class SegmentObject(_Object):
    """A segment of a part, counted from 0, on its recording's timeline. `reason` says why all is encoded."""

    part: int
    kind: Literal["copy", "encode"]
    start_seconds: float
    end_seconds: float
    reason: str | None


class ClipPlanObject(_Object):
    """What a request for a clip would make. The frames at a variable rate, sizes and times are estimates."""

    actual_start_seconds: float
    actual_end_seconds: float
    duration_seconds: float = Field(description="Length of the clip, which depends on the speed of its output.")
    frames: int
    width: int | None
    height: int | None
    segments: list[SegmentObject]
    estimated_bytes: int = Field(description="Size of the clip's file.")
    estimated_seconds: float = Field(description="Time that the clip takes once it is started, on an idle engine.")
    bytes_to_read: int = Field(description="Bytes of the recording that are read, without its index.")
    warnings: list[str]
    snapped: list[SnappedCut] = Field(description="The cuts of all parts, if `snap` was requested.")


class WaveformObject(_Object):
    """`peaks` has the loudest sample over all tracks, 0 to 1, for each of `points` equal parts."""

    start_seconds: float
    end_seconds: float
    points: int
    peaks: list[float]


class ProxyObject(_Object):
    """Proxy of a recording: an initialization segment and numbered ones, which are played one after the other."""

    content_type: str = Field(description="Media type with its codecs, for `MediaSource.isTypeSupported`.")
    width: int | None
    height: int | None
    duration_seconds: float
    segment_seconds: float = Field(
        description="Segment `n` begins within a frame of `n` times this. The last one may be half a second longer."
    )
    segments: int = Field(description="Segments are numbered from 0.")


class ProfileObject(_Object):
    """A profile of the settings, selected by `profile` of a clip."""

    name: str
    container: str
    video: str
    audio: str
    max_height: int | None
    fps: float | None
    render: Render


class IgnoredObject(_Object):
    """An object that an event announced and that is not registered."""

    key: str
    reason: Literal["other_bucket", "own_object", "not_media", "missing", "failed", "other_event", "piece", "not_ended"]


class IngestObject(_Object):
    """The recordings of an event, new ones and those that it had already, and what is ignored of it."""

    recording_ids: list[str]
    ignored: list[IgnoredObject]


class CheckObject(_Object):
    """One check of `/readyz`. `detail` is only shown to callers with a key."""

    name: str
    ok: bool
    detail: str | None = None


class KeyObject(_Object):
    """An API key without its text, which is not stored."""

    key_id: str
    name: str
    scopes: list[Scope]
    created_at: str = Time
    last_used_at: str | None = MaybeTime
    revoked_at: str | None = MaybeTime


class NewKeyObject(KeyObject):
    """The only response that contains the key."""

    key: str


class QueueObject(_Object):
    """Work that has not ended, at all engines."""

    clips_queued: int
    clips_running: int
    oldest_queued_seconds: float = Field(description="Longest wait of a queued clip that is due.")
    recordings_processing: int
    removals_pending: int = Field(description="Objects that must still be deleted.")


class EngineObject(_Object):
    """An engine that is alive. `version` and `encoders` are null for engines of version 0.1."""

    engine_id: str
    host: str
    version: str | None
    encoders: int | None = Field(description="Clips that it cuts at the same time.")
    encoders_busy: int
    stopping: bool


class DiskObject(_Object):
    """Disk of the data folder of this engine. New work is refused below `min_free_bytes`."""

    free_bytes: int | None
    min_free_bytes: int


class StoreObject(_Object):
    """The store of recordings and clips: a folder with the free bytes of its disk, or a bucket."""

    kind: Literal["folder", "s3"]
    bucket: str | None
    free_bytes: int | None


class OutboxObject(_Object):
    """Webhook deliveries that have not ended."""

    deliveries_pending: int
    oldest_delivery_seconds: float


class HourObject(_Object):
    at: str = Time
    clips_ready: int
    clips_failed: int


class FailuresObject(_Object):
    """Clips that failed with one code. The last of them may have been deleted or retried since."""

    code: str
    clips: int
    last_clip_id: str


class LastDayObject(_Object):
    """Clips that ended in the last 24 hours. `hours` has no entry for an hour without any."""

    clips_ready: int
    clips_failed: int
    hours: list[HourObject]
    failures: list[FailuresObject] = Field(description="Most frequent first.")


class StatusObject(_Object):
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


class SettingsObject(_Object):
    """The tables of the settings, as in `clipengine.toml`."""

    model_config = ConfigDict(extra="allow")


class WebhookObject(_Object):
    webhook_id: str
    url: str
    events: list[EventType]
    enabled: bool
    origin: Literal["api", "settings"]
    created_at: str = Time
    disabled_reason: str | None
    failing_since: str | None = MaybeTime
    format: MessageFormat


class NewWebhookObject(WebhookObject):
    """The only response that contains the secret."""

    secret: str


class AttemptObject(_Object):
    attempt: int
    at: str = Time
    outcome: Literal["delivered", "retry", "failed"]
    status_code: int | None
    error: str | None
    duration_ms: int


class DeliveryObject(_Object):
    """A delivery. `webhook_id` is null for the `webhook_url` of a clip.

    `subject` is the label of the clip, the name or key of the recording, or the origin of the webhook's URL. `test` is
    true for a sample. `url` is only scheme, host and port for a key without the scope `admin`.
    """

    delivery_id: str
    event_id: str
    event: EventType
    webhook_id: str | None
    clip_id: str | None
    recording_id: str | None
    subject: str | None
    test: bool
    url: str
    status: Literal["pending", "sending", "delivered", "failed"]
    attempt: int
    created_at: str = Time
    next_at: str | None = MaybeTime
    last_status_code: int | None
    last_error: str | None
    attempts: list[AttemptObject]


class DeliveryPayloadObject(DeliveryObject):
    """A delivery with `payload`, the body that is signed and sent."""

    payload: Any = Field(json_schema_extra={"type": "object"})


class FaultObject(_Object):
    """One error of a request, at a `pointer` (RFC 6901) in the body, a `parameter` or a `header`.

    None of the three is present if the whole body is wrong.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    code: str
    hint: str


class ProblemObject(_Object):
    """Problem document (RFC 9457). `code` is stable; `detail` says what happened and ends with `hint`, what to do.

    `errors` lists at most 20 faults of the request; `errors_omitted` counts the others.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    hint: str | None = None
    errors: list[FaultObject] | None = None
    errors_omitted: int | None = None
    request_id: str | None = None


class HealthObject(_Object):
    status: Literal["ok", "failing"]
    checks: list[CheckObject] | None = None


class EventObject(_Object):
    """Data of a server-sent event. `clip.updated` and `recording.updated` report progress and have no id."""

    event: str
    data: dict[str, Any]
    organisation_id: str | None = None
    timestamp: str | None = None
    id: str | None = None
