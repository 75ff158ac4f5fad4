"""The recordings of a series that a range of the time of day needs: over midnight, a part of each. Pure.

A recording that is still written may have any end: the part of the range that is ahead of it is expected from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipengine.clips.edit import Part
from clipengine.clips.request import TimeRange
from clipengine.clips.warnings import recordings_apart
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock

# Between two recordings of one camera, of which one follows the other, beside the accuracy of their clocks.
_JOINED_MS = 250
_MOST_SLACK_MS = 2000
_OPEN = 1 << 62  # the end of a recording that is still written, in ms


@dataclass(frozen=True)
class Covered:
    """The stretches of a range that recordings cover, in order, and the stretches that none covers.

    `is_cut_short` says that the end of the range is missing, and `may_follow` that the last recording is still written,
    so that the recording of the next day may have the end.
    """

    parts: tuple[tuple[str, TimeRange], ...]  # the id of a recording, and its part of the range
    missing: tuple[TimeRange, ...]
    is_cut_short: bool = False
    may_follow: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(recordings_apart(*each) for each in self.missing)

    def ranges(self, times: TimeRange) -> dict[str, object]:
        """Return the fields of a request for a clip of the parts, in the range that was asked for."""
        if len(self.parts) == 1:
            times = self.parts[0][1]
            return {"start_time": times[0], "end_time": times[1], "warnings": self.warnings}
        return {
            "parts": tuple(Part(recording_id, 0.0, 0.0) for recording_id, _ in self.parts),
            "part_times": tuple(of_part for _, of_part in self.parts),
            "start_time": times[0],
            "end_time": times[1],
            "warnings": self.warnings,
        }


@dataclass(frozen=True)
class _Timed:
    recording_id: str
    begins: int
    written: int  # the time up to which it is written
    ends: int  # later than that while it is still written
    slack: int

    def lacks_only_slack(self, at: int) -> bool:
        """Return True if all that may still be written after `at` is less than the clocks are off."""
        return self.written <= at and self.ends - at <= self.slack


def cover(recordings: Sequence[Recording], times: TimeRange) -> Covered:
    """Return the stretches of a range that recordings, given in the order of their starts, cover.

    A stretch that two recordings cover is taken from one of them.
    """
    start, end = times
    parts: list[tuple[str, TimeRange]] = []
    missing: list[TimeRange] = []
    at, before = start, None
    for each in _timed(recordings):
        joins = before is not None and abs(each.begins - before.ends) <= each.slack + before.slack
        if each.begins >= end or (not joins and (each.ends <= at or each.lacks_only_slack(at))):
            continue
        begins = each.begins if joins else max(each.begins, at)
        if not joins and begins - at > each.slack:
            missing.append((at, begins))
        parts.append((each.recording_id, (begins, min(each.ends, end))))
        at, before = min(each.ends, end), each
    is_cut_short = before is None or end - at > before.slack
    if parts and is_cut_short:
        missing.append((at, end))
    may_follow = bool(recordings) and recordings[-1].state == "recording"
    return Covered(tuple(parts), tuple(each for each in missing if each[1] > each[0]), is_cut_short, may_follow)


def _timed(recordings: Sequence[Recording]) -> Iterator[_Timed]:
    followers = [each.clock.time_at(0) for each in recordings if each.clock is not None]
    for each in recordings:
        clock, duration = each.clock, each.duration_seconds
        if clock is None or duration is None:
            continue
        begins, written, slack = clock.time_at(0), clock.time_at(duration), _slack(clock)
        ends = written
        if each.state == "recording":
            following = (other for other in followers if other > begins and other >= written - slack)
            ends = max(written, next(following, _day_ends(each, clock)))
        yield _Timed(each.recording_id, begins, written, ends, slack)


def _day_ends(recording: Recording, clock: Clock) -> int:
    """Return the end of the day of which the recording is, by its clock; `_OPEN` if it may go on over midnight."""
    ends = None if recording.folder is None else FolderSource.from_object(recording.folder).day_ends
    if ends is None:
        return _OPEN
    # The names have the clock of the recorder, which a request may have corrected.
    found = clock if recording.found_clock is None else Clock.from_object(recording.found_clock)
    return ends + clock.time_at(0) - found.time_at(0)


def _slack(clock: Clock) -> int:
    """Return how far the bounds of a recording may be off, in ms."""
    return min(_MOST_SLACK_MS, _JOINED_MS + round((clock.accuracy_seconds or 0) * 1000))
