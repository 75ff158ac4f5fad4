"""Request types: the bodies and the queries of every operation, with their limits.

The OpenAPI document is made from these types. A body's types are strict: a string of digits is not a number.
What needs the recording, the settings or the ledger to be checked is checked later, by the handler.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from clipengine.clips.clip import EventType, MessageFormat
from clipengine.clips.edit import MAX_PARTS, MAX_RECORDINGS, Part
from clipengine.clips.metadata import MAX_METADATA, MAX_TAG_CHARACTERS, MAX_TAGS
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import MAX_POINTS, Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import MAX_REMOVED, KeptRange, Removable, Without
from clipengine.clips.ranges.range_file import MAX_ROWS, RangeFormat
from clipengine.clips.request import MAX_LABEL_CHARACTERS, ClipRequest, GapMode, TimeRange
from clipengine.clips.spec import OnTimeout
from clipengine.clips.suggested import MAX_SUGGESTIONS, Source
from clipengine.clips.texts.cues import (
    MAX_CUE_CHARACTERS,
    MAX_CUE_SECONDS,
    MAX_SPEAKER_CHARACTERS,
    MAX_TIMED_WORDS,
    WrittenFormat,
)
from clipengine.clips.texts.subtitles import SubtitleMode
from clipengine.clips.texts.transcript_file import MAX_LANGUAGE_CHARACTERS, parse_language
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS, indexed_words
from clipengine.clips.transcription import Transcriber
from clipengine.errors import InvalidRequest, InvalidTranscript, InvalidWebhookUrl
from clipengine.ledger.keys import MAX_KEY_NAME, SCOPES
from clipengine.ledger.pages import decode_cursor
from clipengine.objects.base import RecordingStatus, Status
from clipengine.objects.key import Scope
from clipengine.outbound.address import MAX_URL_CHARACTERS, parse
from clipengine.outbound.download import MAX_URL_CHARACTERS as MAX_SOURCE_CHARACTERS
from clipengine.outbound.download import parse_source, worded
from clipengine.recordings.clock import MAX_START
from clipengine.recordings.folder_pattern import MAX_CAMERA_CHARACTERS, MAX_PATTERN_CHARACTERS
from clipengine.timecode import parse_rfc3339
from clipengine.webhooks.sign import check_secret

N = TypeVar("N")

MAX_MEMBERS = 200  # of one object or array of JSON; the largest usual one is a `metadata` of 100 keys
MAX_TOKENS = 20_000  # strings, brackets and commas of JSON
MAX_BATCH = 100
MAX_SEGMENTS = 1000
MAX_PAINTED_SECONDS = 60  # of captions, in one request
MAX_SERIES = 20  # of one request
MAX_PAGE = 100  # objects of a list
# What the schema says about values that a validator checks.
_UNIQUE: JsonDict = {"uniqueItems": True}
_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_LINE: JsonDict = {"pattern": f"^[^{_CONTROLS}]*$"}
_TAG: JsonDict = {"pattern": rf"^[^,\s{_CONTROLS}]([^,{_CONTROLS}]*[^,\s{_CONTROLS}])?$"}
_NO_NUL: JsonDict = {"pattern": r"^[^\u0000]*$"}
LANGUAGE: JsonDict = {"pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"}
_CURSOR: JsonDict = {"pattern": "^[A-Za-z0-9_-]+={0,2}$"}
_RANGE_TOKENS = 10  # with all fields: its braces, names, label, and commas
_KEPT_TOKENS = MAX_REMOVED * 8
_POINTS_TOKENS = 2 * MAX_POINTS * 12  # of a moving focus and of boxes: names, braces and commas
MAX_PARAMETERS = 50  # of a query
MAX_IDS = 40  # of a query, which has other parameters as well
DEFAULT_EVENTS: tuple[EventType, ...] = ("clip.ready", "clip.failed")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", "must be a number of seconds")
    try:
        return float(value) + 0.0  # turn -0.0 into 0.0
    except OverflowError:  # too large for a float: the range check rejects infinity
        return float("inf") if value > 0 else float("-inf")


def _line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise PydanticCustomError("control", "must not contain control characters")
    return text


def _address(text: str) -> str:
    try:
        parse(text)
    except InvalidWebhookUrl as error:
        raise PydanticCustomError("webhook_url", "{reason}", {"reason": error.message}) from None
    return text


def _source_address(text: str) -> str:
    try:
        parse_source(text)
    except InvalidWebhookUrl as error:
        raise PydanticCustomError("recording_url", "{reason}", {"reason": worded(error)}) from None
    return text


def _secret(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise PydanticCustomError("secret", "must consist of visible ASCII characters")
    try:
        return check_secret(text)
    except InvalidRequest as error:
        raise PydanticCustomError("secret", "{reason}", {"reason": error.message}) from None


def _moment(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_rfc3339(value)
        except (ValueError, OverflowError):
            raise PydanticCustomError("moment", "must be a time such as 2025-04-05T11:00:00.000Z") from None
    return value


def _written_moment(value: object) -> object:
    """Accept only text: the unit of a bare number would be ambiguous."""
    if not isinstance(value, str):
        raise PydanticCustomError("moment", "must be a time such as 2025-04-05T11:00:00.000Z")
    return _moment(value)


def _cursor(text: str) -> str:
    try:
        decode_cursor(text, kind=str)
    except InvalidRequest as error:
        raise PydanticCustomError("cursor", "is not a valid cursor", {"hint": error.hint}) from None
    return text


def _distinct(names: list[N]) -> list[N]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("distinct", "must not contain a value twice")
    return names


def _tag(text: str) -> str:
    if "," in text or text != text.strip():
        raise PydanticCustomError("tag", "must not contain commas, nor spaces at its ends")
    return _line(text)


def _has_word(text: str) -> str:
    if not indexed_words(text):
        raise PydanticCustomError("word", "must contain a letter or a digit")
    return text


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "must not contain U+0000", {"hint": "Leave this character out."})
    return text


Seconds = Annotated[float, BeforeValidator(_seconds)]
Line = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_LINE), AfterValidator(_line)]
Address = Annotated[
    str, Field(json_schema_extra={"format": "uri", "maxLength": MAX_URL_CHARACTERS}), AfterValidator(_address)
]
SourceAddress = Annotated[
    str, Field(json_schema_extra={"format": "uri", "maxLength": MAX_SOURCE_CHARACTERS}), AfterValidator(_source_address)
]
Secret = Annotated[
    str, Field(min_length=16, max_length=200, json_schema_extra={"pattern": "^[!-~]+$"}), AfterValidator(_secret)
]
Events = Annotated[list[EventType], Field(min_length=1, json_schema_extra=_UNIQUE), AfterValidator(_distinct)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG_CHARACTERS, json_schema_extra=_TAG), AfterValidator(_tag)]
Tags = Annotated[
    list[Tag],
    Field(max_length=MAX_TAGS, description="Words to find it by, without commas.", json_schema_extra=_UNIQUE),
    AfterValidator(_distinct),
]
MetadataKey = Annotated[
    str, Field(min_length=1, max_length=100, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)
]
MetadataValue = Annotated[str, Field(max_length=2000, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=MAX_METADATA, description="A flat map of strings without U+0000, returned unchanged."),
]
MetadataPatch = Annotated[
    dict[MetadataKey, MetadataValue | None],
    Field(max_length=MAX_METADATA, description="Is merged (RFC 7396): null removes a key, other keys stay."),
]
_MOMENT_SCHEMA: JsonDict = {"type": "string", "format": "date-time"}
Moment = Annotated[int, BeforeValidator(_moment), Field(json_schema_extra=_MOMENT_SCHEMA)]


WrittenMoment = Annotated[int, BeforeValidator(_written_moment), Field(json_schema_extra=_MOMENT_SCHEMA)]


def _start(time: int) -> int:
    if not 0 <= time < MAX_START:
        raise PydanticCustomError("moment", "must be between 1970 and 2200")
    return time


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise PydanticCustomError("day", "must be a day such as 2025-04-05") from None


StartOfRecording = Annotated[WrittenMoment, AfterValidator(_start)]


class Body(BaseModel):
    """A JSON body of at most `max_bytes`; None means that only `server.max_body_bytes` limits it.

    Idempotency hashes the fields in `always_hashed` and those that differ from their defaults. 0.1.0 hashed all of its
    fields, so these stay in the hash: a client may repeat a request from before an upgrade. Do not add new fields.
    """

    max_bytes: ClassVar[int | None] = 16 * 1024
    max_members: ClassVar[int] = MAX_MEMBERS  # of one object or array
    max_tokens: ClassVar[int] = MAX_TOKENS
    always_hashed: ClassVar[Collection[str]] = ()

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra={"additionalProperties": False}
    )

    @classmethod
    def limit(cls, ceiling: int) -> int:
        """Return the maximum size in bytes of a body of this type; `ceiling` is `server.max_body_bytes`."""
        return ceiling if cls.max_bytes is None else min(cls.max_bytes, ceiling)


def _like(exclusive: JsonDict | None = None, /, **example: Any) -> ConfigDict:
    """Return the configuration of a body with an example, and what the schema says of fields that exclude others."""
    return ConfigDict(json_schema_extra={"additionalProperties": False, "examples": [example], **(exclusive or {})})


def _one_of(first: dict[str, str], *others: dict[str, str]) -> JsonDict:
    """Return the schema of a body with the fields of exactly one of these, which are given with their types.

    It is written as a condition, which generators of clients ignore: `oneOf` would change their types.
    """
    if not others:
        return {"required": [*first], "properties": _typed(first)}
    excluded = {name: "null" for each in others for name in each}
    return {
        "if": {"required": [*first], "properties": _typed(first)},
        "then": {"properties": _typed(excluded)},
        "else": _one_of(*others),
    }


def _typed(fields: dict[str, str]) -> JsonDict:
    return {name: {"type": kind} | ({"items": {}} if kind == "array" else {}) for name, kind in fields.items()}


_RANGE = {"start_seconds": "number", "end_seconds": "number"}
_TIMES = {"start_time": "string", "end_time": "string"}
_ANY_RANGE = _one_of({"last_seconds": "number"}, {"parts": "array"}, _TIMES, _RANGE)


def _language(tag: str) -> str:
    try:
        return parse_language(tag)
    except InvalidTranscript as error:
        raise PydanticCustomError("language", "{reason}", {"reason": error.message, "hint": error.hint}) from None


Language = Annotated[
    str, Field(max_length=MAX_LANGUAGE_CHARACTERS, json_schema_extra=LANGUAGE), AfterValidator(_language)
]


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
    Annotated[int, BeforeValidator(_written_moment), Field(json_schema_extra=_MOMENT_SCHEMA)] | None,
    AfterValidator(_time_without_parts),
]
PartSeconds = Annotated[Annotated[float, BeforeValidator(_seconds)] | None, _instead_of("start_time", "end_time")]
RangeSeconds = Annotated[
    Annotated[float, BeforeValidator(_seconds)] | None, _instead_of("parts", "last_seconds", "start_time", "end_time")
]
_START_TIME = "By the clock of the recording, with a UTC offset. Replaces `start_seconds`."
_END_TIME = "End by the clock of the recording, exclusive. Replaces `end_seconds`."


class ClipPart(Body):
    """A range of a recording."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False, **_one_of(_TIMES, _RANGE)})

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
        """Return the part. That of a part by times has no seconds yet."""
        return Part(self.recording_id or recording_id, self.start_seconds or 0.0, self.end_seconds or 0.0)


