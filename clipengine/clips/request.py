"""Clip requests and their validation against the recording and the settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from clipengine.basis.timecode import now_ms
from clipengine.clips.cut_range import END_TOLERANCE_SECONDS
from clipengine.clips.spec import ClipSpec
from clipengine.errors import InvalidRequest, InvalidTimeRange, located

_MIN_SECONDS = 0.000_999_999  # the resolution of containers, a millisecond, after rounding errors of floats
LENGTH_HINT = "Change the length of the range; some profiles have a lower limit than others (GIF and WebP: 30 s)."
GapMode = Literal["hold", "skip", "fail"]  # how gaps of a recording of many files are cut
_RangeError = tuple[str, tuple[str, ...]]  # the error, and the invalid fields
_BOTH = ("start_seconds", "end_seconds")
TimeRange = tuple[int, int]  # start and end in ms since 1970


@dataclass(frozen=True)
class ClipRequest(ClipSpec):
    """A validated request: a spec, and the fields that its resolution replaces.

    `start_seconds` and `end_seconds` are the client's, not yet clamped to the recording. `part_times` has the ranges of
    those parts that are given by the clock of their recordings; resolution turns times into seconds. `last_seconds`
    replaces the range with the end of the recording. The clip of a range that is not yet recorded waits until
    `wait_until`.
    """

    part_times: tuple[TimeRange | None, ...] = ()
    gaps: GapMode = "hold"
    last_seconds: float | None = None

    @property
    def needs_transcripts(self) -> bool:
        """True if the request is valid or not depending on the languages of the recordings' transcripts."""
        snaps = self.snap is not None and self.snap.to == "sentence"
        return (
            snaps or "fillers" in self.without.kinds or self.subtitles == "burn" or self.subtitle_language is not None
        )


def check_expiry(expires_at: int | None) -> None:
    """Raise InvalidRequest if `expires_at` of a body, in ms since 1970, is not in the future."""
    if expires_at is not None and expires_at <= now_ms():
        with located(pointer="/expires_at"):
            raise InvalidRequest("expires_at lies in the past", hint="Give a future time, or omit it.")


def check_range(start: float | None, end: float | None, *, duration: float, shortest: float, longest: float) -> None:
    """Raise InvalidTimeRange unless `[start, end)` is a range of a recording of `duration` seconds.

    `shortest` and `longest` are the limits of the settings, in seconds. A time of None is not checked; an infinite
    `duration` is allowed. The error's `errors` point at the invalid field, or at both if only the combination is
    invalid.
    """
    found, hint = list(_number_errors(start, end)) or list(_position_errors(start, end, duration)), None
    if not found:
        found, hint = list(_length_errors(start, end, duration, shortest, longest)), LENGTH_HINT
    if found:
        errors = [{"detail": detail, "pointer": f"/{each}"} for detail, fields in found for each in fields]
        raise InvalidTimeRange("; ".join(detail for detail, _ in found), errors=errors, hint=hint)


def _number_errors(start: float | None, end: float | None) -> Iterator[_RangeError]:
    for field_name, value in (("start_seconds", start), ("end_seconds", end)):
        if value is not None and not math.isfinite(value):
            yield f"{field_name} must be a finite number", (field_name,)


def _position_errors(start: float | None, end: float | None, duration: float) -> Iterator[_RangeError]:
    if start is not None and start < 0:
        yield f"start_seconds is {start:g}, but must not be negative", ("start_seconds",)
    elif start is not None and start >= duration:
        yield f"start_seconds ({start:g}) is past the recording's end at {duration:g} s", ("start_seconds",)
    if end is not None and end > duration + END_TOLERANCE_SECONDS:
        yield f"end_seconds ({end:g}) is past the recording's end at {duration:g} s", ("end_seconds",)
    if start is not None and end is not None and end <= start:
        yield f"end_seconds ({end:g}) must be greater than start_seconds ({start:g})", _BOTH


def _length_errors(
    start: float | None, end: float | None, duration: float, shortest: float, longest: float
) -> Iterator[_RangeError]:
    if start is None or end is None:
        return
    length = min(end, duration) - start
    if length < max(shortest, min(_MIN_SECONDS, duration)):  # a whole recording is always long enough
        yield f"the clip would be {length:g} s long, but must have at least {max(shortest, 0.001):g} s", _BOTH
    if length > longest:
        yield f"the clip would be {length:g} s long, but may have at most {longest:g} s", _BOTH
