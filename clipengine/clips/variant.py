"""Variants: the request for a clip with the ranges of another clip and other options. Pure.

The dry run shows the bodies and the engine makes clips of them, so that both are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from clipengine.clips.clip import Clip

PRIORITY = -5  # clips that people request one by one come first, clips of rules last
# Options that do not change the file: a variant that differs in nothing else is not made.
_ASIDE = ("priority", "webhook_url", "expires_at")

Body = dict[str, Any]


def variant_body(clip: Clip, changes: Mapping[str, Any]) -> Body | None:
    """Return the body of a clip of `POST /v1/clips/batch`, or None if nothing is changed.

    `changes` are a merge patch (RFC 7396) of the options of the clip. A variant has the label, the ranges, the tags and
    the metadata of the clip, but not its webhook and its expiry.
    """
    before = _body(clip)
    after = merge_patch(before, changes)
    if "without" not in after:
        after.pop("keep_ranges", None)
    same = {name: value for name, value in after.items() if name not in _ASIDE} == before
    return None if same else {"priority": PRIORITY, **after}


def _body(clip: Clip) -> Body:
    """Return the body that requests a clip as this one."""
    if clip.parts:
        ranges: Body = {"parts": [{**vars(part)} for part in clip.parts]}
    else:
        ranges = {"start_seconds": clip.start_seconds, "end_seconds": clip.end_seconds}
    given: Body = {
        "render": clip.render,
        "output": clip.output and clip.output.to_object(),
        "subtitles": clip.subtitles_object(),
        "snap": clip.snap and clip.snap.model_dump(mode="json"),
        "without": [*clip.without.kinds] or None,
        "keep_ranges": [each.model_dump(mode="json") for each in clip.without.keep] or None,
        "metadata": clip.metadata or None,
        "tags": clip.tags or None,
    }
    return {
        "recording_id": clip.recording_id,
        "label": clip.label,
        **ranges,
        "profile": clip.profile,
        "poster": clip.poster,
        **merge_patch({}, given),
    }


def merge_patch(value: Mapping[str, Any], patch: Mapping[str, Any]) -> Body:
    """Return an object of JSON after a merge patch (RFC 7396): null removes a member, objects are merged."""
    merged = {**value}
    for name, change in patch.items():
        if isinstance(change, Mapping):
            before = merged.get(name)
            merged[name] = merge_patch(before if isinstance(before, Mapping) else {}, change)
        elif change is None:
            merged.pop(name, None)
        else:
            merged[name] = change
    return merged


def selection_of(action: str, clip_ids: Iterable[str], changes: Mapping[str, Any] | None = None) -> str:
    """Return the hash of an action on clips. The order of the ids makes no difference."""
    chosen = json.dumps([action, sorted(clip_ids), changes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(chosen.encode()).hexdigest()
