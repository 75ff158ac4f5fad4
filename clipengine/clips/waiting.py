"""Rules of clips whose range is not recorded yet: how long they wait, when they are cut, and when they fail.

Pure: the ledger applies them to its rows, in the transaction that reads how far the recordings are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from clipengine.clips.clip import Clip
from clipengine.clips.edit import Part
from clipengine.clips.request import ClipRequest
from clipengine.errors import InvalidRequest, NoMediaInRange, NotRecordedYet, RecordingError, located

MAX_WAIT_MS = 7 * 24 * 3600 * 1000
_MARGIN_MS = 300_000  # after the time at which the range should be recorded
_LATE_HINT = "Try again later, with a later `wait_until`, or with `on_timeout`: `clamp`."


class Awaited(NamedTuple):
    """A part of a clip, the time up to which its recording is known, and whether it is still written."""

    part: Part
    written_seconds: float
    is_live: bool


def waiting_request(request: ClipRequest, lacking_seconds: float, now: int) -> ClipRequest:
    """Return the request with the time until which its clip waits, or None if nothing of its range is lacking.

    `now` is in ms since 1970. Raises InvalidRequest for a time that the client must not give.
    """
    if request.wait_until is not None and not now < request.wait_until <= now + MAX_WAIT_MS:
        with located(pointer="/wait_until"):
            raise InvalidRequest("wait_until must be in the next 7 days", hint="Give such a time, or omit it.")
    if not lacking_seconds:
        return replace(request, wait_until=None, on_timeout=None)
    until = now + min(round(lacking_seconds * 1000) + _MARGIN_MS, MAX_WAIT_MS)
    return replace(request, wait_until=request.wait_until or until)


def wait_of_retry(clip: Clip, now: int) -> int | None:
    """Return the time until which a clip that is tried again waits: as long as at first. None: it does not wait."""
    return None if clip.wait_until is None else now + clip.wait_until - clip.created_at


def next_step(ranges: Sequence[Awaited]) -> Literal["wait", "cut"] | RecordingError:
    """Return what becomes of a waiting clip: it is cut if its recordings have reached its ranges, or have ended.

    Return an error if a range begins after the end of its recording.
    """
    for part, written_seconds, is_live in ranges:
        if is_live and part.end_seconds > written_seconds:
            return "wait"
        if part.start_seconds >= written_seconds:
            return NoMediaInRange(f"the recording has ended at {written_seconds:g} s, before the range")
    return "cut"


def step_at_timeout(clip: Clip, ranges: Sequence[Awaited]) -> Literal["cut"] | RecordingError:
    """Return what becomes of a clip whose wait has ended: with `on_timeout: clamp`, it is cut as far as recorded."""
    if clip.on_timeout == "clamp" and all(part.start_seconds < written for part, written, _ in ranges):
        return "cut"
    return NotRecordedYet.of(clip.ranges[-1].end_seconds, hint=_LATE_HINT)
