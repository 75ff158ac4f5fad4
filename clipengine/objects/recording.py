"""Recordings, and what an event of another system makes of its objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from typing_extensions import TypedDict

from clipengine.clips.clip import Recording
from clipengine.objects.base import JobObject, MaybeTime, Status, Time, described
from clipengine.objects.clip import ErrorObject
from clipengine.recordings.facts import SourceFacts, VideoFacts


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


@dataclass(frozen=True)
class RecordingObject(JobObject):
    """A recording. `status` is `processing` while it is probed, then `complete` (with `media`) or `failed`."""

    recording_id: str
    status: Status
    """`processing` until it is `complete` or `failed`."""
    duration_seconds: float | None = None
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

    parsers: ClassVar = {"error": ErrorObject.from_object}

    @classmethod
    def of(cls, recording: Recording, /, **given: Any) -> Self:
        return super().of(
            recording,
            status=recording.state,
            error=recording.error and ErrorObject.from_object(recording.error),
            media=recording.facts and _media(recording.facts),
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


class IgnoredObject(TypedDict):
    """An object that an event announced and that is not registered."""

    key: str
    """Key of the object."""
    reason: Literal["other_bucket", "own_object", "not_media", "missing", "failed", "other_event"]
    """Why it is not registered."""


@described
class IngestObject(TypedDict):
    """The recordings of an event, new ones and those that it had already, and what is ignored of it."""

    recording_ids: list[str]
    """Ids of the recordings."""
    ignored: list[IgnoredObject]
    """Objects that are not registered."""
