"""Lists of segments of recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from typing_extensions import TypedDict

from clipengine.clips.options.output import Output
from clipengine.clips.options.without import KeptRange, Removable
from clipengine.objects.base import ApiObject, MaybeTime, Object, described_as
from clipengine.objects.clip import SubtitlesObject


class ListedSegmentObject(TypedDict):
    """A range of a recording that a user has marked."""

    start_seconds: float
    end_seconds: float
    label: str
    """Its name; empty if it has none."""


class LookObject(TypedDict):
    """The look of clips of the segments. The fields of a request for a clip have the same names."""

    output: Annotated[Object | None, described_as(Output | None)]
    """Output options; null for the profile's."""
    subtitles: SubtitlesObject | None
    """Null if not given, which keeps all transcripts."""
    without: list[Removable]
    """What is removed from clips."""
    keep_ranges: Annotated[list[Object], described_as(list[KeptRange])]
    """Ranges from which nothing is removed."""


@dataclass(frozen=True)
class SegmentsObject(ApiObject):
    """The list of segments of a recording. The header `ETag` has its version in quotes."""

    recording_id: str
    version: int
    """0 until a list is stored. Each that replaces it has the next number."""
    title: str = ""
    """Title of the list; empty if it has none."""
    segments: list[ListedSegmentObject] = field(default_factory=list)
    """In the order of the list, which need not be that of time."""
    look: LookObject = field(
        default_factory=lambda: LookObject(output=None, subtitles=None, without=[], keep_ranges=[])
    )
    """What clips of the segments look like."""
    updated_at: MaybeTime = None
    """When it was stored; null if none is."""
    created_by: str | None = None