def _after_start(value: float, info: ValidationInfo) -> float:
    if value <= info.data.get("start_seconds", -math.inf):
        raise PydanticCustomError("range_order", "must be greater than start_seconds")
    return value


def _near_start(value: float, info: ValidationInfo) -> float:
    if value > info.data.get("start_seconds", 0.0) + MAX_PAINTED_SECONDS:
        said = "must be at most {most} s after start_seconds"
        raise PydanticCustomError("range_length", said, {"most": MAX_PAINTED_SECONDS})
    return value


class WrittenRange(Body):
    """A range in a file that is written."""

    start_seconds: Seconds = Field(ge=0, allow_inf_nan=False, description="On the recording's timeline.")
    end_seconds: Annotated[Seconds, AfterValidator(_after_start)] = Field(
        allow_inf_nan=False, description="End of the range, exclusive."
    )
    label: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)
    ] = Field(default="", description="Its name in the file.")


class WriteRanges(Body):
    max_bytes = None  # a label may have 800 bytes
    max_members, max_tokens = MAX_ROWS, MAX_ROWS * _RANGE_TOKENS
    model_config = _like(format="edl", ranges=[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}])

    format: RangeFormat = Field(
        description="`csv` has a header, `losslesscut` is the CSV of LosslessCut, `edl` a CMX 3600 edit decision list, "
        "`otio` OpenTimelineIO, `fcpxml` for Final Cut Pro and DaVinci Resolve, `xmeml` for Premiere Pro."
    )
    ranges: list[WrittenRange] = Field(min_length=1, max_length=MAX_ROWS, description="In the order of the file.")


