"""Requests for clips: their fields, and the queries of their lists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import (
    LINE,
    MAX_TOKENS,
    SORT,
    SYNTAX,
    UNIQUE,
    Address,
    Body,
    Changes,
    Filter,
    Language,
    Line,
    ListFilters,
    ListQuery,
    Metadata,
    Moment,
    PageQuery,
    Query,
    Tags,
    Words,
    distinct,
    like,
    one_of,
    seconds,
)
from clipengine.clips.edit import MAX_PARTS, MAX_RECORDINGS, Part
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import MAX_POINTS, Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import MAX_REMOVED, KeptRange, Removable, Without
from clipengine.clips.request import ClipRequest, GapMode, TimeRange
from clipengine.clips.spec import OnTimeout
from clipengine.clips.texts.subtitles import SubtitleMode

MAX_BATCH = 100
MAX_SERIES = 20  # of one request
KEPT_TOKENS = MAX_REMOVED * 8
POINTS_TOKENS = 2 * MAX_POINTS * 12  # of a moving focus and of boxes: names, braces and commas
_RANGE = {"start_seconds": "number", "end_seconds": "number"}
_TIMES = {"start_time": "string", "end_time": "string"}
_ANY_RANGE = one_of({"last_seconds": "number"}, {"parts": "array"}, _TIMES, _RANGE)


class SubtitlesOfClip(Body):
    mode: SubtitleMode = Field(
        default="keep",
        description="`keep`: a text track for each transcript of the recording, if the container has text tracks, and "
        "a WebVTT file beside the clip. `burn`: the transcript in one language is drawn into the picture, and nothing "
        "else is kept. `none`: no subtitles.",
    )
    language: Language | None = Field(
        default=None,
        description="Only the transcript in this language. Default: all; `burn` needs a language if there are several.",
    )
    style: CaptionStyle | None = Field(
        default=None,
        description="How `burn` draws the text. Default: white letters with a dark outline.",
    )


def _instead_of(*others: str) -> AfterValidator:
    """Return the validator that requires a value without the fields `others`, and none with one of them."""

    def check(value: float | None, info: ValidationInfo) -> float | None:
        given = [name for name in others if info.data.get(name) is not None]
        if given and value is not None:
            other = "start_time and end_time" if given[0] in _TIMES else given[0]
            raise PydanticCustomError("exclusive", "must not be given together with {other}", {"other": other})
        if not given and value is None and all(name in info.data for name in others):
            raise PydanticCustomError("missing", "is required")
        return value

    return AfterValidator(check)


def _time_without_parts(value: int | None, info: ValidationInfo) -> int | None:
    """Require both times or none, and none with `parts` or `last_seconds`."""
    others = [name for name in ("parts", "last_seconds") if info.data.get(name) is not None]
    if value is not None and others:
        raise PydanticCustomError("exclusive", "must not be given together with {other}", {"other": others[0]})
    if (
        info.field_name == "end_time"
        and "start_time" in info.data
        and value is None
        and info.data["start_time"] is not None
    ):
        raise PydanticCustomError("missing", "is required with start_time")
    if info.field_name == "end_time" and value is not None and info.data.get("start_time", 0) is None:
        raise PydanticCustomError("missing", "needs start_time")
    return value


WrittenTime = Annotated[
    Moment | None,
    AfterValidator(_time_without_parts),
]
PartSeconds = Annotated[Annotated[float, BeforeValidator(seconds)] | None, _instead_of("start_time", "end_time")]
RangeSeconds = Annotated[
    Annotated[float, BeforeValidator(seconds)] | None, _instead_of("parts", "last_seconds", "start_time", "end_time")
]
_START_TIME = "By the clock of the recording, with a UTC offset. Replaces `start_seconds`."
_END_TIME = "End by the clock of the recording, exclusive. Replaces `end_seconds`."


class ClipPart(Body):
    """A range of a recording."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False, **one_of(_TIMES, _RANGE)})

    recording_id: str | None = Field(
        default=None, min_length=1, max_length=200, description="Default: the recording of the clip."
    )
    start_time: WrittenTime = Field(default=None, description=_START_TIME)
    end_time: WrittenTime = Field(default=None, validate_default=True, description=_END_TIME)
    start_seconds: PartSeconds = Field(
        default=None,
        validate_default=True,
        description="On the recording's timeline. The part begins on the nearest frame.",
    )
    end_seconds: PartSeconds = Field(default=None, validate_default=True, description="End of the part, exclusive.")

    @property
    def times(self) -> TimeRange | None:
        return None if self.start_time is None or self.end_time is None else (self.start_time, self.end_time)

    def of(self, recording_id: str) -> Part:
        """Return the part, without seconds if it has times."""
        return Part(self.recording_id or recording_id, self.start_seconds or 0.0, self.end_seconds or 0.0)


