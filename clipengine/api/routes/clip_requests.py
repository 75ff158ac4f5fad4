"""Requests for clips of the recording in the path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clipengine.api.http.operation import Call
from clipengine.api.http.requests.clips import CreateClip
from clipengine.clips.request import ClipRequest
from clipengine.clips.resolve import ResolvedClip
from clipengine.errors import located
from clipengine.recordings.recording import Recording
from clipengine.work.cutting.requests import ClipRequests


def requests_of(call: Call[Any, Any]) -> ClipRequests:
    return ClipRequests(call.ledger, call.engine.settings)


def recording_of_path(call: Call[Any, Any]) -> Recording:
    """Return the recording of the address. Raises RecordingNotFound."""
    with located(parameter="recording_id"):
        return call.ledger.recordings.get(call.path("recording_id"))


def resolved(call: Call[Any, Any], body: CreateClip, recording: Recording, *, seeks: bool = False) -> ResolvedClip:
    """Return the clip of the recording that the body requests, see `ClipRequests.resolve`."""
    request = body.request(recording.recording_id, request_id=call.request_id, traceparent=call.traceparent)
    return resolved_request(call, request, recording, seeks=seeks)


def resolved_request(
    call: Call[Any, Any], request: ClipRequest, recording: Recording, *, seeks: bool = False
) -> ResolvedClip:
    """Return the clip of a request, see `ClipRequests.resolve`."""
    return requests_of(call).resolve(replace(request, created_by=call.caller.id), recording, seeks=seeks)
