"""Queries of previews, and what clips would look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import MAX_MEMBERS, Body, Language, Query, Seconds, like
from clipengine.api.http.requests.ranges import after_start
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.without import KeptRange
from clipengine.clips.suggested import MAX_SUGGESTIONS, Source

MAX_PAINTED_SECONDS = 60  # of captions, in one request


def _near_start(value: float, info: ValidationInfo) -> float:
    if value > info.data.get("start_seconds", 0.0) + MAX_PAINTED_SECONDS:
        said = "must be at most {most} s after start_seconds"
        raise PydanticCustomError("range_length", said, {"most": MAX_PAINTED_SECONDS})
    return value


class FrameClip(Body):
    model_config = like(output={"aspect": "9:16", "focus": {"x": 0.75, "y": 0.5}})

    output: Output = Field(default=Output(), description="Options of the picture; others are ignored.")


class PaintCaptions(Body):
    model_config = like(language="en", start_seconds=5.0, end_seconds=12.5, style={"name": "word"})

    language: Language = Field(description="Of the transcript.")
    start_seconds: Seconds = Field(ge=0, allow_inf_nan=False, description="On the recording's timeline.")
    end_seconds: Annotated[Seconds, AfterValidator(after_start), AfterValidator(_near_start)] = Field(
        allow_inf_nan=False, description=f"End of the range, at most {MAX_PAINTED_SECONDS} s after its start."
    )
    style: CaptionStyle | None = Field(default=None, description="As in the `subtitles` of a request for a clip.")
    output: Output = Field(default=Output(), description="Options that decide the size of the clip.")
    removed: list[KeptRange] = Field(
        default=[],
        max_length=MAX_MEMBERS,
        description="Ranges that are removed from the clip, as in `removed` of a plan: their words are not shown.",
    )
    part: KeptRange | None = Field(
        default=None, description="The range of the part of a clip that is shown: words outside it are not shown."
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
