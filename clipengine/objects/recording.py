"""Recordings, and what an event of another system makes of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NotRequired, Self

from typing_extensions import TypedDict

from clipengine.objects.base import ApiObject, JobObject, MaybeTime, RecordingStatus, Time, described, shown_time
from clipengine.objects.clip import ErrorObject
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.pieces import MICROSECONDS, GapReason, ListedPiece
from clipengine.recordings.recording import MAX_SHOWN_GAPS, Recording
from clipengine.recordings.timeline.clock import ClockSource


class VideoObject(TypedDict):
    """The first video track."""

    codec: str
    width: int
    height: int
    fps: float
    """Nominal frames per second, to three decimals."""
    frame_rate: str | None
    """The exact rate as a fraction: `30000/1001`, `50/3`, `25`."""
    variable_rate: bool
    """The distance between frames varies."""
    first_frame_seconds: float | None
    """Time of the first frame; above 0 if audio begins before video. Null if unknown."""
    rotation: int
    """Degrees by which players rotate the picture."""


class AudioObject(TypedDict):
    """An audio track."""

    codec: str
    channels: int
    """Number of channels."""
    sample_rate: int
    """Samples a second."""
    language: str | None


class ChapterObject(TypedDict):
    """A chapter of a recording."""

    start_seconds: float
    end_seconds: float
    title: str


class MediaObject(TypedDict):
    """The media of a recording."""

    container: str
    video: VideoObject | None
    """The first video track; null without one."""
    audio: list[AudioObject]
    """The audio tracks."""
    chapters: list[ChapterObject]
    """At most 500, on the recording's timeline."""


class PiecesObject(TypedDict):
    """The counts of a recording of many files."""

    count: int
    """Segments."""
    runs: int
    """Unbroken stretches."""
    tracks: int
    """Playlists."""
    bytes: int
    """Of all segments."""
    left_out: NotRequired[int]
    """Files of a camera that are not in the recording: stored after its end or out of order, or unreadable."""


class VariantObject(TypedDict, total=False):
    """The variant of a master playlist that was requested."""

    max_height: int
    """The largest one up to this height."""
    name: str
    """The one with this `NAME`."""


class FolderObject(TypedDict):
    """The files of a camera that are one recording."""

    folder: str
    """What the keys of its files begin with, before the pattern; empty or with a slash at its end."""
    pattern: str
    """The pattern of their names."""
    timezone: str
    """Time zone of the times in names."""
    camera: str | None
    """Text in place of `{camera}`."""
    day: str | None
    """The day in that time zone; null for all files."""


class ClockObject(TypedDict):
    """The time of day of a recording."""

    source: ClockSource
    """`given` by a request, `mtxi` by MediaMTX, `playlist` by its dates, `name` by the names of files, `end` by the
    times at which they were closed, `file` by its
    creation time, which some programs set at the end.
    """
    accuracy_seconds: float | None
    """How far off it may be by the resolution of its source; null if unknown."""


class GapObject(TypedDict):
    """A range of a recording of many files without media."""

    start_seconds: float
    end_seconds: float
    reason: GapReason
    """`missing`: segments are not in the store. `encrypted`: they cannot be read. `paused`: the dates of the playlist
    jump.
    """


