"""Frozen dataclasses for the objects of the API. Unknown keys are ignored, but available in `raw`.

Times are RFC 3339 strings in UTC; seconds are floats on the recording's timeline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from clipengine.client.errors import JobFailed
from clipengine.clips.clip import ClipResult
from clipengine.clips.options.profiles import Render

Object = dict[str, Any]
T = TypeVar("T")

# Members of a clip's result that an older server may not send.
_UNSENT: Object = dict.fromkeys(("width", "height", "video_codec", "audio_codec", "poster_path"))
_UNSENT |= {"size_bytes": 0, "sha256": "", "encode_seconds": 0.0, "bytes_read": 0}


def format_time(time: str | datetime | None) -> str | None:
    """Return a timezone-aware `datetime` as an RFC 3339 string. Strings and None are returned unchanged."""
    if not isinstance(time, datetime):
        return time
    if time.tzinfo is None:
        raise ValueError("the datetime has no time zone: use datetime.now(UTC) instead of datetime.now()")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class _Model:
    """Base class that takes its fields from a JSON object."""

    @classmethod
    def from_object(cls, obj: Object, **bound: Any) -> Self:
        return cls(**_known(cls, obj | {"raw": obj}) | bound)


def _known(cls: type, obj: Object) -> Object:
    """Return the members of `obj` that are fields of the dataclass."""
    names = {each.name for each in fields(cls) if not each.name.startswith("_")}
    return {key: value for key, value in obj.items() if key in names}


@dataclass(frozen=True)
class _Job(_Model):
    """Base class of clips and recordings, which have a `status` and, if they failed, an `error`."""

    def raise_for_error(self) -> Self:
        """Return self. Raises JobFailed with the error's code and hint if it failed."""
        error: ClipError | None = getattr(self, "error", None)
        if error is not None:
            raise JobFailed(error.code, error.message, error.hint, retryable=error.retryable)
        return self

    @property
    def ended(self) -> bool:
        return getattr(self, "status", "") != "processing"

    @classmethod
    def from_object(cls, obj: Object, **bound: Any) -> Self:
        bound["error"] = ClipError.from_object(obj["error"]) if obj.get("error") else None
        return super().from_object(obj, **bound)


@dataclass(frozen=True)
class ClipError(_Model):
    """Reason for the failure of a clip or a recording."""

    code: str
    message: str = ""
    hint: str = ""
    retryable: bool = False


@dataclass(frozen=True)
class ClipData(_Job):
    """A clip. `status` is `processing`, `complete` (with `result`) or `failed` (with `error`)."""

    clip_id: str
    recording_id: str
    label: str
    start_seconds: float
    end_seconds: float
    status: str
    bucket_path: str | None = None
    created_at: str = ""
    completed_at: str | None = None
    progress: float = 0.0
    step: str | None = None
    profile: str = "default"
    priority: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    error: ClipError | None = None
    result: ClipResult | None = None
    expires_at: str | None = None
    request_id: str | None = None  # of the request that created it, for the server's log
    render: Render | None = None  # as requested; None for the profile's
    output: Object | None = None  # as requested; None for the profile's
    parts: list[Object] | None = None  # as requested; None for a clip of one range
    tags: list[str] = field(default_factory=list)
    snap: Object | None = None  # as requested; `result.snapped` says what each cut became
    subtitles: Object | None = None  # as requested: `mode` and `language`; `result.subtitles` lists the files
    queue: Object | None = None  # of a queued clip: `position`, `estimated_start_at`, `estimated_end_at`
    raw: Object = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_object(cls, obj: Object, **bound: Any) -> Self:
        result = (
            ClipResult.from_object(_UNSENT | {"warnings": []} | _known(ClipResult, obj["result"]))
            if obj.get("result")
            else None
        )
        return super().from_object(obj, result=result, **bound)