def _without_parts(value: float | None, info: ValidationInfo) -> float | None:
    if value is not None and info.data.get("parts") is not None:
        raise PydanticCustomError("exclusive", "must not be given together with parts")
    return value


LastSeconds = Annotated[Annotated[float, BeforeValidator(_seconds)] | None, AfterValidator(_without_parts)]


class FrameClip(Body):
    model_config = _like(output={"aspect": "9:16", "focus": {"x": 0.75, "y": 0.5}})

    output: Output = Field(default=Output(), description="Options of the picture; others are ignored.")


class PaintCaptions(Body):
    model_config = _like(language="en", start_seconds=5.0, end_seconds=12.5, style={"name": "word"})

    language: Language = Field(description="Of the transcript.")
    start_seconds: Seconds = Field(ge=0, allow_inf_nan=False, description="On the recording's timeline.")
    end_seconds: Annotated[Seconds, AfterValidator(_after_start), AfterValidator(_near_start)] = Field(
        allow_inf_nan=False, description=f"End of the range, at most {MAX_PAINTED_SECONDS} s after its start."
    )
    style: CaptionStyle | None = Field(default=None, description="As in the `subtitles` of a request for a clip.")
    output: Output = Field(default=Output(), description="Options that decide the size of the clip.")
    removed: list[KeptRange] = Field(
        default=[],
        max_length=MAX_MEMBERS,
        description="Ranges that the clip leaves out, as in `removed` of a plan: their words are not shown.",
    )
    part: KeptRange | None = Field(
        default=None, description="The range of the part of a clip that is shown: words outside it are not shown."
    )


