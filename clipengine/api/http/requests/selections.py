"""Requests for many clips, which are given by their ids or by a filter: variants and deletions."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.clips import ClipFilters, ClipIds, ClipLook, Removables, SubtitlesOfClip
from clipengine.api.http.requests.fields import (
    MAX_TOKENS,
    UNIQUE,
    Address,
    Body,
    Filter,
    MetadataPatch,
    Moment,
    Query,
    Tags,
    WaitQuery,
    distinct,
    like,
    one_of,
)
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap

MAX_VARIANTS = 1000
MAX_DELETED = 10_000
_SELECTION = "`selection` of a dry run: the request is refused if other clips are selected by now."
_DRY_RUN = "Only say what would be done, with a `selection`."


class FilterOfClips(ClipFilters, Body):
    """The filters of `GET /v1/clips`. A clip meets all of them; without any, these are all clips."""

    recording_id: Filter | None = Field(default=None, description="Of this recording.")


def _or_filter(value: list[str] | None, info: ValidationInfo) -> list[str] | None:
    """Require ids without a filter, and none with one."""
    wanted = info.data.get("filter")
    if value is not None and wanted is not None:
        raise PydanticCustomError("exclusive", "must not be given together with {other}", {"other": "filter"})
    if value is None and wanted is None and "filter" in info.data:
        raise PydanticCustomError("missing", "is required")
    return value


def _of_filter(value: Any, info: ValidationInfo) -> Any:
    if value and info.data.get("clip_ids") is not None:
        raise PydanticCustomError("exclusive", "needs a filter instead of clip_ids")
    return value


_VariantIds = Annotated[
    list[Annotated[Filter, Field(min_length=1)]],
    Field(min_length=1, max_length=MAX_VARIANTS, json_schema_extra=UNIQUE),
    AfterValidator(distinct),
]


class VariantChanges(Body):
    """Changes of the options of clips, a merge patch (RFC 7396): null stands for the default."""

    profile: str | None = Field(
        default=None, min_length=1, max_length=200, description="Name of a profile in the settings."
    )
    render: Render | None = Field(default=None, description="How the variants are cut.")
    output: Output | None = Field(
        default=None, description="Is merged with the options of the clip; null for the profile's."
    )
    subtitles: SubtitlesOfClip | None = Field(default=None, description="Is merged with those of the clip.")
    snap: Snap | None = Field(default=None, description="Moves the cuts; null leaves them.")
    without: Removables | None = Field(default=None, description="Replaces what is removed; null removes nothing.")
    poster: bool | None = Field(default=None, description="Store a JPEG of the first frame beside each variant.")
    metadata: MetadataPatch | None = None
    tags: Tags | None = Field(default=None, description="Replaces all tags; null removes them.")
    priority: Annotated[int, Field(ge=-10, le=10)] | None = Field(default=None, description="Default: -5.")
    webhook_url: Address | None = Field(default=None, description="Also receives the webhooks of the variants.")
    expires_at: Moment | None = Field(
        default=None, description="When the variants are deleted. Default: `retention.clips_days`."
    )


def _as_given(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Validate the changes, and return them as they are written: a model does not tell null from a missing member."""
    handler(value)
    return value


Changes = Annotated[VariantChanges, WrapValidator(_as_given), PlainSerializer(lambda value: value)]


class CreateVariants(Body):
    """Variants of clips: the same ranges with other options."""

    max_bytes, max_members, max_tokens = None, MAX_VARIANTS, MAX_TOKENS + ClipLook.max_tokens
    model_config = like(
        one_of({"clip_ids": "array"}, {"filter": "object"}),
        filter={"tag": ["auto"]},
        changes={"output": {"aspect": "9:16"}},
        dry_run=True,
    )

    filter: FilterOfClips | None = Field(
        default=None, description=f"Instead of `clip_ids`: the clips that match now, at most {MAX_VARIANTS:,}."
    )
    clip_ids: Annotated[_VariantIds | None, AfterValidator(_or_filter)] = Field(
        default=None, validate_default=True, description="Complete clips; others are skipped."
    )
    changes: Changes = Field(description="Changed options of the clips.")
    dry_run: bool = Field(default=False, description=_DRY_RUN)
    selection: Filter | None = Field(default=None, description=_SELECTION)

    @property
    def patch(self) -> dict[str, Any]:
        """The changes as JSON."""
        return cast("dict[str, Any]", self.changes)


class DeleteClips(Body):
    model_config = like(
        one_of({"clip_ids": "array"}, {"filter": "object"}), clip_ids=["clip_01j9xzk3v8e5qtrb2m7c4n6wfd"]
    )

    filter: FilterOfClips | None = Field(
        default=None,
        description=f"Instead of `clip_ids`: the clips that match now, at most {MAX_DELETED:,}, are deleted in the "
        "background.",
    )
    clip_ids: Annotated[ClipIds | None, AfterValidator(_or_filter)] = Field(
        default=None, validate_default=True, description="Are deleted at once."
    )
    dry_run: Annotated[bool, AfterValidator(_of_filter)] = Field(default=False, description=_DRY_RUN)
    selection: Annotated[Filter | None, AfterValidator(_of_filter)] = Field(
        default=None, description=f"{_SELECTION} Required with a `filter`."
    )
    include_processing: Annotated[bool, AfterValidator(_of_filter)] = Field(
        default=False, description="Also delete clips that are processing, which cancels them."
    )


class DeleteClipsOfRecording(ClipFilters, Query):
    dry_run: Literal["true", "false"] = Field(default="false", description=_DRY_RUN)
    selection: Filter | None = Field(default=None, description=f"{_SELECTION} Required without `dry_run`.")
    include_processing: Literal["true", "false"] = Field(
        default="false", description="Also delete clips that are processing, which cancels them."
    )


class GetBatch(WaitQuery):
    items: Literal["pending", "made", "skipped", "failed"] | None = Field(
        default=None, description="Only items with this state."
    )
    after: int = Field(default=-1, ge=-1, le=MAX_DELETED, description="Only items with a higher number.")
