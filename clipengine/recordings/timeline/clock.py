"""Clock of a recording: the time of day at each place of its timeline. Pure.

Inside a stretch of media its timestamps decide. Dates only give points, between which time and place are linear: the
clock of a camera drifts by seconds a day. Where the recorder's clock was set, two points share a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

from clipengine.basis.moments import rfc3339
from clipengine.errors import ClockAmbiguous
from clipengine.recordings.pieces import MICROSECONDS, PieceIndex, Run

# Given in a request, stated by each piece (MediaMTX), dates of a playlist, names of files, their ends, creation time.
ClockSource = Literal["given", "mtxi", "playlist", "name", "end", "file"]
MAX_CLOCK_POINTS = 2000
_EXACT_SECONDS = 0.001  # the resolution of dates in the API
_STRAIGHT_US = 1000  # a point that is so near to the line between its neighbours is left out
_LONG_US = 20_000 * 366 * 86_400 * MICROSECONDS  # from any time of a request to any other
_CORRECTION_US = MICROSECONDS  # a clock that is set back by less repeats no time that matters


class ClockPoint(NamedTuple):
    """A place on the timeline and its time since 1970, in microseconds."""

    place: int
    time: int


@dataclass(frozen=True)
class Clock:
    """A clock by its points, in the order of their places. Before the first and after the last one it runs on.

    `accuracy_seconds` is how far off it may be, by the resolution of its source; None if unknown.
    """

    source: ClockSource
    accuracy_seconds: float | None
    points: tuple[ClockPoint, ...]

    @classmethod
    def from_object(cls, stored: dict[str, Any]) -> Self:
        points = tuple(ClockPoint(*each) for each in stored["points"])
        return cls(stored["source"], stored["accuracy_seconds"], points)

    def to_object(self) -> dict[str, Any]:
        return {"source": self.source, "accuracy_seconds": self.accuracy_seconds, "points": [*map(list, self.points)]}

    @classmethod
    def of_file(cls, created: datetime) -> Self:
        """Return the clock of a file that states when it was created."""
        return cls("file", None, (ClockPoint(0, round(created.timestamp() * 1000) * 1000),))

    @classmethod
    def given(cls, started_at: int, found: Clock | None) -> Self:
        """Return the clock of a recording that began at a time in ms since 1970.

        It keeps the gaps and the drift of the clock that was `found`, if there is one.
        """
        if found is None:
            return cls("given", _EXACT_SECONDS, (ClockPoint(0, started_at * 1000),))
        by = started_at * 1000 - found._time_at(0)
        return cls("given", _EXACT_SECONDS, tuple(ClockPoint(place, time + by) for place, time in found.points))

    def time_at(self, seconds: float) -> int:
        """Return the time at a place of the timeline, in ms since 1970."""
        return round(self._time_at(round(seconds * MICROSECONDS)) / 1000)

    def _time_at(self, place: int) -> int:
        for first, last in self._lines():
            if place < last.place:
                return first.time + (place - first.place) * (last.time - first.time) // (last.place - first.place)
        raise AssertionError("the last line has no end")

    def seconds_at(self, time: int) -> float:
        """Return the place of a time in ms since 1970; below 0 before the recording.

        Raises ClockAmbiguous if the recorder's clock was set back, so that it shows the time at several places.
        """
        places = sorted(self._places_at(time * 1000))
        if places[-1] - places[0] > _CORRECTION_US:
            found = " and ".join(f"{place / MICROSECONDS:.3f}" for place in (places[0], places[-1]))
            raise ClockAmbiguous(f"the clock of the recording was set back: {rfc3339(time)} is at {found} seconds")
        return places[0] / MICROSECONDS

    def first_seconds_at(self, time: int) -> float:
        """Return the first place of a time in ms since 1970; below 0 before the recording."""
        return min(self._places_at(time * 1000)) / MICROSECONDS

    def _places_at(self, time: int) -> Iterator[int]:
        """Yield the places of a time in microseconds. A time that the clock skipped is where it was set forward."""
        for first, last in self._lines():
            if first.time <= time < last.time:
                yield first.place + (time - first.time) * (last.place - first.place) // (last.time - first.time)
        for before, after in pairwise(self.points):
            if before.place == after.place and before.time <= time < after.time:
                yield before.place

    def _lines(self) -> Iterator[tuple[ClockPoint, ClockPoint]]:
        """Yield the points of each line, from long before the recording to long after it."""
        first, last = self.points[0], self.points[-1]
        points = [
            ClockPoint(first.place - _LONG_US, first.time - _LONG_US),
            *self.points,
            ClockPoint(last.place + _LONG_US, last.time + _LONG_US),
        ]
        for before, after in pairwise(points):
            if before.place < after.place:
                yield before, after


def clock_of_dates(index: PieceIndex) -> Clock | None:
    """Return the clock by the dates of a playlist, or None if it states none. Call it when all runs are placed."""
    for track in index.tracks:
        points = [point for run in track.runs for point in _points_of(run)]
        if points:
            return Clock("playlist", _EXACT_SECONDS, straightened(points))
    return None


def _points_of(run: Run) -> Iterator[ClockPoint]:
    """Yield the points of a run: its start, the pieces with the first and the last date, and its end."""
    if run.first_dated is None or run.last_dated is None:
        return
    first, last = run.pieces[0], run.pieces[-1]
    yield ClockPoint(first.start, first.start + run.zero_date(run.first_dated))
    if run.first_dated.number > 0:
        yield ClockPoint(run.pieces[run.first_dated.number].start, run.first_dated.date)
    if run.last_dated.number > run.first_dated.number:
        yield ClockPoint(run.pieces[run.last_dated.number].start, run.last_dated.date)
    yield ClockPoint(last.end, last.end + run.zero_date(run.last_dated))


def straightened(points: Sequence[ClockPoint]) -> tuple[ClockPoint, ...]:
    """Return at most MAX_CLOCK_POINTS points, without points on the line between their neighbours."""
    kept: list[ClockPoint] = []
    for number, point in enumerate(points):
        following = points[number + 1] if number + 1 < len(points) else None
        if kept and following is not None and _is_straight(kept[-1], point, following):
            continue
        if not kept or point != kept[-1]:
            kept.append(point)
    step = -(-len(kept) // MAX_CLOCK_POINTS)
    return tuple(kept[::step])


def _is_straight(before: ClockPoint, point: ClockPoint, after: ClockPoint) -> bool:
    if not before.place < point.place < after.place:
        return False
    expected = before.time + (point.place - before.place) * (after.time - before.time) // (after.place - before.place)
    return abs(expected - point.time) < _STRAIGHT_US
