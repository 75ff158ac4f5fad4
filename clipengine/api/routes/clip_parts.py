"""Validation of the parts of a clip request against their recordings and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipengine.api.http.operation import Call
from clipengine.api.http.requests import CreateClip
from clipengine.api.http.validation import located, located_below
from clipengine.clips.edit import MAX_RECORDINGS, Part, total_seconds
from clipengine.clips.plan import lacking_media
from clipengine.clips.profiles import Profile
from clipengine.clips.request import check_range
from clipengine.clips.snap import Snap
from clipengine.clips.snapped import check_possible
from clipengine.errors import InvalidRequest, InvalidTimeRange, RecordingNotComplete


def parts_of(body: CreateClip, recording_id: str) -> tuple[Part, ...]:
    """Return the parts of a request. A part without a recording is of the clip's."""
    return tuple(
        Part(part.recording_id or recording_id, part.start_seconds, part.end_seconds) for part in body.parts or ()
    )


def single_part(body: CreateClip, recording_id: str) -> Part:
    """Return the range of a request without parts."""
    return Part(recording_id, body.start_seconds or 0.0, body.end_seconds or 0.0)


def check_parts(call: Call[Any, Any], parts: Sequence[Part], *, longest: float) -> float:
    """Check each part against its recording and the limits of the clip, and return the seconds of all parts.

    Raises InvalidTimeRange, InvalidRequest, RecordingNotFound or RecordingNotComplete with the pointer to the part.
    """
    shortest = call.engine.settings.limits.min_clip_seconds
    durations: dict[str, float] = {}
    for number, part in enumerate(parts):
        with located_below(f"/parts/{number}"):
            if part.recording_id not in durations:
                if len(durations) == MAX_RECORDINGS:
                    raise InvalidRequest(f"the parts are of more than {MAX_RECORDINGS} recordings")
                durations[part.recording_id] = _duration(call, part.recording_id)
            duration = durations[part.recording_id]
            check_range(part.start_seconds, part.end_seconds, duration=duration, shortest=0, longest=float("inf"))
    total = total_seconds(parts, durations)
    if not shortest <= total <= longest:
        allowed = f"{shortest:g} to {longest:g} s are allowed"
        with located(pointer="/parts"):
            raise InvalidTimeRange(f"the clip would be {total:g} s long; {allowed}")
    return total


def check_snap(call: Call[Any, Any], snap: Snap, parts: Sequence[Part]) -> None:
    """Raise InvalidRequest if a recording of the parts cannot have the moments to which the cuts would move."""
    ledger = call.ledger
    for recording_id in dict.fromkeys(part.recording_id for part in parts):
        facts = ledger.recordings.get(recording_id).facts
        assert facts is not None
        has_transcript = ledger.transcripts.preferred(recording_id, None) is not None
        with located(pointer="/snap/to"):
            check_possible(snap, facts, has_transcript=has_transcript)


def check_kept(call: Call[Any, Any], profile: Profile, parts: Sequence[Part]) -> None:
    """Raise InvalidRequest if the profile keeps no stream of a recording of the parts."""
    for recording_id in dict.fromkeys(part.recording_id for part in parts):
        facts = call.ledger.recordings.get(recording_id).facts
        lacking = None if facts is None else lacking_media(profile, facts)
        if lacking is not None:
            with located(pointer="/profile"):
                hint = "Use a profile that keeps what the recording has."
                raise InvalidRequest(f"nothing of the recording {recording_id} is kept: {lacking}", hint=hint)


def _duration(call: Call[Any, Any], recording_id: str) -> float:
    with located(pointer="/recording_id"):
        recording = call.ledger.recordings.get(recording_id)
        if recording.state != "complete" or recording.duration_seconds is None:
            raise RecordingNotComplete.of(recording_id, recording.state)
        return recording.duration_seconds
