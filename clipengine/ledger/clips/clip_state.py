"""State machine of a clip: its states, their order, and the columns that are set when a clip enters one.

queued -> cutting -> uploading -> complete | failed. A clip returns to `queued` if a claim is released, its file is lost
or it is retried; every state before the last can fail. A transition is one UPDATE on condition of state and attempt
(see `lease`), so of two racing writers one wins.
"""

from __future__ import annotations

from typing import Any

from clipengine.clips.clip import ClipState

ACTIVE: tuple[ClipState, ...] = ("cutting", "uploading")
UNFINISHED: tuple[ClipState, ...] = ("queued", *ACTIVE)
# States of which other engines learn: there is work for them, or a response waits for it.
ANNOUNCED: tuple[ClipState, ...] = ("queued", "complete", "failed")

_NEXT: dict[ClipState, tuple[ClipState, ...]] = {
    "queued": ("cutting", "failed"),
    "cutting": ("uploading", "complete", "failed", "queued"),
    "uploading": ("complete", "failed", "queued"),
    "complete": (),
    "failed": ("queued",),
}
_UNCLAIMED: dict[str, Any] = {"owner": None, "finished": None, "cut_by": None}
_ENTERED: dict[ClipState, dict[str, Any]] = {
    "queued": {"step": "queued", "progress": 0.0, **_UNCLAIMED},
    "cutting": {"step": "reading", "progress": 0.0},
    # The attempt was finished, so the clip kills no engine.
    "uploading": {"step": "uploading", "owner": None, "engine_deaths": 0},
    "complete": {"step": None, "progress": 1.0, "error": None, "engine_deaths": 0, **_UNCLAIMED},
    "failed": {"step": None, "engine_deaths": 0, **_UNCLAIMED},
}


def entering(state: ClipState, **values: Any) -> dict[str, Any]:
    """Return the columns to set when a clip enters the state, with `values` for those that differ each time."""
    return {"state": state, **_ENTERED[state], **values}


def may_follow(state: ClipState, before: ClipState) -> bool:
    return state in _NEXT[before]
