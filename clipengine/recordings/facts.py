"""Facts of a recording that the probe finds in its packets.

A child process reports them, so every field has a limit that makes it safe to store, list and calculate with.

Times are on the recording's timeline: 0 is the earliest presentation time of all streams, as a player shows it.
Container time = `origin` + recording time.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from clipengine.basis.moments import FIRST_DAY, parse_utc, utc_of
from clipengine.basis.timecode import MAX_DIGITS, bounded

PIECES = "pieces"  # the container of a recording of many files
MAX_NAME = 80
MAX_LANGUAGE = 40  # the longest registered tag has 35 characters (RFC 5646)
MAX_CHAPTERS = 500
MAX_CHAPTER_TITLE = 240  # bytes of UTF-8 in MP4 have a length of 8 bits
MAX_TAG_TEXT = 1000
MAX_HEADER_CHANGES = 64
MAX_HEADER_BYTES = 2048
MAX_OTHER_STREAMS = 32  # each of which is named in the warnings of a clip


ExactSeconds = Annotated[
    Fraction,
    BeforeValidator(bounded),
    PlainSerializer(lambda value: str(value), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "maxLength": 2 * MAX_DIGITS + 2}),
]
Rotation = Literal[0, 90, 180, 270]
Index = Annotated[int, Field(ge=0, le=100_000)]
Pixels = Annotated[int, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(ge=0, lt=2**53)]  # JavaScript's numbers are exact up to here
Name = Annotated[str, Field(max_length=MAX_NAME)]
Language = Annotated[str, Field(max_length=MAX_LANGUAGE)]
Warning = Annotated[str, Field(max_length=500)]
Roles = Annotated[int, Field(ge=0, lt=2**31)]  # FFmpeg's flags of a track's disposition, such as commentary


def creation_time_of(value: datetime | str | None) -> datetime | None:
    """Return when a recording began by its file, or None if that is missing, invalid or from a clock that was not set.

    Such clocks begin at 0: on the first day of 1970, or in 1904 in QuickTime.
    """
    try:
        moment = utc_of(value) if isinstance(value, datetime) else parse_utc(value or "")
    except ValueError:
        return None
    return moment if moment.date() >= FIRST_DAY else None


CreationTime = Annotated[datetime | None, BeforeValidator(creation_time_of)]

# Descriptions of a recording that are carried into clips. Every container has a place for them.
TagName = Literal[
    "title", "artist", "album_artist", "album", "composer", "comment", "description", "copyright", "genre", "date",
]  # fmt: skip
TagText = Annotated[str, Field(max_length=MAX_TAG_TEXT)]


class TrackNames(NamedTuple):
    """Language, title and roles of a track, as far as the recording states them."""

    language: str | None = None
    title: str | None = None
    roles: int = 0


class VideoFacts(BaseModel):
    """The first video stream. `frame_seconds` is the usual distance of two frames (the median over the packets)."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    index: Index
    codec: Name
    width: Pixels
    height: Pixels
    frame_seconds: ExactSeconds
    tick: ExactSeconds  # the time base of its timestamps
    sample_aspect_ratio: ExactSeconds  # of the stored frame, before rotation
    variable_rate: bool
    rotation: Rotation  # degrees clockwise by which a player rotates the frame
    frames: Count | None = None  # None if they were not counted
    language: Language | None = None
    title: Name | None = None
    roles: Roles = 0
    first_frame: ExactSeconds | None = None  # its recording time; None from older probes
    last_frame: ExactSeconds | None = None  # the same
    decoding_times: bool = False  # packets have the times at which they are decoded, not those at which they are shown
    # Width and height of the largest picture, if the probe saw pictures of several sizes or shapes.
    largest: tuple[Pixels, Pixels] | None = None

    @property
    def names(self) -> TrackNames:
        return TrackNames(self.language, self.title, self.roles)

    @property
    def rate(self) -> Fraction | None:
        """The exact frame rate, or None if it is unknown."""
        return 1 / self.frame_seconds if self.frame_seconds > 0 else None

    @property
    def fps(self) -> float:
        return round(float(self.rate or 0), 3)

    @property
    def frame_rate(self) -> str | None:
        """The exact frame rate as text, such as `30000/1001` or `25`, or None if it is unknown."""
        return None if self.rate is None else str(self.rate)


