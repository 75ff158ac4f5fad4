"""Files of ranges, and lists of segments."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.clips import KEPT_TOKENS, POINTS_TOKENS, Removables, SubtitlesOfClip
from clipengine.api.http.requests.fields import MAX_TOKENS, Body, Seconds, like
from clipengine.basis.settings_table import NO_NUL, without_nul
from clipengine.clips.labels import MAX_LABEL_CHARACTERS
from clipengine.clips.options.output import Output
from clipengine.clips.options.without import MAX_REMOVED, KeptRange
from clipengine.clips.ranges.range_file import MAX_ROWS, RangeFormat

MAX_SEGMENTS = 1000
_RANGE_TOKENS = 10  # with all fields: its braces, names, label, and commas


def after_start(value: float, info: ValidationInfo) -> float:
    if value <= info.data.get("start_seconds", -math.inf):
        raise PydanticCustomError("range_order", "must be greater than start_seconds")
    return value


class WrittenRange(Body):
    """A range in a file that is written."""

    start_seconds: Seconds = Field(ge=0, allow_inf_nan=False, description="On the recording's timeline.")
    end_seconds: Annotated[Seconds, AfterValidator(after_start)] = Field(
        allow_inf_nan=False, description="End of the range, exclusive."
    )
    label: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=NO_NUL), AfterValidator(without_nul)
    ] = Field(default="", description="Its name in the file.")


class WriteRanges(Body):
    max_bytes = None  # a label may have 800 bytes
    max_members, max_tokens = MAX_ROWS, MAX_ROWS * _RANGE_TOKENS
    model_config = like(format="edl", ranges=[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}])

    format: RangeFormat = Field(
        description="`csv` has a header, `losslesscut` is the CSV of LosslessCut, `edl` a CMX 3600 edit decision list, "
        "`otio` OpenTimelineIO, `fcpxml` for Final Cut Pro and DaVinci Resolve, `xmeml` for Premiere Pro."
    )
    ranges: list[WrittenRange] = Field(min_length=1, max_length=MAX_ROWS, description="In the order of the file.")


class ListedSegment(WrittenRange):
    """A segment of a list. It may lie outside the recording; only a clip of it may not."""

    label: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=NO_NUL), AfterValidator(without_nul)
    ] = Field(default="", description="Its name.")


class Look(Body):
    """What clips of the segments look like. `limits.output` applies to a clip, not here."""

    output: Output | None = Field(default=None, description="Output options, as in the request for a clip.")
    subtitles: SubtitlesOfClip | None = Field(default=None, description="As in the request for a clip.")
    without: Removables = Field(default=[], description="As in the request for a clip.")
    keep_ranges: list[KeptRange] = Field(
        default=[], max_length=MAX_REMOVED, description="As in the request for a clip."
    )


class PutSegments(Body):
    max_bytes = None  # a label may have 800 bytes
    max_members = MAX_REMOVED
    max_tokens = MAX_TOKENS + MAX_SEGMENTS * _RANGE_TOKENS + POINTS_TOKENS + KEPT_TOKENS
    model_config = like(segments=[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}])

    title: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, json_schema_extra=NO_NUL), AfterValidator(without_nul)
    ] = Field(default="", description="Title of the list.")
    segments: list[ListedSegment] = Field(max_length=MAX_SEGMENTS, description="In the order of the list.")
    look: Look = Field(default=Look(), description="What clips of the segments look like.")