def _without_parts(value: float | None, info: ValidationInfo) -> float | None:
    if value is not None and info.data.get("parts") is not None:
        raise PydanticCustomError("exclusive", "must not be given together with parts")
    return value


LastSeconds = Annotated[Annotated[float, Field(gt=0), BeforeValidator(seconds)] | None, AfterValidator(_without_parts)]
Removables = Annotated[list[Removable], Field(max_length=2, json_schema_extra=UNIQUE), AfterValidator(distinct)]


class ClipLook(Body):
    """What a clip is, for any recording."""

    max_bytes = None  # metadata alone may be 100 x 2,100 characters
    max_members, max_tokens = MAX_REMOVED, MAX_TOKENS + POINTS_TOKENS + KEPT_TOKENS

    label: str = Field(
        description="1 to 200 characters, no control characters. Part of the name of the object.",
        json_schema_extra={"minLength": 1, "maxLength": 200, **LINE},
    )
    profile: str = Field(
        default="default", description="Name of a profile in the settings.", json_schema_extra={"minLength": 1}
    )
    metadata: Metadata = Field(default={})
    tags: Tags = Field(default=[])
    webhook_url: Address | None = Field(
        default=None, description="Also receives the webhooks of this clip, signed with the engine's secret."
    )
    render: Render | None = Field(
        default=None,
        description="`smart` copies whole GOPs of the recording and encodes only the frames at the cuts, if possible. "
        "`auto` does the same without a warning. `encode` encodes all. Default: the profile's.",
    )
    output: Output | None = Field(
        default=None, description="Changes of the picture and the audio. Default: the profile's."
    )
    subtitles: SubtitlesOfClip = Field(
        default=SubtitlesOfClip(), description="What becomes of the recording's transcripts. Default: they are kept."
    )
    snap: Snap | None = Field(
        default=None,
        description="Move the start and the end of each part to the nearest such moment, or warn (`not_snapped`).",
    )
    without: Removables = Field(
        default=[],
        description="Remove `silence` (pauses over 0.6 s become 0.2 s long) or `fillers` (words such as um).",
    )
    gaps: GapMode = Field(
        default="hold",
        description="Gaps of a recording of many files: `hold` the last frame, in silence, `skip` them, or `fail`.",
    )
    poster: bool = Field(default=True, description="Store a JPEG of the first frame beside the clip.")


class ClipOptions(ClipLook):
    """What a clip is, but its range."""

    priority: int = Field(default=0, ge=-10, le=10, description="Queued clips with a higher priority are cut first.")
    keep_ranges: list[KeptRange] = Field(
        default=[],
        max_length=MAX_REMOVED,
        description="Ranges from which `without` removes nothing, as in `removed` of a plan.",
    )
    expires_at: Moment | None = Field(
        default=None, description="When the clip and its object are deleted. Default: `retention.clips_days`."
    )
    wait_until: Moment | None = Field(
        default=None,
        description="When a clip of what is not recorded yet stops waiting. Default: 5 minutes after its end.",
    )
    on_timeout: OnTimeout = Field(
        default="fail",
        description="Then it fails with `not_recorded_yet` (`fail`), or is cut as far as it is recorded (`clamp`).",
    )

    def of_ranges(self, ranges: dict[str, Any], *, request_id: str | None, traceparent: str | None) -> ClipRequest:
        """Return the request for a clip of these `ranges`: what ClipRequest has of them."""
        given = "subtitles" in self.model_fields_set
        own = {*ClipOptions.model_fields} - {"output", "subtitles", "snap", "without", "keep_ranges"}
        return ClipRequest(
            **{"start_seconds": 0.0, "end_seconds": 0.0, **self.model_dump(include=own), **ranges},
            request_id=request_id,
            traceparent=traceparent,
            output=self.output,
            subtitles=self.subtitles.mode if given else None,
            subtitle_language=self.subtitles.language,
            caption_style=self.subtitles.style,
            snap=self.snap,
            without=Without(tuple(self.without), tuple(self.keep_ranges)),
        )