class EndStamps(BaseModel):
    """Timestamps mark the end of a packet's samples, shifted so that the first samples have correct ones."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    # Samples of the first packet that has some. Engines of 0.2.0 read it by this name, and took the shortest packets.
    shortest: Annotated[int, Field(ge=0, le=100_000_000)]
    late: ExactSeconds  # the largest difference between a timestamp and the first sample of its packet


class FrameStamps(BaseModel):
    """Timestamps are nominal; a packet's true time is a whole number of frames after the first packet's."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    first: ExactSeconds
    frame_seconds: Annotated[ExactSeconds, Field(gt=0)]
    lag: ExactSeconds  # timestamp minus true time: the mean of minimum and maximum
    late: ExactSeconds  # the maximum of timestamp minus true time


AudioStamps = EndStamps | FrameStamps


class AudioFacts(BaseModel):
    """One audio stream."""

    model_config = ConfigDict(frozen=True)

    index: Index
    codec: Name
    channels: Annotated[int, Field(ge=0, le=4096)]
    sample_rate: Annotated[int, Field(ge=0, le=100_000_000)]
    language: Language | None = None
    title: Name | None = None
    roles: Roles = 0
    stamps: AudioStamps | None = None  # the meaning of timestamps that do not mark a packet's first sample
    start: ExactSeconds | None = None  # its recording time; None from older probes, or if it begins late

    @property
    def names(self) -> TrackNames:
        return TrackNames(self.language, self.title, self.roles)


StreamKind = Literal["video", "audio", "subtitle", "data", "attachment", "picture", "unknown"]


class StreamFacts(BaseModel):
    """A stream that no clip holds."""

    model_config = ConfigDict(frozen=True)

    index: Index
    kind: StreamKind
    codec: Name
    language: Language | None = None
    late: bool = False  # it is not announced in the beginning of the recording


class ChapterFacts(BaseModel):
    """A chapter on the recording's timeline."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    start: ExactSeconds
    end: ExactSeconds
    title: Annotated[str, Field(max_length=MAX_CHAPTER_TITLE)] = ""


class HeaderChange(BaseModel):
    """A codec header (FFmpeg's `extradata`, in hex) that applies to a stream from a recording time on."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    index: Index
    time: ExactSeconds
    extradata: Annotated[str, Field(max_length=2 * MAX_HEADER_BYTES, pattern=r"^([0-9a-f]{2})*$")]


class SourceFacts(BaseModel):
    """All facts of a recording. `duration` is the latest presentation end of all packets, minus `origin`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    container: Name
    origin: ExactSeconds
    duration: Annotated[ExactSeconds, Field(gt=0)]
    video: VideoFacts | None = None
    audio: Annotated[tuple[AudioFacts, ...], Field(max_length=1000)] = ()
    seekable: bool = True  # False if timestamps jump, so that a cut must read from the start
    warnings: Annotated[tuple[Warning, ...], Field(max_length=100)] = ()
    other_streams: Annotated[tuple[StreamFacts, ...], Field(max_length=MAX_OTHER_STREAMS)] = ()
    other_streams_count: Count = 0  # with the streams for which `other_streams` has no room
    chapters: Count = 0
    chapter_list: Annotated[tuple[ChapterFacts, ...], Field(max_length=MAX_CHAPTERS)] = ()  # empty from older probes
    creation_time: CreationTime = None
    tags: dict[TagName, TagText] = Field(default_factory=dict)
    # Changes that a seek would miss, in file order; empty from older probes.
    header_changes: Annotated[tuple[HeaderChange, ...], Field(max_length=MAX_HEADER_CHANGES)] = ()

    def header_at(self, index: int, time: Fraction) -> bytes | None:
        """Return the changed codec header that applies to a stream at this time, or None if it is the first one."""
        found = [change for change in self.header_changes if change.index == index and change.time <= time]
        return bytes.fromhex(found[-1].extradata) if found else None
