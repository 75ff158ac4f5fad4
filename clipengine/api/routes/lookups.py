"""The clip that an address names."""

from __future__ import annotations

from clipengine.api.http.operation import Call
from clipengine.api.http.requests.fields import B, Q
from clipengine.clips.clip import Clip
from clipengine.errors import ClipNotFound


def find_clip(call: Call[Q, B]) -> Clip:
    """Return the clip of the address; under a recording's address only a clip of that recording."""
    return check_address(call, call.ledger.clips.get(call.path("clip_id")))


def check_address(call: Call[Q, B], clip: Clip) -> Clip:
    """Return the clip, unless the address names another recording. Raises ClipNotFound, which undoes a change of it."""
    if clip.recording_id != call.request.path_params.get("recording_id", clip.recording_id):
        raise ClipNotFound(f"The recording has no clip {clip.clip_id}")
    return clip
