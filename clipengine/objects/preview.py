"""Previews of recordings, and ranges of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from clipengine.objects.base import ApiObject


@dataclass(frozen=True)
class FramesObject(ApiObject):
    """`frames` lists the times of the frame on screen at the start and of each later frame before the end."""

    start_seconds: float
    end_seconds: float
    frames: Annotated[list[float], Field(examples=[[5.0, 5.04, 5.08]])] = field(repr=False)


@dataclass(frozen=True)
class NextMomentObject(ApiObject):
    """The next or previous keyframe, silence or scene. `seconds` is null if the searched range has none."""

    to: Literal["keyframe", "silence", "scene"]
    seconds: float | None
    searched_from_seconds: float
    searched_to_seconds: Annotated[float, Field(description="The moment, or the end of the search.")]
    more: Annotated[
        bool, Field(description="The recording goes on there: a search from `searched_to_seconds` may find more.")
    ]


@dataclass(frozen=True)
class WaveformObject(ApiObject):
    """`peaks` has the loudest sample over all tracks, 0 to 1, for each of `points` equal parts."""

    start_seconds: float
    end_seconds: float
    points: int
    peaks: list[float] = field(repr=False)


@dataclass(frozen=True)
class ProxyObject(ApiObject):
    """Proxy of a recording: an initialization segment and numbered ones, which are played one after the other."""

    content_type: Annotated[str, Field(description="Media type with its codecs, for `MediaSource.isTypeSupported`.")]
    width: int | None
    height: int | None
    duration_seconds: float
    segment_seconds: Annotated[
        float,
        Field(
            description="Segment `n` begins within a frame of `n` times this. The last one may be half a second longer."
        ),
    ]
    segments: Annotated[int, Field(description="Segments are numbered from 0.")]


class RangeObject(TypedDict):
    """A range of a file. `label` is empty if the file names none."""

    start_seconds: float
    end_seconds: float
    label: Annotated[str, Field(description="Its name in the file.")]


class RangeNoteObject(TypedDict):
    """What was left out of a file. `line` is null if it concerns more than one line."""

    line: Annotated[int | None, Field(description="Number of the line, from 1 on.")]
    detail: Annotated[str, Field(description="What was left out, and why.")]


@dataclass(frozen=True)
class RangesObject(ApiObject):
    """The ranges of a file, in its order, within the recording."""

    data: list[RangeObject]
    notes: Annotated[list[RangeNoteObject], Field(description="What was left out of the file.")] = field(
        default_factory=list
    )
