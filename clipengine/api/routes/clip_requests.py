"""Requests for clips: the look-ups that `resolve_clip` needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clipengine.api.http.operation import Call
from clipengine.api.http.requests.clips import CreateClip
from clipengine.api.http.validation import check_expiry
from clipengine.api.routes.webhook_addresses import check_address
from clipengine.clips.request import MAX_WAIT_MS, ClipRequest
from clipengine.clips.resolve import ClipSource, ResolvedClip, check_recordings, resolve_clip
from clipengine.errors import InvalidRequest, NotRecordedYet, located
from clipengine.ledger.transcripts import MAX_TRANSCRIPTS
from clipengine.recordings.recording import Recording
from clipengine.timecode import now_ms

_WAIT_MS = 300_000  # after the time at which the range should be recorded
_SOON_HINT = "Its playlist is being read: ask again in a second, or give the range."


def recording_of_path(call: Call[Any, Any]) -> Recording:
    """Return the recording of the address. Raises RecordingNotFound."""
    with located(parameter="recording_id"):
        return call.ledger.recordings.get(call.path("recording_id"))


def resolved(call: Call[Any, Any], body: CreateClip, recording: Recording, *, seeks: bool = False) -> ResolvedClip:
    """Return the clip of the recording that the body requests; with `seeks`, its sources have their seek indexes.

    Raises the first fault that the ledger or the settings decide.
    """
    request = body.request(recording.recording_id, request_id=call.request_id, traceparent=call.traceparent)
    return resolved_request(call, request, recording, seeks=seeks)


def resolved_request(
    call: Call[Any, Any], request: ClipRequest, recording: Recording, *, seeks: bool = False
) -> ResolvedClip:
    """Return the clip of a request, see `resolved`."""
    recording_id, settings = recording.recording_id, call.engine.settings
    check_recordings(request.parts)
    if request.last_seconds is not None and not call.ledger.live.is_known(recording_id):
        raise NotRecordedYet("the end of the recording is not known since the engine has started", hint=_SOON_HINT)
    sources = {recording_id: _source(call, recording, request, seeks)}
    for number, part in enumerate(request.parts):
        if part.recording_id not in sources:
            with located(pointer=f"/parts/{number}/recording_id"):
                other = call.ledger.recordings.get(part.recording_id)
            sources[part.recording_id] = _source(call, other, request, seeks)
    clip = resolve_clip(recording_id, request, sources, settings.clip_rules)
    if request.webhook_url is not None:
        check_address(request.webhook_url, settings, pointer="/webhook_url", look_up=False)
    check_expiry(request.expires_at)
    return replace(clip, request=_waiting(clip))


def _waiting(clip: ResolvedClip) -> ClipRequest:
    """Return the request with the time until which it waits for its recording. Raises InvalidRequest."""
    request, now = clip.request, now_ms()
    if request.wait_until is not None and not now < request.wait_until <= now + MAX_WAIT_MS:
        with located(pointer="/wait_until"):
            raise InvalidRequest("wait_until must be in the next 7 days", hint="Give such a time, or omit it.")
    if not clip.lacking_seconds:
        return replace(request, wait_until=None, on_timeout=None)
    until = now + min(round(clip.lacking_seconds * 1000) + _WAIT_MS, MAX_WAIT_MS)
    return replace(request, wait_until=request.wait_until or until)


def _source(call: Call[Any, Any], recording: Recording, request: ClipRequest, seeks: bool) -> ClipSource:
    ledger, recording_id = call.ledger, recording.recording_id
    found = ledger.transcripts.list(recording_id, limit=MAX_TRANSCRIPTS).data if request.needs_transcripts else ()
    seek_index = ledger.recordings.seek_index(recording_id) if seeks else None
    return ClipSource(recording, tuple(each.language for each in found), seek_index)
