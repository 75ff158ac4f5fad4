"""Ranges of a recording that a rule cuts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from clipengine.recordings.facts import ChapterFacts
from clipengine.recordings.recording import Recording
from clipengine.rules.hours import hours_of
from clipengine.rules.rule import RangeKind, RuleRanges

MIN_SECONDS = 1.0  # shorter ranges are skipped


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


def ranges_of(ranges: RuleRanges, recording: Recording) -> list[Range] | Skipped:
    """Return the ranges in order of time, or why there are none."""
    return _KINDS[ranges.kind](ranges, recording)


def zone_of(ranges: RuleRanges, recording: Recording) -> tzinfo:
    """Return the time zone of local times: that of a camera's files, of the rule, or UTC."""
    folder = recording.folder or {}
    return ZoneInfo(str(folder.get("timezone") or ranges.timezone or "UTC"))


def _whole(ranges: RuleRanges, recording: Recording) -> list[Range]:
    return [Range(0.0, _duration(recording))]


def _first(ranges: RuleRanges, recording: Recording) -> list[Range]:
    return [Range(0.0, min(ranges.seconds or 0.0, _duration(recording)))]


def _last(ranges: RuleRanges, recording: Recording) -> list[Range]:
    end = _duration(recording)
    return [Range(max(0.0, round(end - (ranges.seconds or 0.0), 6)), end)]


def _chapters(ranges: RuleRanges, recording: Recording) -> list[Range] | Skipped:
    listed = recording.facts.chapter_list if recording.facts else ()
    wanted = [word.casefold() for word in ranges.title_words or []]
    found = [
        each
        for each in _chapter_ranges(listed, _duration(recording))
        if not wanted or any(word in each.title.casefold() for word in wanted)
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


def _hours(ranges: RuleRanges, recording: Recording) -> list[Range] | Skipped:
    if recording.clock is None:
        return Skipped("clock_unknown", "the recording has no clock")
    wanted = range(ranges.from_hour or 0, 24 if ranges.to_hour is None else ranges.to_hour)
    found = [
        Range(round(each.start, 6), round(each.end, 6), f"{each.name}:00", each.name)
        for each in hours_of(recording.clock, _duration(recording), zone_of(ranges, recording))
        if each.hour in wanted
    ]
    return found or Skipped("no_media_in_range", "the recording has no media in these hours")


def _duration(recording: Recording) -> float:
    return recording.duration_seconds or 0.0


_KINDS: dict[RangeKind, Callable[[RuleRanges, Recording], list[Range] | Skipped]] = {
    "all": _whole,
    "first": _first,
    "last": _last,
    "chapters": _chapters,
    "hours": _hours,
}
