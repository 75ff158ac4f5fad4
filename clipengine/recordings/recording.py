"""A recording: its state, its place in the store and its facts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from clipengine.basis.row_format import FIRST_FORMAT
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.timeline.clock import Clock

GROWING_FILES = 2  # format of rows: 0.2.0 probes a file that is still written as one that has ended
RecordingState = Literal["processing", "recording", "complete", "failed"]

MAX_SHOWN_GAPS = 1000  # of a recording


@dataclass(frozen=True, kw_only=True)
class RecordingSpec:
    """Options of a registered recording, besides its place in the store."""

    name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    series: str | None = None
    given_start: int | None = None  # in ms since 1970
    live: bool = False  # it may still be written
    variant: dict[str, Any] | None = None  # of its playlist
    folder: dict[str, Any] | None = None  # of a recording of a camera's files, see `FolderSource`
    created_by: str | None = None  # who has registered it


@dataclass(frozen=True)
class Seen:
    """The growth of a recording that is, or was, still written, as its columns. Times are in ms since 1970.

    `last_seen_at` is the time at which its newest media was stored, and `silent_since` the same if nothing has followed
    for long. `warnings` are strings, `code: text`, like the warnings of clips.
    """

    last_seen_at: int | None = None
    silent_since: int | None = None
    warnings: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        return {**vars(self), "warnings": list(self.warnings) or None}


SPEC_FIELDS = tuple(each.name for each in fields(RecordingSpec))


@dataclass(frozen=True)
class Recording(RecordingSpec):
    """One recording: its spec and its state. It has no `facts` until the probe has succeeded."""

    recording_id: str
    state: RecordingState
    bucket_path: str
    etag: str
    file_size_bytes: int
    created_at: int
    completed_at: int | None = None
    facts: SourceFacts | None = None
    error: dict[str, Any] | None = None  # {code, message, hint, retryable}
    expires_at: int | None = None
    fetched_bytes: int | None = None  # from a URL; None if it was in the store already
    pieces: dict[str, int] | None = None  # the counts of a recording of many files
    gaps: list[dict[str, Any]] | None = None  # of a recording of many files
    revision: int | None = None  # of one that is, or was, still written
    safe_seconds: float | None = None  # up to here it is written; None if it has ended
    digest: str | None = None  # of its content, see `content_digest`; None in S3 and before it is probed
    found_clock: dict[str, Any] | None = None  # of a recording of many files
    needs: int = FIRST_FORMAT  # the format of rows that an engine must know to probe it, or to cut clips of it
    last_seen_at: int | None = None  # see `Seen`
    silent_since: int | None = None
    warnings: list[str] | None = None

    @property
    def seen(self) -> Seen:
        return Seen(self.last_seen_at, self.silent_since, tuple(self.warnings or ()))

    @classmethod
    def local(
        cls, source: str, facts: SourceFacts, gaps: list[dict[str, Any]] | None = None, clock: Clock | None = None
    ) -> Recording:
        """Return a recording that is in no ledger."""
        found = None if clock is None else clock.to_object()
        return cls(source, "complete", source, "", 0, 0, facts=facts, gaps=gaps, found_clock=found)

    @property
    def ended(self) -> bool:
        return self.state != "processing"

    @property
    def duration_seconds(self) -> float | None:
        """The end of the recording; while it is written, the time up to which clips can be cut."""
        if self.safe_seconds is not None:
            return self.safe_seconds
        return round(float(self.facts.duration), 6) if self.facts else None

    @property
    def known_end(self) -> float:
        """The end for ranges; infinite while the recording is written or not probed, as it may have any."""
        seconds = self.duration_seconds
        return math.inf if seconds is None or self.state == "recording" else seconds

    @property
    def clock(self) -> Clock | None:
        """The clock, by the first that is known: a request, its pieces, its file."""
        created = self.facts and self.facts.creation_time
        found = Clock.from_object(self.found_clock) if self.found_clock else Clock.of_file(created) if created else None
        return found if self.given_start is None else Clock.given(self.given_start, found)
