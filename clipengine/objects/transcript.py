"""Transcripts and what a search finds in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from clipengine.objects.base import ApiObject, MaybeTime, Time
from clipengine.recordings.clock import Clock
from clipengine.timecode import rfc3339

Source = Literal["upload", "sidecar", "embedded"]


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
    created_at: Time = ""


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