LeftOut = Annotated[list[Removable], Field(max_length=2, json_schema_extra=_UNIQUE), AfterValidator(_distinct)]


class ClipOptions(Body):
    """What a clip is, but its range."""

    max_bytes = None  # metadata alone may be 100 x 2,100 characters
    max_members, max_tokens = MAX_REMOVED, MAX_TOKENS + _POINTS_TOKENS + _KEPT_TOKENS

    label: str = Field(
        description="1 to 200 characters, no control characters. Part of the name of the object.",
        json_schema_extra={"minLength": 1, "maxLength": 200, **_LINE},
    )
    profile: str = Field(
        default="default", description="Name of a profile in the settings.", json_schema_extra={"minLength": 1}
    )
    metadata: Metadata = {}
    tags: Tags = []
    priority: int = Field(default=0, ge=-10, le=10, description="Queued clips with a higher priority are cut first.")
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
    without: LeftOut = Field(
        default=[],
        description="Leave out `silence` (pauses over 0.6 s become 0.2 s long) or `fillers` (words such as um).",
    )
    keep_ranges: list[KeptRange] = Field(
        default=[],
        max_length=MAX_REMOVED,
        description="Ranges of which `without` leaves nothing out, as in `removed` of a plan.",
    )
    gaps: GapMode = Field(
        default="hold",
        description="Gaps of a recording of many files: `hold` the last frame, in silence, `skip` them, or `fail`.",
    )
    poster: bool = Field(default=True, description="Store a JPEG of the first frame beside the clip.")
    expires_at: WrittenMoment | None = Field(
        default=None, description="When the clip and its object are deleted. Default: `retention.clips_days`."
    )
    wait_until: WrittenMoment | None = Field(
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
    model_config = _like(_ANY_RANGE, label="key-moment", start_seconds=5.0, end_seconds=12.5)

    parts: list[ClipPart] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PARTS,
        description=f"Ranges that are played one after the other, of at most {MAX_RECORDINGS} recordings. Replaces "
        "`start_seconds` and `end_seconds`. The first part decides the size and the audio tracks.",
    )
    last_seconds: LastSeconds = Field(
        default=None,
        gt=0,
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

    model_config = _like(
        series=["front", "yard"], start_time="2026-11-28T23:59:50Z", end_time="2026-11-29T00:00:20Z", label="parcel"
    )

    series: Annotated[
        list[Line],
        Field(
            min_length=1,
            max_length=MAX_SERIES,
            description="One clip is made of each: a part of each recording of it in the range, of at most "
            f"{MAX_RECORDINGS}.",
            json_schema_extra=_UNIQUE,
        ),
        AfterValidator(_distinct),
    ]
    start_time: WrittenMoment = Field(description="By the clocks of the recordings, with a UTC offset.")
    end_time: WrittenMoment = Field(description="End of the clips, exclusive.")


class ListedSegment(WrittenRange):
    """A segment of a list. It may lie outside the recording; only a clip of it may not."""

    label: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)
    ] = Field(default="", description="Its name.")


class Look(Body):
    """What clips of the segments look like. `limits.output` applies to a clip, not here."""

    output: Output | None = Field(default=None, description="Output options, as in the request for a clip.")
    subtitles: SubtitlesOfClip | None = Field(default=None, description="As in the request for a clip.")
    without: LeftOut = Field(default=[], description="As in the request for a clip.")
    keep_ranges: list[KeptRange] = Field(
        default=[], max_length=MAX_REMOVED, description="As in the request for a clip."
    )


