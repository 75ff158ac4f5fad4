"""Requests for recordings."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import (
    MAX_IDS,
    SORT,
    Body,
    Changes,
    Filter,
    Line,
    ListQuery,
    Metadata,
    Moment,
    Query,
    Tags,
    like,
    one_of,
)
from clipengine.basis.moments import OutsideBounds, parse_day
from clipengine.basis.settings_table import NO_NUL, without_nul
from clipengine.errors import InvalidWebhookUrl
from clipengine.objects.base import RecordingStatus
from clipengine.outbound.address import worded
from clipengine.outbound.download import MAX_URL_CHARACTERS as MAX_SOURCE_CHARACTERS
from clipengine.outbound.download import parse_source
from clipengine.recordings.file_name_pattern import MAX_CAMERA_CHARACTERS, MAX_PATTERN_CHARACTERS
from clipengine.recordings.recording import SPEC_FIELDS, RecordingSpec


def _source_address(text: str) -> str:
    try:
        parse_source(text)
    except InvalidWebhookUrl as error:
        raise PydanticCustomError("recording_url", "{reason}", {"reason": worded(error)}) from None
    return text


SourceAddress = Annotated[
    str, Field(json_schema_extra={"format": "uri", "maxLength": MAX_SOURCE_CHARACTERS}), AfterValidator(_source_address)
]


def _day(text: str) -> str:
    try:
        return parse_day(text).isoformat()
    except OutsideBounds as error:
        raise PydanticCustomError("day", "{reason}", {"reason": str(error)}) from None
    except ValueError:
        raise PydanticCustomError("day", "must be a day such as 2025-04-05") from None


_SERIES = "Recordings of one camera or programme have the same; `clips/by-time` cuts from them."


class UpdateRecording(Changes):
    """Changes of a recording. Omitted fields are not changed."""

    model_config = like(name="Board meeting")

    name: Line | None = Field(default=None, description="Null removes the name.")
    started_at: Moment | None = Field(
        default=None, description="When the recording began; null for what its file or its playlist states."
    )
    series: Line | None = Field(default=None, description=f"{_SERIES} Null removes it.")
    expires_at: Moment | None = Field(
        default=None,
        description="When the recording and its finished clips are removed from the ledger, and its object from the "
        "store if it was uploaded; null for never. If an editor has set it, it waits for works of others.",
    )

    def columns(self) -> dict[str, Any]:
        names = {"started_at": "given_start"}
        return {names.get(name, name): value for name, value in super().columns().items()}


class VariantOfPlaylist(Body):
    model_config = like(one_of({"max_height": "integer"}, {"name": "string"}), max_height=720)

    max_height: int | None = Field(default=None, ge=1, le=99_999, description="The largest one up to this height.")
    name: Line | None = Field(default=None, description="The one with this `NAME`.")

    @model_validator(mode="after")
    def _has_one_rule(self) -> VariantOfPlaylist:
        if (self.max_height is None) == (self.name is None):
            raise PydanticCustomError("variant", "must have either max_height or name", {"hint": "Give one of them."})
        return self


class DescribedRecording(Body):
    """Description of a new recording, without its place."""

    name: Line | None = None
    metadata: Metadata = Field(default={})
    tags: Tags = Field(default=[])
    started_at: Moment | None = Field(
        default=None, description="When the recording began, if its file does not state it or is wrong."
    )
    series: Line | None = Field(default=None, description=_SERIES)

    def spec(self) -> RecordingSpec:
        """Return the options of the recording, without its place in the store."""
        own = type(self).model_fields.keys() & {*SPEC_FIELDS} - {"variant", "folder"}
        return RecordingSpec(**{name: getattr(self, name) for name in own}, given_start=self.started_at)


class UploadMetadata(Body):
    """The pairs of `Upload-Metadata` that are read; clients may send others."""

    filename: Line
    recording: DescribedRecording = DescribedRecording()

    def spec(self) -> RecordingSpec:
        return replace(self.recording.spec(), name=self.recording.name or self.filename)


class RegisterRecording(DescribedRecording):
    max_bytes = None  # as for a clip
    always_hashed = ("bucket_path", "name", "metadata")
    model_config = like(
        one_of({"bucket_path": "string"}, {"url": "string"}, {"folder": "string", "pattern": "string"}),
        bucket_path="relay/recordings/h_01/recording.mp4",
    )

    bucket_path: str | None = Field(
        default=None, min_length=1, max_length=1024, description="The object's key, relative to the store's prefix."
    )
    url: SourceAddress | None = Field(
        default=None, description="Instead of `bucket_path`: fetched into the store, under the rules of webhook URLs."
    )
    folder: Annotated[str, Field(max_length=1000, json_schema_extra=NO_NUL), AfterValidator(without_nul)] | None = (
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
    variant: VariantOfPlaylist | None = Field(
        default=None, description="The variant of a master playlist. Default: the one with the most pixels."
    )
    live: bool = Field(
        default=False,
        description="A playlist, a folder, or a file in a folder store may still be written: its `status` is "
        "`recording` until it ends. Otherwise a playlist without an end fails with `recording_not_ready`.",
    )

    def spec(self) -> RecordingSpec:
        variant = None if self.variant is None else self.variant.model_dump(exclude_none=True)
        return replace(super().spec(), variant=variant)

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


RecordingSort = Literal["created_at", "-created_at", "name", "-name", "duration", "-duration", "size", "-size"]


class ListRecordings(ListQuery):
    status: RecordingStatus | None = Field(  # type: ignore[assignment]
        default=None, description="Only those with this status."
    )
    name: Filter | None = Field(default=None, description="Only those with exactly this name.")
    recording_id: list[Filter] = Field(
        default=[], max_length=MAX_IDS, description="One of these recordings. May be repeated."
    )
    series: Filter | None = Field(default=None, description="Only those of this series.")
    sort: RecordingSort = Field(default="-created_at", description=SORT)


class UploadRecording(Query):
    name: Line = Field(description="Name of the file.", examples=["meeting.mp4"])


class DeleteRecording(Query):
    object: Literal["true", "false"] = Field(
        default="false",
        description="`true` also deletes the object from the store, unless another recording needs it.",
    )
    pieces: Literal["true", "false"] = Field(
        default="false", description="`true` and `object=true` also delete its segments."
    )


class ListPieces(Query):
    start_seconds: float = Field(
        default=0, ge=0, le=1e9, allow_inf_nan=False, description="Only pieces that end after this time."
    )
    limit: int = Field(default=100, ge=1, le=1000, description="Number of pieces.")