@dataclass(frozen=True)
class RecordingObject(JobObject):
    """A recording. `status` is `processing` while it is probed, then `complete` (with `media`) or `failed`.

    One that is still written is `recording` before it is `complete`.
    """

    recording_id: str
    status: RecordingStatus
    """`processing`, then `complete` or `failed`; `recording` while it is written, with clips of what is there."""
    duration_seconds: float | None = None
    """While it is `recording`: up to here, all video and audio is there."""
    file_size_bytes: int = 0
    """Size of the object."""
    bucket_path: str = ""
    created_at: Time = ""
    completed_at: MaybeTime = None
    name: str | None = None
    """Display name; null without one."""
    metadata: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    """ETag of the object in the store."""
    error: ErrorObject | None = None
    media: MediaObject | None = None
    """What the recording contains; null until it is probed."""
    tags: list[str] = field(default_factory=list)
    expires_at: MaybeTime = None
    fetched_bytes: int | None = None
    """Bytes fetched from its URL, of `file_size_bytes`, 0 while unknown. Null if it was in the store already."""
    pieces: PiecesObject | None = None
    """Null for one file."""
    started_at: MaybeTime = None
    """When the recording began, by its clock; null if that is unknown."""
    gaps: list[GapObject] = field(default_factory=list)
    """Ranges without media of a recording of many files. At most 1,000."""
    gaps_count: int = 0
    """Number of all gaps."""
    variant: VariantObject | None = None
    """Of a master playlist, as requested; null for the best one."""
    revision: int | None = None
    """Increases whenever a recording that is still written grows; null for others."""
    clock: ClockObject | None = None
    """Null if the time of day is unknown."""
    last_seen_at: MaybeTime = None
    """When the newest media of a recording that is, or was, still written was stored; null for others."""
    silent_since: MaybeTime = None
    """`last_seen_at` if a recording that is still written gets nothing new for long; else null."""
    warnings: list[str] = field(default_factory=list)
    """Faults of the producer of a recording that is, or was, still written, as `code: text`."""
    series: str | None = None
    """Recordings of one camera or programme have the same; null without one."""
    folder: FolderObject | None = None
    """Of a recording of a camera's files; null for others."""
    clips_count: int | None = None
    """Number of its clips, of which at most 1,000 are counted; null in events, and when it was just registered."""
    created_by: str | None = None

    parsers: ClassVar = {"error": ErrorObject.from_object}

    @classmethod
    def of(cls, recording: Recording, /, **given: Any) -> Self:
        clock = recording.clock
        given.setdefault("clips_count", None)
        return super().of(
            recording,
            status=recording.state,
            error=recording.error and ErrorObject.from_object(recording.error),
            media=recording.facts and _media(recording.facts),
            gaps=(recording.gaps or [])[:MAX_SHOWN_GAPS],
            gaps_count=len(recording.gaps or []),
            warnings=recording.warnings or [],
            started_at=None if clock is None else shown_time(clock.time_at(0)),
            clock=clock and ClockObject(source=clock.source, accuracy_seconds=clock.accuracy_seconds),
            **given,
        )


def _media(facts: SourceFacts) -> MediaObject:
    return MediaObject(
        container=facts.container,
        video=_video(facts.video) if facts.video else None,
        audio=[
            AudioObject(codec=each.codec, channels=each.channels, sample_rate=each.sample_rate, language=each.language)
            for each in facts.audio
        ],
        chapters=[
            ChapterObject(
                start_seconds=round(float(each.start), 6), end_seconds=round(float(each.end), 6), title=each.title
            )
            for each in facts.chapter_list
        ],
    )


def _video(video: VideoFacts) -> VideoObject:
    return VideoObject(
        codec=video.codec,
        width=video.width,
        height=video.height,
        fps=video.fps,
        frame_rate=video.frame_rate,
        variable_rate=video.variable_rate,
        first_frame_seconds=None if video.first_frame is None else round(float(video.first_frame), 6),
        rotation=video.rotation,
    )


class PieceObject(TypedDict):
    """A file of a recording, or a range of its bytes."""

    track: int
    """Number of its track, counted from 0."""
    run: int
    """Number of the unbroken stretch of its track, counted from 0."""
    key: str
    """Key of the object."""
    etag: str
    """ETag of the object when it was indexed."""
    offset: int
    """First byte."""
    length: int
    """Number of bytes."""
    start_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class ListedPiecesObject(ApiObject):
    """The files of a recording from a time on."""

    pieces: list[PieceObject]
    """In the order of their starts; empty for one file."""
    more: bool
    """There are further ones, after the start of the last one."""

    @classmethod
    def first_of(cls, found: Sequence[ListedPiece], limit: int) -> Self:
        """Return the first pieces."""
        return cls([_piece(each) for each in found[:limit]], more=len(found) > limit)


def _piece(listed: ListedPiece) -> PieceObject:
    data = listed.piece.data
    return PieceObject(
        track=listed.track,
        run=listed.run,
        key=data.key,
        etag=data.etag,
        offset=data.offset,
        length=data.length,
        start_seconds=listed.piece.start / MICROSECONDS,
        duration_seconds=listed.piece.duration / MICROSECONDS,
    )


class IgnoredObject(TypedDict):
    """An object that an event announced and that is not registered."""

    key: str
    """Key of the object."""
    reason: Literal["other_bucket", "own_object", "not_media", "missing", "failed", "other_event", "piece", "not_ended"]
    """Why it is not registered."""


@described
class IngestObject(TypedDict):
    """Recordings of an event, new and known ones, and its ignored objects."""

    recording_ids: list[str]
    """Ids of the recordings."""
    ignored: list[IgnoredObject]
    """Objects that are not registered."""
