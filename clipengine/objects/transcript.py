"""Transcripts and what a search finds in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from clipengine.basis.moments import rfc3339
from clipengine.clips.transcription import Transcriber
from clipengine.objects.base import ApiObject, JobObject, MaybeTime, Status, Time, shown_time
from clipengine.objects.clip import ErrorObject
from clipengine.recordings.timeline.clock import Clock

Source = Literal["upload", "sidecar", "embedded", "made"]


@dataclass(frozen=True)
class TranscriptObject(ApiObject):
    """The text of a recording in one language. `source` is its origin."""

    recording_id: str
    language: str
    """BCP 47 tag, in its canonical form."""
    source: Source = "upload"
    """Where it comes from."""
    cues: int = 0
    """Number of cues."""
    version: str = ""
    """One that replaces it has another version, which is the `ETag` of the transcript in quotes."""
    created_at: Time = ""
    created_by: str | None = None


@dataclass(frozen=True)
class TranscriptionObject(JobObject):
    """A transcription: the job that makes the transcript of a recording."""

    parsers: ClassVar = {"error": ErrorObject.from_object, "last_error": ErrorObject.from_object}

    transcript_id: str
    recording_id: str
    status: Status = "processing"
    """State of the transcription."""
    progress: float = 0.0
    """Part that is transcribed, 0 to 1. It grows with what the transcriber has recognized."""
    language: str | None = None
    """BCP 47 tag of the requested language, or of the found one when it is complete."""
    source: Transcriber = "local"
    """The transcriber: a model of this engine, or a server."""
    track: int = 0
    """Number of the audio track, from 0."""
    cues: int = 0
    """Number of cues, when it is complete."""
    warnings: list[str] = field(default_factory=list)
    """Each is a code, a colon and a text."""
    created_at: Time = ""
    completed_at: MaybeTime = None
    error: ErrorObject | None = None
    last_error: ErrorObject | None = None
    """Why the last attempt has failed, while it is retried; null after an attempt that has got further."""
    next_at: MaybeTime = None
    """When the next attempt is due, if the last one has failed."""
    created_by: str | None = None

    @classmethod
    def of(cls, transcription: Any, /, **given: Any) -> Self:
        language = transcription.found_language or transcription.language
        error = transcription.error and ErrorObject.from_object(transcription.error)
        errors = {"error": error, "last_error": None} if transcription.ended else {"error": None, "last_error": error}
        waits = errors["last_error"] is not None and transcription.owner is None
        next_at = shown_time(transcription.next_at) if waits else None
        return super().of(
            transcription, status=transcription.state, language=language, next_at=next_at, **errors, **given
        )


@dataclass(frozen=True)
class SearchHitObject(ApiObject):
    """A cue that contains the words. `highlights` has start and end of each match in `text`, in code points."""

    recording_id: str
    language: str
    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    highlights: list[list[int]] = field(default_factory=list)
    """Start and end of each match in `text`, in code points."""
    start_time: MaybeTime = None
    """When it was said, by the clock of the recording; null if that is unknown."""
    end_time: MaybeTime = None
    """When that ended."""

    @classmethod
    def of(cls, hit: Any, /, clock: Clock | None = None, **given: Any) -> Self:
        cue = hit.cue
        times: dict[str, Any] = {"start_seconds": cue.start_ms / 1000, "end_seconds": cue.end_ms / 1000}
        for each in ("start", "end"):
            times[f"{each}_time"] = None if clock is None else rfc3339(clock.time_at(times[f"{each}_seconds"]))
        return super().of(hit, **times, text=cue.text, speaker=cue.speaker, **given)
