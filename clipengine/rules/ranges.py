"""Ranges of a recording that a rule cuts. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from clipengine.clips.texts.cues import Cue
from clipengine.clips.transcript_searches import Search, sentence_search, suggestion_search
from clipengine.errors import TranscriptNotFound
from clipengine.recordings.facts import ChapterFacts
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import Recording
from clipengine.rules.hours import hours_of
from clipengine.rules.rule import RangeKind, RuleRanges, contains_one

MIN_SECONDS = 1.0  # shorter ranges are skipped
_SUGGESTIONS = 5


class Skipped(NamedTuple):
    """A range that a rule leaves out, or the whole recording, with the reason."""

    code: str
    message: str


class Range(NamedTuple):
    """A range in seconds of the recording. `hour` is empty for ranges of other kinds."""

    start: float
    end: float
    title: str = ""
    hour: str = ""


@dataclass(frozen=True)
class Material:
    """The input of ranges. If they need a transcript, `found` is what `search_of` finds in it.

    `language` is None if the recording has no such transcript.
    """

    recording: Recording
    language: str | None = None
    found: Sequence[Any] = ()
    markers: Sequence[Marker] = ()

    @property
    def duration(self) -> float:
        return self.recording.duration_seconds or 0.0


def ranges_of(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    """Return the ranges in order of time, or why there are none."""
    return _KINDS[ranges.kind](ranges, material)


def search_of(
    ranges: RuleRanges, recording: Recording, language: str, cues: Sequence[Cue], keywords: Sequence[str]
) -> Search[Any]:
    """Return the search in a transcript that these ranges need. `keywords` of the settings are for suggestions."""
    duration_ms = int((recording.duration_seconds or 0.0) * 1000)
    if ranges.kind == "words":
        return sentence_search(cues, ranges.words or (), duration_ms=duration_ms)
    return suggestion_search(
        cues,
        duration_ms=duration_ms,
        language=language,
        chapters=_listed_chapters(recording),
        keywords=keywords,
        limit=ranges.limit or _SUGGESTIONS,
    )


def zone_of(ranges: RuleRanges, recording: Recording) -> tzinfo:
    """Return the time zone of a camera's files, or else of the rule, or else UTC."""
    folder = recording.folder or {}
    return ZoneInfo(str(folder.get("timezone") or ranges.timezone or "UTC"))


def _whole(ranges: RuleRanges, material: Material) -> list[Range]:
    return [Range(0.0, material.duration)]


def _first(ranges: RuleRanges, material: Material) -> list[Range]:
    return [Range(0.0, min(ranges.seconds or 0.0, material.duration))]


def _last(ranges: RuleRanges, material: Material) -> list[Range]:
    end = material.duration
    return [Range(max(0.0, round(end - (ranges.seconds or 0.0), 6)), end)]


def _chapters(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    listed = _listed_chapters(material.recording)
    found = [
        each for each in _chapter_ranges(listed, material.duration) if contains_one(each.title, ranges.title_words)
    ]
    return found or Skipped("no_chapters", "the recording has no such chapters" if listed else "it has no chapters")


def _chapter_ranges(chapters: Iterable[ChapterFacts], duration: float) -> Iterator[Range]:
    """Yield the chapters that are not empty. One without an end extends to the next."""
    ordered = sorted(chapters, key=lambda each: (each.start, each.end))
    begins = [*(float(each.start) for each in ordered), duration]
    for chapter, (start, following) in zip(ordered, pairwise(begins), strict=True):
        end = min(float(chapter.end) if chapter.end > chapter.start else following, duration)
        if end > max(start, 0.0):
            yield Range(round(max(start, 0.0), 6), round(end, 6), chapter.title)


def _hours(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    recording = material.recording
    if recording.clock is None:
        return Skipped("clock_unknown", "the recording has no clock")
    wanted = range(ranges.from_hour or 0, 24 if ranges.to_hour is None else ranges.to_hour)
    found = [
        Range(round(each.start, 6), round(each.end, 6), f"{each.name}:00", each.name)
        for each in hours_of(recording.clock, material.duration, zone_of(ranges, recording))
        if each.hour in wanted
    ]
    return found or Skipped("no_media_in_range", "the recording has no media in these hours")


def _suggestions(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    if material.language is None:
        return _NO_TRANSCRIPT
    chosen = sorted(material.found, key=lambda each: each["start_seconds"])
    shown = [Range(each["start_seconds"], each["end_seconds"], each["about"] or each["text"]) for each in chosen]
    return shown or Skipped("no_moments", "the transcript has no moments that are worth a clip")


def _words(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    if material.language is None:
        return _NO_TRANSCRIPT
    found = _joined((Range(*each) for each in material.found), ranges, material.duration)
    return found or Skipped("no_words", "the transcript has none of the words")


def _markers(ranges: RuleRanges, material: Material) -> list[Range] | Skipped:
    wanted = [each for each in material.markers if contains_one(each.label, ranges.labels)]
    if not wanted:
        return Skipped("no_markers", "the recording has no such markers" if material.markers else "it has no markers")
    placed = [(start, each) for each in wanted if (start := each.start(material.recording.clock)) is not None]
    if not placed:
        return Skipped("clock_unknown", "its markers have a time, and the recording has no clock")
    end = math.inf if material.recording.state == "recording" else material.duration
    within = (Range(start, start + each.seconds, each.label) for start, each in placed if 0 <= start < end)
    return _joined(within, ranges, end) or Skipped("no_media_in_range", "its markers are outside of the recording")


def _joined(found: Iterable[Range], ranges: RuleRanges, duration: float) -> list[Range]:
    """Return ranges with the seconds before and after them. Those that overlap become one, with the first title."""
    joined: list[Range] = []
    for each in sorted(found):
        start = round(max(0.0, each.start - (ranges.before or 0.0)), 6)
        end = round(min(duration, each.end + (ranges.after or 0.0)), 6)
        if joined and start <= joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, end))
        elif end >= start:
            joined.append(each._replace(start=start, end=end))
    return joined


def _listed_chapters(recording: Recording) -> Sequence[ChapterFacts]:
    return recording.facts.chapter_list if recording.facts else ()


_NO_TRANSCRIPT = Skipped(TranscriptNotFound.code, "the recording has no such transcript")
_KINDS: dict[RangeKind, Callable[[RuleRanges, Material], list[Range] | Skipped]] = {
    "all": _whole,
    "first": _first,
    "last": _last,
    "chapters": _chapters,
    "hours": _hours,
    "markers": _markers,
    "suggestions": _suggestions,
    "words": _words,
}
