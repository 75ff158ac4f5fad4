"""Ranges by the time of day: their seconds on the timelines of the recordings. Pure.

Nothing after the resolution of a request knows about times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from clipengine.basis.moments import rfc3339
from clipengine.clips.cut_range import END_TOLERANCE_SECONDS
from clipengine.clips.edit import Part
from clipengine.clips.request import ClipRequest, TimeRange
from clipengine.errors import ClockUnknown, InvalidTimeRange, located, located_below
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock

_HINT = "Give start_time < end_time within the recording, each with its UTC offset."
_ROUNDING_SECONDS = 0.001  # times of the API have milliseconds
_SECONDS = re.compile(r"((?:/parts/(\d+))?/(?:start|end))_seconds")


class TimedSource(Protocol):
    """A recording, whose facts raise RecordingNotComplete."""

    @property
    def recording(self) -> Recording: ...

    @property
    def facts(self) -> SourceFacts: ...


def in_seconds(recording_id: str, request: ClipRequest, sources: Mapping[str, TimedSource]) -> ClipRequest:
    """Return the request with all of its ranges in seconds.

    Raises RecordingNotComplete, ClockUnknown, ClockAmbiguous or InvalidTimeRange, with the place of the fault.
    """
    if request.parts:
        return replace(request, parts=tuple(_placed_parts(request, sources)), part_times=())
    if request.start_time is None or request.end_time is None:
        return request
    start, end = _seconds_of((request.start_time, request.end_time), sources[recording_id])
    return replace(request, start_seconds=start, end_seconds=end)


def _placed_parts(request: ClipRequest, sources: Mapping[str, TimedSource]) -> Iterator[Part]:
    times: Sequence[TimeRange | None] = request.part_times or [None] * len(request.parts)
    for number, (part, of_part) in enumerate(zip(request.parts, times, strict=True)):
        if of_part is None:
            yield part
            continue
        with located_below(f"/parts/{number}"):
            yield Part(part.recording_id, *_seconds_of(of_part, sources[part.recording_id]))


def _seconds_of(times: TimeRange, source: TimedSource) -> tuple[float, float]:
    """Return the range of these times on the timeline. Raises InvalidTimeRange if it is not in the recording."""
    source.facts  # noqa: B018 - raises RecordingNotComplete
    duration, clock = source.recording.known_end, source.recording.clock
    if clock is None:
        raise ClockUnknown(f"the time of day of the recording {source.recording.recording_id} is not known")
    with located(pointer="/start_time"):
        start = clock.seconds_at(times[0])
    with located(pointer="/end_time"):
        end = clock.seconds_at(times[1])
    if faults := list(_faults(times, start, end, duration, clock)):
        errors = [{"detail": detail, "pointer": f"/{name}"} for name, detail in faults]
        raise InvalidTimeRange("; ".join(dict.fromkeys(each["detail"] for each in errors)), errors=errors, hint=_HINT)
    return max(0.0, start), end


def _faults(times: TimeRange, start: float, end: float, duration: float, clock: Clock) -> Iterator[tuple[str, str]]:
    if times[1] <= times[0]:
        for name in ("start_time", "end_time"):
            yield name, f"end_time ({rfc3339(times[1])}) must be after start_time ({rfc3339(times[0])})"
    elif start < -_ROUNDING_SECONDS:
        yield "start_time", f"start_time is before the recording, which begins at {rfc3339(clock.time_at(0))}"
    elif start >= duration:
        yield "start_time", f"start_time is after the recording, which ends at {rfc3339(clock.time_at(duration))}"
    elif end > duration + END_TOLERANCE_SECONDS:
        yield "end_time", f"end_time is after the recording, which ends at {rfc3339(clock.time_at(duration))}"


@contextmanager
def errors_by_clock(request: ClipRequest) -> Iterator[None]:
    """Let the faults of ranges that are given by the clock point at their times."""
    try:
        yield
    except InvalidTimeRange as error:
        error.errors = [each | {"pointer": _renamed(each["pointer"], request)} for each in error.errors]
        raise


def _renamed(pointer: str, request: ClipRequest) -> str:
    found = _SECONDS.fullmatch(pointer)
    if found is None:
        return pointer
    of_part = found[2] is not None and request.part_times and request.part_times[int(found[2])] is not None
    of_clip = found[2] is None and request.start_time is not None
    return f"{found[1]}_time" if of_part or of_clip else pointer


def with_times(request: ClipRequest, clock: Clock | None) -> ClipRequest:
    """Return the request with the times of its range, if they are known and not given."""
    if clock is None or request.start_time is not None:
        return request
    start, end = clock.time_at(request.start_seconds), clock.time_at(request.end_seconds)
    return replace(request, start_time=start, end_time=end)