class PutSegments(Body):
    max_bytes = None  # a label may have 800 bytes
    max_members = MAX_REMOVED
    max_tokens = MAX_TOKENS + MAX_SEGMENTS * _RANGE_TOKENS + _POINTS_TOKENS + _KEPT_TOKENS
    model_config = _like(segments=[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}])

    title: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)
    ] = Field(default="", description="Title of the list.")
    segments: list[ListedSegment] = Field(max_length=MAX_SEGMENTS, description="In the order of the list.")
    look: Look = Field(default=Look(), description="What clips of the segments look like.")


class BatchedClip(CreateClip):
    """One clip of a batch."""

    model_config = _like(_ANY_RANGE, recording_id="rec_01j9x2", label="key-moment", start_seconds=5.0, end_seconds=12.5)

    recording_id: str = Field(min_length=1, max_length=200)


class CreateClips(Body):
    """A batch of clips, of one recording or of several."""

    max_bytes, max_members, max_tokens = None, CreateClip.max_members, CreateClip.max_tokens

    clips: list[BatchedClip] = Field(min_length=1, max_length=MAX_BATCH)


ClipIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=MAX_BATCH)
]


class DeleteClips(Body):
    clip_ids: ClipIds


class ArchiveClips(Body):
    clip_ids: Annotated[ClipIds, Field(json_schema_extra=_UNIQUE), AfterValidator(_distinct)]


class Changes(Body):
    """Changes of a clip or a recording. Omitted fields are not changed."""

    max_bytes = None  # as for a clip

    metadata: MetadataPatch | None = None
    tags: Tags | None = Field(default=None, description="Replaces all tags; null removes them.")

    def columns(self) -> dict[str, Any]:
        """Return the new values by column. Metadata is merged by the ledger."""
        values = self.model_dump(include=self.model_fields_set - {"metadata"})
        return {name: [] if name == "tags" and value is None else value for name, value in values.items()}


class UpdateClip(Changes):
    """Changes of a clip. Omitted fields are not changed."""

    model_config = _like(label="winning goal", metadata={"team": "blue", "draft": None})

    label: str | None = Field(
        default=None, description="1 to 200 characters, no control characters. The name of the object stays."
    )
    expires_at: WrittenMoment | None = Field(
        default=None, description="When the clip and its object are deleted; null for `retention.clips_days`."
    )


_SERIES = "Recordings of one camera or programme have the same; `clips/by-time` cuts from them."


class UpdateRecording(Changes):
    """Changes of a recording. Omitted fields are not changed."""

    model_config = _like(name="Board meeting")

    name: Line | None = Field(default=None, description="Null removes the name.")
    started_at: StartOfRecording | None = Field(
        default=None, description="When the recording began; null for what its file or its playlist states."
    )
    series: Line | None = Field(default=None, description=f"{_SERIES} Null removes it.")
    expires_at: WrittenMoment | None = Field(
        default=None,
        description="When the recording and its finished clips are removed from the ledger, and its object from the "
        "store if it was uploaded; null for never.",
    )

    def columns(self) -> dict[str, Any]:
        names = {"started_at": "given_start"}
        return {names.get(name, name): value for name, value in super().columns().items()}


class CreateShare(Body):
    model_config = _like(expires_at="2030-01-31T12:00:00Z", download=False)

    expires_at: WrittenMoment | None = Field(
        default=None, description="When the link stops working. Default: `shares.expires_days`."
    )
    download: bool = Field(default=True, description="Offer the file for download beside the player.")
    embed: bool = Field(default=True, description="Allow other sites to embed the player (`shares.frame_ancestors`).")


class CreateKey(Body):
    model_config = _like(name="laptop", scopes=["read", "write"])

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME, json_schema_extra=_LINE), AfterValidator(_line)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))] = Field(
        default=["read", "write"], description="Scopes of the key. `admin` is only given if it is listed."
    )


class VariantOfPlaylist(Body):
    model_config = _like(_one_of({"max_height": "integer"}, {"name": "string"}), max_height=720)

    max_height: int | None = Field(default=None, ge=1, le=99_999, description="The largest one up to this height.")
    name: Line | None = Field(default=None, description="The one with this `NAME`.")

    @model_validator(mode="after")
    def _has_one_rule(self) -> VariantOfPlaylist:
        if (self.max_height is None) == (self.name is None):
            raise PydanticCustomError("variant", "must have either max_height or name", {"hint": "Give one of them."})
        return self


