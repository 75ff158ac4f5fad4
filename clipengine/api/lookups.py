"""What an address names: the one clip or recording, the one webhook or delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clipengine.api.faults import at
from clipengine.api.operation import Call
from clipengine.api.requests import NoBody, Q
from clipengine.clips.clip import Clip
from clipengine.errors import ClipNotFound


def find_clip(call: Call[Q, NoBody]) -> Clip:
    """The clip of the address; under a recording's address only a clip of that recording."""
    clip_id = call.path("clip_id")
    clip = call.ledger.clips.get(clip_id)
    if clip.recording_id != call.request.path_params.get("recording_id", clip.recording_id):
        raise ClipNotFound(f"The recording has no clip {clip_id}")
    return clip


def check_address_exists(call: Call[Any, Any], given: Mapping[str, Any]) -> None:
    """Raises the 404 of an address that names nothing."""
    ledger = call.ledger
    finders: dict[str, Callable[[], object]] = {
        "clip_id": lambda: find_clip(call),
        "recording_id": lambda: ledger.recordings.get(call.path("recording_id")),
        "webhook_id": lambda: ledger.endpoints.get(call.path("webhook_id")),
        "delivery_id": lambda: ledger.deliveries.get(call.path("delivery_id")),
    }
    for name, find in finders.items():
        if name in call.request.path_params:
            at(find, parameter=name)()