class CreateClip(ClipOptions):
    always_hashed = (
        *("label", "start_seconds", "end_seconds", "profile", "metadata", "priority", "webhook_url", "poster"),
        "expires_at",
    )
    model_config = like(_ANY_RANGE, label="key-moment", start_seconds=5.0, end_seconds=12.5)

    parts: list[ClipPart] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PARTS,
        description=f"Ranges that are played one after the other, of at most {MAX_RECORDINGS} recordings. Replaces "
        "`start_seconds` and `end_seconds`. The first part decides the size and the audio tracks.",
    )
    last_seconds: LastSeconds = Field(
        default=None,
        description="Instead of a range: so many seconds up to the end of what is recorded.",
    )
    start_time: WrittenTime = Field(default=None, description=_START_TIME)
    end_time: WrittenTime = Field(default=None, validate_default=True, description=_END_TIME)
    start_seconds: RangeSeconds = Field(
        default=None,
        validate_default=True,
        description="On the recording's timeline. The clip begins on the nearest frame.",
    )
    end_seconds: RangeSeconds = Field(default=None, validate_default=True, description="End of the clip, exclusive.")

    def request(self, recording_id: str, *, request_id: str | None, traceparent: str | None) -> ClipRequest:
        """Return the request for a clip of this recording. A part without a recording is of it."""
        times = tuple(each.times for each in self.parts or ())
        ranges = {
            "start_seconds": self.start_seconds or 0.0,
            "end_seconds": self.end_seconds or 0.0,
            "last_seconds": self.last_seconds,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "parts": tuple(each.of(recording_id) for each in self.parts or ()),
            "part_times": times if any(times) else (),
        }
        return self.of_ranges(ranges, request_id=request_id, traceparent=traceparent)


class CreateClipsByTime(ClipOptions):
    """A clip of each series, in one range by the clocks of its recordings."""

    model_config = like(
        series=["front", "yard"], start_time="2026-11-28T23:59:50Z", end_time="2026-11-29T00:00:20Z", label="parcel"
    )

    series: Annotated[
        list[Line],
        Field(
            min_length=1,
            max_length=MAX_SERIES,
            description="One clip is made of each: a part of each recording of it in the range, of at most "
            f"{MAX_RECORDINGS}.",
            json_schema_extra=UNIQUE,
        ),
        AfterValidator(distinct),
    ]
    start_time: Moment = Field(description="By the clocks of the recordings, with a UTC offset.")
    end_time: Moment = Field(description="End of the clips, exclusive.")


class BatchedClip(CreateClip):
    """One clip of a batch."""

    model_config = like(_ANY_RANGE, recording_id="rec_01j9x2", label="key-moment", start_seconds=5.0, end_seconds=12.5)

    recording_id: str = Field(min_length=1, max_length=200)


class CreateClips(Body):
    """A batch of clips, of one recording or of several."""

    max_bytes, max_members, max_tokens = None, CreateClip.max_members, CreateClip.max_tokens

    clips: list[BatchedClip] = Field(min_length=1, max_length=MAX_BATCH)


ClipIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=MAX_BATCH)
]


class ArchiveClips(Body):
    clip_ids: Annotated[ClipIds, Field(json_schema_extra=UNIQUE), AfterValidator(distinct)]


class UpdateClip(Changes):
    """Changes of a clip. Omitted fields are not changed."""

    model_config = like(label="winning goal", metadata={"team": "blue", "draft": None})

    label: str | None = Field(
        default=None, description="1 to 200 characters, no control characters. The name of the object stays."
    )
    expires_at: Moment | None = Field(
        default=None, description="When the clip and its object are deleted; null for `retention.clips_days`."
    )


class CreateShare(Body):
    model_config = like(expires_at="2030-01-31T12:00:00Z", download=False)

    expires_at: Moment | None = Field(
        default=None, description="When the link stops working. Default: `shares.expires_days`."
    )
    download: bool = Field(default=True, description="Offer the file for download beside the player.")
    embed: bool = Field(default=True, description="Allow other sites to embed the player (`shares.frame_ancestors`).")


ClipSort = Literal["created_at", "-created_at", "label", "-label", "duration", "-duration", "size", "-size"]


class ClipFilters(ListFilters):
    label: Filter | None = Field(default=None, description="Exactly this label.")
    variant_of: Filter | None = Field(default=None, description="Variants of this clip.")
    q: Words | None = Field(
        default=None,
        description=f"All words are in its label, tags or metadata, or, listed last, are said in it. {SYNTAX}",
    )


class ListClips(ClipFilters, ListQuery):
    sort: ClipSort = Field(default="-created_at", description=SORT)


class ListAllClips(ListClips):
    recording_id: Filter | None = Field(default=None, description="Of this recording.")


class ListShares(PageQuery):
    expires: Literal["never"] | None = Field(default=None, description="`never`: only shares without an end.")


class GetShareCode(Query):
    start_seconds: float = Field(
        default=0, ge=0, le=1e6, allow_inf_nan=False, description="Where the link begins the clip, in its seconds."
    )