class RegisterRecording(Body):
    max_bytes = None  # as for a clip
    always_hashed = ("bucket_path", "name", "metadata")
    model_config = _like(
        _one_of({"bucket_path": "string"}, {"url": "string"}, {"folder": "string", "pattern": "string"}),
        bucket_path="relay/recordings/h_01/recording.mp4",
    )

    bucket_path: str | None = Field(
        default=None, min_length=1, max_length=1024, description="The object's key, relative to the store's prefix."
    )
    url: SourceAddress | None = Field(
        default=None, description="Instead of `bucket_path`: fetched into the store, under the rules of webhook URLs."
    )
    folder: Annotated[str, Field(max_length=1000, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)] | None = (
        Field(
            default=None,
            description="Instead of `bucket_path`: the files of a camera below this key, which ends with a slash or is "
            "empty, are one recording.",
        )
    )
    pattern: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PATTERN_CHARACTERS,
        description="Names of the files below `folder`: `%Y %m %d %H %M %S %f %s`, `{camera}`, `{n}` and `*`, such as "
        "`%Y-%m-%d/%H/{camera}/%M.%S.mp4`.",
    )
    timezone: str = Field(
        default="UTC", min_length=1, max_length=60, description="Of the times in names, such as `Europe/Berlin`."
    )
    camera: Annotated[Line, Field(max_length=MAX_CAMERA_CHARACTERS)] | None = Field(
        default=None, description="Text in place of `{camera}`."
    )
    day: Annotated[str, AfterValidator(_day)] | None = Field(
        default=None,
        description="Only the files of this day, in the time zone of the names.",
        json_schema_extra={"format": "date"},
    )
    name: Line | None = None
    metadata: Metadata = {}
    tags: Tags = []
    variant: VariantOfPlaylist | None = Field(
        default=None, description="The variant of a master playlist. Default: the one with the most pixels."
    )
    live: bool = Field(
        default=False,
        description="A playlist, a folder, or a file in a folder store may still be written: its `status` is "
        "`recording` until it ends. Otherwise a playlist without an end fails with `recording_not_ready`.",
    )
    started_at: StartOfRecording | None = Field(
        default=None, description="When the recording began, if its file does not state it or is wrong."
    )
    series: Line | None = Field(default=None, description=_SERIES)

    @model_validator(mode="after")
    def _has_one_place(self) -> RegisterRecording:
        if sum(each is not None for each in (self.bucket_path, self.url, self.folder)) != 1:
            text = "must have either bucket_path or url, or folder and pattern"
            raise PydanticCustomError("place", text, {"hint": "Give one of them."})
        if (self.folder is None) != (self.pattern is None):
            raise PydanticCustomError("place", "must have folder and pattern together")
        if self.folder is None and (self.camera is not None or self.day is not None):
            raise PydanticCustomError("place", "camera and day need a folder")
        if self.variant is not None and self.bucket_path is None:
            raise PydanticCustomError("variant", "variant needs a bucket_path")
        if self.live and self.url is not None:
            raise PydanticCustomError("live", "live needs a bucket_path or a folder")
        return self


def _milliseconds(value: object) -> int:
    seconds = _seconds(value)
    if not 0 <= seconds <= MAX_CUE_SECONDS:
        raise PydanticCustomError("seconds", f"must be from 0 to {MAX_CUE_SECONDS} seconds")
    return round(seconds * 1000)


Millis = Annotated[
    int, BeforeValidator(_milliseconds), Field(json_schema_extra={"type": "number", "maximum": MAX_CUE_SECONDS})
]


# Not strict: JSON has no tuples.
TimedWord = Annotated[
    tuple[Millis, Millis, Annotated[str, Field(strict=True, max_length=MAX_CUE_CHARACTERS)]], Field(strict=False)
]


class TranscriptCue(Body):
    """A cue of a transcript in JSON. Times are rounded to milliseconds."""

    start_ms: Millis = Field(alias="start_seconds", ge=0)
    end_ms: Millis = Field(alias="end_seconds", ge=0)
    text: str = Field(max_length=MAX_CUE_CHARACTERS)
    speaker: str | None = Field(default=None, max_length=MAX_SPEAKER_CHARACTERS)
    words: list[TimedWord] = Field(
        default=[], max_length=MAX_TIMED_WORDS, description="Start, end and text of each word, if they are known."
    )


class TranscriptCues(RootModel[list[TranscriptCue]]):
    pass


class Transcribe(Body):
    model_config = _like(language="en")

    language: str | None = Field(
        default=None,
        max_length=MAX_LANGUAGE_CHARACTERS,
        json_schema_extra=LANGUAGE,
        description="BCP 47 tag of the language that is spoken. Default: it is detected.",
    )
    source: Transcriber | None = Field(
        default=None, description="A model of this engine, or a server. Default: `local` if it is configured."
    )
    track: int = Field(default=0, ge=0, le=999, description="Number of the audio track, from 0.")


