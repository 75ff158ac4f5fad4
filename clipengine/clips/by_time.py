"""The recordings of a series that a range of the time of day needs: over midnight, a part of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipengine.clips.clip import Recording
from clipengine.clips.edit import Part
from clipengine.clips.request import TimeRange
from clipengine.clips.warnings import recordings_apart
from clipengine.recordings.clock import Clock

# Between two recordings of one camera, of which one follows the other, beside the accuracy of their clocks.
_JOINED_MS = 250
_MOST_SLACK_MS = 2000


@dataclass(frozen=True)
class Covered:
    """The stretches of a range that recordings cover, in order, and those that none covers."""

    parts: tuple[tuple[str, TimeRange], ...]  # the id of a recording, and its part of the range
    missing: tuple[TimeRange, ...]

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
    ends: int
    slack: int


def cover(recordings: Sequence[Recording], times: TimeRange) -> Covered:
    """Return how recordings, in the order of their starts, cover a range. What two of them have is taken from one."""
    start, end = times
    parts: list[tuple[str, TimeRange]] = []
    missing: list[TimeRange] = []
    at, before = start, None
    for each in _timed(recordings):
        joins = before is not None and abs(each.begins - before.ends) <= each.slack + before.slack
        if each.begins >= end or (each.ends <= at and not joins):
            continue
        begins = each.begins if joins else max(each.begins, at)
        if not joins and begins - at > each.slack:
            missing.append((at, begins))
        parts.append((each.recording_id, (begins, min(each.ends, end))))
        at, before = min(each.ends, end), each
    if parts and before is not None and end - at > before.slack:
        missing.append((at, end))
    return Covered(tuple(parts), tuple(each for each in missing if each[1] > each[0]))


def _timed(recordings: Sequence[Recording]) -> Iterator[_Timed]:
    for each in recordings:
        clock, duration = each.clock, each.duration_seconds
        if clock is not None and duration is not None:
            yield _Timed(each.recording_id, clock.time_at(0), clock.time_at(duration), _slack(clock))


def _slack(clock: Clock) -> int:
    """Return how far the bounds of a recording may be off, in ms."""
    return min(_MOST_SLACK_MS, _JOINED_MS + round((clock.accuracy_seconds or 0) * 1000))