@dataclass(frozen=True)
class RecordingData(_Job):
    """A recording. `status` is `processing` while it is probed, then `complete` (with `media`) or `failed`."""

    recording_id: str
    status: str
    duration_seconds: float | None = None
    file_size_bytes: int | None = None
    bucket_path: str = ""
    created_at: str = ""
    completed_at: str | None = None
    name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    error: ClipError | None = None
    media: Object | None = None
    tags: list[str] = field(default_factory=list)
    expires_at: str | None = None
    fetched_bytes: int | None = None  # of its URL, so far
    pieces: Object | None = None  # the counts of a recording of many files
    started_at: str | None = None
    gaps: list[Object] = field(default_factory=list)  # of a recording of many files, at most 1,000
    gaps_count: int = 0
    variant: Object | None = None
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Webhook(_Model):
    """A webhook endpoint. `secret` is only in the response to its creation."""

    webhook_id: str
    url: str
    events: list[str] = field(default_factory=list)
    enabled: bool = True
    secret: str | None = field(default=None, repr=False)
    created_at: str = ""
    disabled_reason: str | None = None
    format: str = "json"
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Delivery(_Model):
    """The delivery of one event to one URL."""

    delivery_id: str
    status: str = ""  # pending, sending, delivered or failed
    event_id: str = ""
    event: str = ""
    webhook_id: str | None = None
    clip_id: str | None = None
    recording_id: str | None = None
    subject: str | None = None  # the clip's label, the recording's name or key, or the webhook's origin
    test: bool = False
    url: str = ""  # scheme, host and port only, without the scope admin
    created_at: str = ""
    next_at: str | None = None
    attempt: int = 0
    last_status_code: int | None = None
    last_error: str | None = None
    attempts: list[Object] = field(default_factory=list)
    payload: Object | None = None  # the request body; only from `webhooks.delivery`
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Share(_Model):
    """A link to one clip. `url`, `embed_url` and `video_url` are only in the response to its creation."""

    share_id: str
    clip_id: str = ""
    created_at: str = ""
    expires_at: str | None = None
    download: bool = True
    embed: bool = True
    views: int = 0
    last_viewed_at: str | None = None
    url: str | None = field(default=None, repr=False)
    embed_url: str | None = field(default=None, repr=False)
    video_url: str | None = field(default=None, repr=False)
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class ApiKey(_Model):
    """An API key. `key`, its text, is only in the response to its creation."""

    key_id: str
    name: str = ""
    scopes: list[str] = field(default_factory=list)
    created_at: str = ""
    last_used_at: str | None = None
    revoked_at: str | None = None
    key: str | None = field(default=None, repr=False)
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Transcript(_Model):
    """The text of a recording in one language, without its cues. `source` is upload, sidecar or embedded."""

    recording_id: str
    language: str
    source: str = "upload"
    cues: int = 0
    created_at: str = ""
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Cue(_Model):
    """A text of a transcript and its time."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class SearchHit(_Model):
    """A cue that a search has found. `highlights` has start and end of each match in `text`."""

    recording_id: str
    language: str
    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    highlights: list[list[int]] = field(default_factory=list)
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Profile(_Model):
    """An encoding profile, selected with `profile` of a clip."""

    name: str
    container: str = ""
    video: str = ""
    audio: str = ""
    max_height: int | None = None
    fps: float | None = None
    render: str = "encode"
    raw: Object = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Frames(_Model):
    """Start times of the frames in a range, including the one on screen at its start."""

    start_seconds: float
    end_seconds: float
    frames: list[float] = field(repr=False)


@dataclass(frozen=True)
class ListedPieces(_Model):
    """Files of a recording of many files, as JSON objects, in the order of their starts. `more`: there are others."""

    pieces: list[Object]
    more: bool


@dataclass(frozen=True)
class Waveform(_Model):
    """Peak levels, 0 to 1, of `points` equal parts of a range."""

    start_seconds: float
    end_seconds: float
    points: int
    peaks: list[float] = field(repr=False)


@dataclass(frozen=True)
class Ranges(_Model):
    """The ranges of a file, with `start_seconds`, `end_seconds` and `label`, and notes about what was left out."""

    data: list[Object]
    notes: list[Object] = field(default_factory=list)


@dataclass(frozen=True)
class NextMoment(_Model):
    """The next or previous keyframe, silence or scene. `seconds` is None if the searched range has none."""

    to: str
    seconds: float | None
    searched_from_seconds: float
    searched_to_seconds: float
    more: bool  # a search from `searched_to_seconds` may find more


@dataclass(frozen=True)
class Proxy(_Model):
    """A recording in H.264 and AAC, in segments that are numbered from 0. Each is made when it is first requested."""

    content_type: str
    width: int | None
    height: int | None
    duration_seconds: float
    segment_seconds: float
    segments: int


@dataclass(frozen=True)
class ClipPlan(_Model):
    """What a request for a clip would make. Each segment has `kind` (copy or encode), its times and a `reason`."""

    actual_start_seconds: float
    actual_end_seconds: float
    frames: int
    segments: list[Object]
    estimated_bytes: int
    estimated_seconds: float
    bytes_to_read: int
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    warnings: list[str] = field(default_factory=list)
    snapped: list[Object] = field(default_factory=list)  # the cuts of all parts, if `snap` was requested


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. Pass `next_cursor` as `cursor` for the next page; it is None at the end."""

    data: list[T]
    next_cursor: str | None = None

    @classmethod
    def of(cls, answer: Object, make: Callable[[Object], T]) -> Page[T]:
        return Page([make(each) for each in answer["data"]], answer.get("next_cursor"))