class CreateWebhook(Body):
    always_hashed = ("url", "events", "secret", "enabled")
    model_config = _like(url="https://example.org/hooks", events=list(DEFAULT_EVENTS))

    url: Address
    events: Events = list(DEFAULT_EVENTS)
    secret: Secret | None = Field(default=None, description="Generated if omitted.")
    enabled: bool = True
    format: MessageFormat = Field(
        default="json", description="`slack` and `discord`: the message of an incoming webhook of that service."
    )


class UpdateWebhook(Body):
    """Changes of a webhook endpoint. Omitted fields are not changed."""

    model_config = _like(enabled=False)

    url: Address | None = None
    events: Events | None = None
    format: MessageFormat | None = None
    secret: Secret | None = Field(
        default=None,
        description="X-Relay-Signature uses the new secret at once; webhook-signature has both signatures for a day.",
    )
    enabled: bool | None = Field(
        default=None,
        description="With false, pending deliveries wait until this is true again; events that happen meanwhile are "
        "never sent.",
    )


class SignIn(Body):
    """Sign-in with an API key or a one-time code."""

    max_bytes = 4 * 1024

    key: str | None = Field(default=None, max_length=300)
    code: str | None = Field(default=None, max_length=100)


class Query(BaseModel):
    """Query parameters. Unknown ones are rejected; the limit of the request line bounds their length."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Filter = Annotated[str, Field(max_length=200, json_schema_extra=_NO_NUL), AfterValidator(_without_nul)]
MetadataName = Annotated[MetadataKey, AfterValidator(_has_word)]
ClipSort = Literal["created_at", "-created_at", "label", "-label", "duration", "-duration", "size", "-size"]
RecordingSort = Literal["created_at", "-created_at", "name", "-name", "duration", "-duration", "size", "-size"]
_SORT = (
    "Ascending, or descending with `-`. Labels and names are compared by their first 60 characters, without case. An "
    "unknown duration or size counts as 0."
)


class NoBody(Body):
    pass


class NoQuery(Query):
    pass


class PageQuery(Query):
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Number of objects of a page.")
    cursor: Annotated[str, Field(max_length=500, json_schema_extra=_CURSOR), AfterValidator(_cursor)] | None = Field(
        default=None, description="`next_cursor` of the previous page."
    )


_Words = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARACTERS), AfterValidator(_has_word)]
_SYNTAX = '`"two words"` must follow each other; `bud*` is the beginning of a word.'


class ListQuery(PageQuery):
    """Filters of clips and recordings. An item meets all of them."""

    status: Status | None = Field(default=None, description="Only those with this status.")
    created_after: Moment | None = Field(default=None, description="Only those created after this time.")
    created_before: Moment | None = Field(default=None, description="Only those created before this time.")
    q: _Words | None = Field(
        default=None, description=f"All words, in any case, are in its name, its tags or its metadata. {_SYNTAX}"
    )
    tag: list[Tag] = Field(default=[], max_length=MAX_TAGS, description="A tag. May be repeated.")
    metadata: dict[MetadataName, Filter] = Field(
        default={},
        max_length=MAX_TAGS,
        description="`metadata.KEY=VALUE` or `metadata[KEY]=VALUE`: this value of this key. May be repeated.",
    )


class ListRecordings(ListQuery):
    status: RecordingStatus | None = Field(  # type: ignore[assignment]
        default=None, description="Only those with this status."
    )
    name: Filter | None = Field(default=None, description="Only those with exactly this name.")
    recording_id: list[Filter] = Field(
        default=[], max_length=MAX_IDS, description="One of these recordings. May be repeated."
    )
    series: Filter | None = Field(default=None, description="Only those of this series.")
    sort: RecordingSort = Field(default="-created_at", description=_SORT)


class ListClips(ListQuery):
    label: Filter | None = Field(default=None, description="Only those with exactly this label.")
    q: _Words | None = Field(
        default=None,
        description=f"All words are in its label, tags or metadata, or, listed last, are said in it. {_SYNTAX}",
    )
    sort: ClipSort = Field(default="-created_at", description=_SORT)


class ListAllClips(ListClips):
    recording_id: Filter | None = Field(default=None, description="Only those of this recording.")


class WaitQuery(Query):
    wait: float = Field(
        default=0,
        ge=0,
        le=60,
        allow_inf_nan=False,
        examples=[30],
        description="Respond when it has ended, or after this many seconds.",
    )


class UploadRecording(Query):
    name: Line = Field(description="Name of the file.", examples=["meeting.mp4"])


class DeleteRecording(Query):
    object: Literal["true", "false"] = Field(
        default="false", description="`true` also deletes the object from the store."
    )
    pieces: Literal["true", "false"] = Field(
        default="false", description="`true` and `object=true` also delete its segments."
    )


class ListTranscriptions(PageQuery):
    recording_id: Filter | None = Field(default=None, description="Only those of this recording.")
    status: Literal["processing", "complete", "failed"] | None = Field(
        default=None, description="Only those with this status."
    )


class StreamEvents(Query):
    clip_id: Filter | None = Field(default=None, description="Only events of this clip.")
    recording_id: Filter | None = Field(
        default=None, description="Only events of this recording and its clips. Not together with `clip_id`."
    )


class GetTranscript(Query):
    format: WrittenFormat = Field(default="vtt", description="WebVTT, SubRip, JSON, or plain text without times.")


class SearchText(PageQuery):
    q: str = Field(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        examples=["budget"],
        description='A cue must contain all words, in any case. `"two words"` must follow each other; `bud*` is the '
        "beginning of a word.",
    )


class GetShareCode(Query):
    start_seconds: float = Field(
        default=0, ge=0, le=1e6, allow_inf_nan=False, description="Where the link begins the clip, in its seconds."
    )


class GetFrame(Query):
    at_seconds: float = Field(ge=0, allow_inf_nan=False, description="Seconds on the recording's timeline.")
    width: int = Field(default=320, ge=16, le=1920, description="Maximum width in pixels; never enlarged.")


class PartQuery(Query):
    start_seconds: float = Field(
        default=0, ge=0, allow_inf_nan=False, description="Seconds on the recording's timeline."
    )
    end_seconds: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Default, and maximum: the end of the recording."
    )


class ListPieces(Query):
    start_seconds: float = Field(
        default=0, ge=0, le=1e9, allow_inf_nan=False, description="Only pieces that end after this time."
    )
    limit: int = Field(default=100, ge=1, le=1000, description="Number of pieces.")


class GetFrames(PartQuery):
    """A part of a recording."""


class GetFilmstrip(PartQuery):
    count: int = Field(default=20, ge=1, le=100, description="Number of tiles, each the middle of an equal part.")
    width: int = Field(default=160, ge=16, le=480, description="Maximum width of a tile in pixels.")


class GetWaveform(PartQuery):
    points: int = Field(default=1000, ge=1, le=4000, description="Number of equal parts, with one peak each.")


class GetMoments(Query):
    kind: Literal["next", "suggestion"] = Field(
        default="next",
        description="`next`: the next or previous moment from `at_seconds` on. `suggestion`: ranges that may be worth "
        "a clip, found in a transcript.",
    )
    to: Literal["keyframe", "silence", "scene"] | None = Field(
        default=None,
        validate_default=True,
        examples=["scene"],
        description="`keyframe`: a keyframe of the video. `silence`: 0.1 s after a silence has begun, and 0.1 s before "
        "the sound that follows it. `scene`: the first frame of a scene. Required with `kind=next`.",
    )
    at_seconds: float | None = Field(
        default=None,
        validate_default=True,
        ge=0,
        allow_inf_nan=False,
        examples=[90.5],
        description="Seconds on the recording's timeline. Required with `kind=next`.",
    )
    direction: Literal["next", "previous"] = Field(default="next", description="Search after or before `at_seconds`.")
    within_seconds: float = Field(default=60, gt=0, le=300, description="Seconds to search at most.")
    language: Language | None = Field(
        default=None,
        description="Transcript in which moments are suggested. Default: the recording's first one with words.",
    )
    limit: int = Field(default=10, ge=1, le=MAX_SUGGESTIONS, description="Number of suggestions at most.")
    source: Source = Field(
        default="local",
        description="`local`: the engine finds the suggestions. `url`: the language model of `suggestions.url` does, "
        "which gets the transcript.",
    )

    @field_validator("to", "at_seconds", "direction", "within_seconds", "language", "limit", "source", mode="before")
    @classmethod
    def _fits_the_kind(cls, value: object, info: ValidationInfo) -> object:
        """Reject a parameter of the other kind, and that one of `next` is missing."""
        kind, of = info.data.get("kind"), "suggestion" if info.field_name in ("language", "limit", "source") else "next"
        if value is None and kind == "next":
            raise PydanticCustomError("missing", "is required")
        if value is not None and kind not in (None, of):
            raise PydanticCustomError("kind", "is possible with `kind={kind}` only", {"kind": of})
        return value


B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
