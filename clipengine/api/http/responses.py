"""What the API answers, as types: the OpenAPI document shows them and the tests hold every answer against them.

The answers themselves are made by `to_object` of the values; these models are not on their way.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["processing", "complete", "failed"]
Time = Field(json_schema_extra={"format": "date-time"}, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
MaybeTime = Field(json_schema_extra={"format": "date-time"})


class _Object(BaseModel):
    """Clients ignore keys that they do not know: more may come. The tests allow none."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"additionalProperties": True})


class ErrorObject(_Object):
    code: str
    message: str
    hint: str
    retryable: bool


class ClipResultObject(_Object):
    """What the clip really is. Seconds are on the recording's timeline."""

    actual_start_seconds: float
    actual_end_seconds: float
    duration_seconds: float
    frames: int
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    size_bytes: int
    sha256: str
    poster_path: str | None
    encode_seconds: float
    bytes_read: int
    warnings: list[str] = Field(description="What the clip lacks of the recording, each as `code: text`.")


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
        description="How often it was begun: also after a wait for the store, a stop of the engine and a retry."
    )
    error: ErrorObject | None
    result: ClipResultObject | None
    expires_at: str | None = MaybeTime


class VideoObject(_Object):
    codec: str
    width: int
    height: int
    fps: float = Field(description="The usual frames per second, to three decimals.")
    frame_rate: str | None = Field(description="The same, exact, as a fraction: `30000/1001`, `50/3`, `25`.")
    variable_rate: bool
    first_frame_seconds: float | None = Field(
        description="When the first frame begins: after 0 where the sound begins before the picture. Null: not known."
    )
    rotation: int


class AudioObject(_Object):
    codec: str
    channels: int
    sample_rate: int
    language: str | None


class MediaObject(_Object):
    container: str
    video: VideoObject | None
    audio: list[AudioObject]


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


class FramesObject(_Object):
    """`frames` has the times of the frame on screen at the start and of each that begins later and before the end."""

    start_seconds: float
    end_seconds: float
    frames: list[float]


class WaveformObject(_Object):
    """`peaks` has one number for each of `points` equal parts: its loudest sample over all tracks, 0 to 1."""

    start_seconds: float
    end_seconds: float
    points: int
    peaks: list[float]


class ProfileObject(_Object):
    """A profile of the settings: what `profile` of a clip may name."""

    name: str
    container: str
    video: str
    audio: str
    max_height: int | None
    fps: float | None


class WebhookObject(_Object):
    webhook_id: str
    url: str
    events: list[str]
    enabled: bool
    origin: Literal["api", "settings"]
    created_at: str = Time
    disabled_reason: str | None
    failing_since: str | None = MaybeTime


class NewWebhookObject(WebhookObject):
    """The only answer that shows the secret."""

    secret: str


class AttemptObject(_Object):
    attempt: int
    at: str = Time
    outcome: Literal["delivered", "retry", "failed"]
    status_code: int | None
    error: str | None
    duration_ms: int


class DeliveryObject(_Object):
    """`webhook_id` is null for the address that a clip came with.

    `subject` is the clip's label, the recording's name or key, or the webhook's URL; `test` says that it is a sample.
    """

    delivery_id: str
    event_id: str
    event: str
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
    """`payload` is the body that is signed and sent."""

    payload: Any = Field(json_schema_extra={"type": "object"})


class FaultObject(_Object):
    """`pointer` (RFC 6901) in the body, or `parameter` (of the query or the path) or `header` by name, says where.

    None of them where the whole body is at fault.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    code: str
    hint: str


class ProblemObject(_Object):
    """RFC 9457. `code` is stable; `detail` says what happened and what to do, `hint` the latter alone.

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


class CheckObject(_Object):
    """`detail` is only shown to a caller with a key."""

    name: str
    ok: bool
    detail: str | None = None


class HealthObject(_Object):
    status: Literal["ok", "failing"]
    checks: list[CheckObject] | None = None


class EventObject(_Object):
    """One server-sent event's data. `clip.updated` and `recording.updated` tell of what goes on, without an id."""

    event: str
    data: dict[str, Any]
    organisation_id: str | None = None
    timestamp: str | None = None
    id: str | None = None
