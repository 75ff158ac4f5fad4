"""A transcription: the job that makes the transcript of a recording. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from clipengine.clips.clip import ErrorObject
from clipengine.clips.texts.cues import Cue
from clipengine.errors import NoMediaInRange

Transcriber = Literal["local", "url"]
TranscriptionState = Literal["processing", "complete", "failed"]
SAMPLE_RATE = 16_000  # of the samples for transcribers, in mono


@dataclass(frozen=True)
class Transcription:
    """A row of the ledger. `lease` is the fencing token of its last claim; times are in ms since 1970.

    While it is in progress, `error` is the error of the last attempt, and `next_at` the earliest time of the next.
    """

    transcript_id: str
    recording_id: str
    language: str | None
    source: Transcriber
    track: int
    state: TranscriptionState
    progress: float
    found_language: str | None
    cues: int
    attempts: int
    owner: str | None
    lease: int
    next_at: int
    created_at: int
    completed_at: int | None
    warnings: list[str] = field(default_factory=list)
    error: ErrorObject | None = None
    created_by: str | None = None

    @property
    def ended(self) -> bool:
        return self.state != "processing"


@dataclass(frozen=True)
class Passage:
    """A stretch of a recording that was transcribed at once. Samples are counted from the recording's start."""

    start_sample: int
    end_sample: int
    language: str | None
    cues: tuple[Cue, ...]  # in the recording's time


def no_track(track: int, count: int) -> NoMediaInRange:
    """Return the error that a recording with so many audio tracks does not have this one."""
    if count == 0:
        return NoMediaInRange("the recording has no audio", hint="Only recordings with audio can be transcribed.")
    tracks = "one audio track, number 0" if count == 1 else f"the audio tracks 0 to {count - 1}"
    return NoMediaInRange(f"the recording has no audio track {track}", hint=f"It has {tracks}; choose one of them.")
