"""Previews of recordings, and ranges of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, RootModel
from typing_extensions import TypedDict

from clipengine.clips.suggested import SuggestionObject
from clipengine.objects.base import ApiObject


@dataclass(frozen=True)
class FramesObject(ApiObject):
    """`frames` lists the times of the frame on screen at the start and of each later frame before the end."""

    start_seconds: float
    end_seconds: float
    frames: Annotated[list[float], Field(examples=[[5.0, 5.04, 5.08]])] = field(repr=False)
    """Times in seconds."""


@dataclass(frozen=True)
class NextMomentObject(ApiObject):
    """The next or previous keyframe, silence or scene. `seconds` is null if the searched range has none."""

    to: Literal["keyframe", "silence", "scene"]
    """The kind of moment."""
    seconds: float | None
    """Time of the moment; null if there is none in the searched range."""
    searched_from_seconds: float
    """Where the search began."""
    searched_to_seconds: float
    """The moment, or the end of the search."""
    more: bool
    """The recording goes on there: a search from `searched_to_seconds` may find more."""


@dataclass(frozen=True)
class SuggestionsObject(ApiObject):
    """The suggested moments of a recording, the best one first."""

    language: str
    """Language of the transcript in which they were found, as a BCP 47 tag."""
    data: list[SuggestionObject]


class MomentsObject(RootModel[NextMomentObject | SuggestionsObject]):
    """The moment of `kind=next`, or the suggestions of `kind=suggestion`."""


@dataclass(frozen=True)
class WaveformObject(ApiObject):
    """`peaks` has the loudest sample over all tracks, 0 to 1, for each of `points` equal parts."""

    start_seconds: float
    end_seconds: float
    points: int
    """Number of equal parts."""
    peaks: list[float] = field(repr=False)
    """One number from 0 to 1 for each part."""


class SizeObject(TypedDict):
    """A size in pixels."""

    width: int
    height: int


class BoxObject(TypedDict):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int


class RegionPlaceObject(TypedDict):
    """The part of the picture that a clip shows at a time of a focus that moves, in pixels of the upright picture."""

    at_seconds: float
    """Seconds of the clip, or of the recording if the focus has `recording_seconds`."""
    x: int
    y: int
    width: int
    height: int


class BlurPlaceObject(TypedDict):
    """The place of a blurred box at a time, in pixels of the recording's upright picture."""

    at_seconds: float
    """Seconds of the clip, or of the recording if `times_of` says so."""
    x: int
    y: int
    width: int
    height: int


class BlurObject(TypedDict):
    """A box that is blurred. Between the places of its path, it moves at a constant speed."""

    from_seconds: float
    """Seconds of the clip."""
    to_seconds: float | None
    """Null for the end of the clip."""
    times_of: Literal["clip", "recording"]
    """Of which the times of `path` are: `recording` if the box has `recording_seconds`."""
    path: list[BlurPlaceObject]
    """One place, or those of a box that moves."""


class WatermarkPlaceObject(TypedDict):
    """A watermark, and its place in pixels of the clip."""

    name: str
    """`GET /v1/watermarks/{name}` has its picture."""
    opacity: float
    """From 0 to 1."""
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class FramingObject(ApiObject):
    """The part of the picture that a clip shows. A variable picture size of the recording is not known to it."""

    recording: SizeObject
    """The upright picture of the recording."""
    region: BoxObject
    """The part of it that the clip shows."""
    inner: SizeObject
    """The part in the clip, without bars."""
    width: int
    """Width of the clip."""
    height: int
    """Height of the clip."""
    path: list[RegionPlaceObject] = field(default_factory=list)
    """The places of a region that moves, between which its speed is constant; empty if it does not move."""
    blur: list[BlurObject] = field(default_factory=list)
    """The boxes that are blurred before the picture is cropped."""
    watermark: WatermarkPlaceObject | None = None
    """The image that is drawn over the clip; null without one."""
    fade_seconds: float | None = None
    """How long the clip fades in and out; null if it does not."""


class CaptionObject(TypedDict):
    """A picture that is drawn into a clip from `start_seconds` on until `end_seconds`, and its place."""

    start_seconds: float
    end_seconds: float
    x: int
    """Left edge in pixels of the clip."""
    y: int
    """Upper edge in pixels of the clip."""
    width: int
    height: int
    image: str
    """PNG with transparency, as a `data:` URL."""


@dataclass(frozen=True)
class CaptionsObject(ApiObject):
    """Captions as the engine draws them into a clip. Times are those of the recording."""

    start_seconds: float
    end_seconds: float
    """The end of the range, or earlier if it has too many captions: request the rest."""
    width: int
    """Width of the clip."""
    height: int
    """Height of the clip."""
    captions: list[CaptionObject] = field(repr=False)
    """In the order of time. Between them nothing is drawn."""
    warnings: list[str] = field(default_factory=list)
    """What is not drawn, or not as a whole, as in the warnings of a clip."""


@dataclass(frozen=True)
class ProxyObject(ApiObject):
    """Proxy of a recording: an initialization segment and numbered ones, which are played one after the other."""

    content_type: str
    """Media type with its codecs, for `MediaSource.isTypeSupported`."""
    width: int | None
    height: int | None
    duration_seconds: float
    segment_seconds: float
    """Segment `n` begins within a frame of `n` times this. The last one may be half a second longer."""
    segments: int
    """Segments are numbered from 0. While the recording is written, those up to the last whole one are counted."""


class RangeObject(TypedDict):
    """A range of a file. `label` is empty if the file names none."""

    start_seconds: float
    end_seconds: float
    label: str
    """Its name in the file."""


class RangeNoteObject(TypedDict):
    """A note about a part of a file that is not used. `line` is null if it concerns more than one line."""

    line: int | None
    """Number of the line, from 1 on."""
    detail: str
    """What was left out, and why."""


@dataclass(frozen=True)
class RangesObject(ApiObject):
    """The ranges of a file, in its order, within the recording."""

    data: list[RangeObject]
    notes: list[RangeNoteObject] = field(default_factory=list)
    """What was left out of the file."""
