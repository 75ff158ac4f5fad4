"""Batches of rules and requests, and selections of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from typing_extensions import TypedDict

from clipengine.objects.base import ApiObject, JobObject, MaybeTime, Object, Time

BatchState = Literal["waiting", "making", "complete", "cancelled"]
_ITEM = ("number", "state", "clip_id", "source_clip_id", "code", "message")


class BatchItemObject(TypedDict):
    """A clip of a batch, or the reason why there is none."""

    number: int
    """Number of the item in the batch, from 0."""
    state: Literal["pending", "made", "skipped", "failed"]
    """`made` if the clip is queued or deleted, `skipped` if it cannot be made, `failed` if it was refused."""
    clip_id: str | None
    """The clip that was made; null if there is none."""
    source_clip_id: str | None
    """The clip of which a variant is made, or that is deleted; null in a batch of a rule."""
    share_url: str | None
    """The address of the clip's share, which works once it is complete; null without a share of the rule."""
    code: str | None
    """Why there is no clip: a code of an error, or `too_short`, for example."""
    message: str | None
    """The same in words."""


@dataclass(frozen=True)
class BatchObject(JobObject):
    """Clips that a rule makes of one recording, or that a request makes or deletes in the background."""

    batch_id: str
    """Id of the batch."""
    kind: Literal["rule", "variants", "delete"] = "rule"
    """`variants` and `delete` are batches of requests."""
    rule_id: str | None = None
    """Id of the rule; null in a batch of a request."""
    recording_id: str | None = None
    """Id of the recording; null if clips of any recording were selected."""
    state: BatchState = "waiting"
    """`waiting` until its clips are decided, then `making` until all are queued or deleted."""
    reason: str | None = None
    """The code of an error for which it waits, such as `queue_full`."""
    revision: int = 0
    """The revision of the rule that decided its clips; 0 until then, and of a request."""
    total: int = 0
    """Number of clips, with those that are skipped."""
    made: int = 0
    """Number of clips that were queued, or deleted."""
    skipped: int = 0
    """Number of clips that cannot be made, or were deleted before."""
    failed: int = 0
    """Number of clips that were refused."""
    left_out: int = 0
    """Number of ranges beyond `max_clips` of the rule."""
    created_at: Time = ""
    ended_at: MaybeTime = None
    """When its last clip was queued or deleted; null until then."""
    items: list[BatchItemObject] = field(default_factory=list)
    """Its clips, at most 200 of a rule and 100 of a request. They are deleted after `retention.events_days`."""

    @property
    def ended(self) -> bool:
        return self.state in ("complete", "cancelled")

    @classmethod
    def of(cls, batch: Any, /, items: Any = (), urls: Mapping[str, str] = MappingProxyType({}), **given: Any) -> Self:
        shown = [
            {name: getattr(each, name) for name in _ITEM} | {"share_url": urls.get(each.clip_id or "")}
            for each in items
        ]
        return super().of(batch, items=shown, **given)


class SelectedClipObject(TypedDict):
    """A clip that a request selects."""

    clip_id: str
    label: str
    """Name of the clip; empty if there is no clip with this id."""
    size_bytes: int
    """Size of its file; 0 until it is complete."""
    body: Object | None
    """The variant as a clip of `POST /v1/clips/batch`; null if none is made, and for a deletion."""
    error: Object | None
    """Why it is skipped or would be refused, with `code` and `message`; null if it is not."""


@dataclass(frozen=True)
class SelectionObject(ApiObject):
    """The clips that a request selects in a dry run, in which nothing is made or deleted."""

    selection: str
    """Stands for the clips and the changes: send the request with it."""
    count: int = 0
    """Number of variants that would be requested, or of clips that would be deleted."""
    bytes: int = 0
    """Size of the files of the clips."""
    skipped: int = 0
    """Number of clips of which no variant is made, or that are left out of the deletion because they are processing."""
    refused: int = 0
    """Number of variants that would be refused."""
    data: list[SelectedClipObject] = field(default_factory=list)
    """The first 100 clips."""
