"""Variants of clips. The dry run and the engine use the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipengine.clips.clip import Clip
from clipengine.clips.resolve import ResolvedClip
from clipengine.clips.variant import merge_patch, variant_body
from clipengine.errors import ClipNotComplete, ClipNotFound, RecordingNotComplete
from clipengine.ledger.automation.batches import BatchItem
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import Recording
from clipengine.work.cutting.rule_clips import RuleClips


class Variants:
    def __init__(self, ledger: Ledger, clips: RuleClips) -> None:
        self._ledger = ledger
        self._clips = clips

    def check(self, changes: Mapping[str, Any]) -> None:
        """Raise the errors of changes that the settings do not allow for any recording.

        Without a profile, `output` is checked with the profile of each clip.
        """
        given = merge_patch({}, changes)
        if "profile" not in given:
            given.pop("output", None)
        self._clips.check_options(given)

    def resolve(
        self,
        body: Mapping[str, Any],
        source_clip_id: str,
        *,
        request_id: str | None = None,
        known: dict[str, Recording] | None = None,
    ) -> ResolvedClip:
        """Return the variant of a clip. Raises the errors of `ClipRequests.resolve`, and of its recording.

        `known` keeps the recordings that were read, for the next calls.
        """
        recording = self._recording(body["recording_id"], {} if known is None else known)
        options = {name: value for name, value in body.items() if name != "recording_id"}
        clip = self._clips.resolve(options, recording, request_id=request_id)
        return replace(clip, request=replace(clip.request, variant_of=source_clip_id))

    def _recording(self, recording_id: str, known: dict[str, Recording]) -> Recording:
        found = known.get(recording_id) or self._ledger.recordings.get(recording_id)
        if found.state != "complete":
            raise RecordingNotComplete.of(recording_id, found.state, found.error)
        known[recording_id] = found
        return found


def variant_items(clips: Sequence[Clip], missing: Sequence[str], changes: Mapping[str, Any]) -> list[BatchItem]:
    """Return the items of a batch that makes variants of clips. The `missing` ids are skipped."""
    items = [
        BatchItem("", 0, "skipped", code=ClipNotFound.code, message=ClipNotFound.of(id).message, source_clip_id=id)
        for id in missing
    ]
    for clip in clips:
        if clip.state != "complete":
            state = clip.state if clip.ended else "processing"
            skipped = (ClipNotComplete.code, f"The clip is {state}")
        elif (body := variant_body(clip, changes)) is None:
            skipped = ("unchanged", "The changes make no difference to the clip")
        else:
            items.append(BatchItem("", 0, "pending", body, source_clip_id=clip.clip_id))
            continue
        items.append(BatchItem("", 0, "skipped", None, None, *skipped, source_clip_id=clip.clip_id))
    return sorted(items, key=lambda item: str(item.source_clip_id))
