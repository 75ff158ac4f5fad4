"""Hours of the day by the clock of a recording. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from itertools import groupby, pairwise
from typing import NamedTuple

from clipengine.basis.moments import utc
from clipengine.recordings.timeline.clock import Clock

_STEP_MS = 15 * 60 * 1000  # every boundary of an hour of any zone is a multiple, also where clocks change
_MAX_STEPS = 200 * 4  # of a recording: 200 hours, as many as a rule may make clips of


class Hour(NamedTuple):
    """A local hour in seconds of the recording. `name` is `02`, or `02A` and `02B` if the day has it twice."""

    start: float
    end: float
    hour: int
    name: str


def hours_of(clock: Clock, duration: float, zone: tzinfo) -> list[Hour]:
    """Return the local hours of the first 200 hours of a recording; the first and the last one may be cut off.

    A day has 23, 24 or 25 of them. A boundary that the clock shows twice is at its first place.
    """
    first, end = clock.time_at(0) // _STEP_MS, clock.time_at(duration)
    last = min(-(-end // _STEP_MS), first + _MAX_STEPS)
    groups = [(key, next(members)) for key, members in groupby(range(first, last), lambda each: _hour_at(each, zone))]
    twice = {key[:2] for key, _ in groups if key[2]}
    found = []
    steps = [*(step for _, step in groups), last]
    places = [min(max(0.0, clock.first_seconds_at(each * _STEP_MS)), duration) for each in steps]
    for (day, hour, fold), (start, stop) in zip((key for key, _ in groups), pairwise(places), strict=True):
        name = f"{hour:02}" + (("B" if fold else "A") if (day, hour) in twice else "")
        found.append(Hour(start, stop, hour, name))
    return [*_in_order(found)]


def _hour_at(step: int, zone: tzinfo) -> tuple[int, int, int]:
    local = utc(step * _STEP_MS).astimezone(zone)
    return local.toordinal(), local.hour, local.fold


def _in_order(hours: list[Hour]) -> Iterator[Hour]:
    """Yield the hours that are not empty, each from the end of the one before: a clock that was set back overlaps."""
    position = 0.0
    for each in hours:
        start = max(position, each.start)
        if each.end > start:
            yield each._replace(start=start)
            position = each.end
