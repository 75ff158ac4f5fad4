"""Rules and their dry runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from typing_extensions import TypedDict

from clipengine.basis.moments import rfc3339
from clipengine.objects.base import ApiObject, MaybeTime, Object, Time, described_as, shown_time
from clipengine.objects.webhook import Origin
from clipengine.rules.rule import RuleConditions, RuleRanges


class BackfillObject(TypedDict):
    """The backfill of a rule, which acts on recordings that were complete before."""

    state: Literal["running", "complete", "cancelled"]
    """What it does."""
    total: int
    """Number of recordings that it reads: the oldest ones, up to 10,000."""
    seen: int
    """Number of recordings that it has read."""
    matched: int
    """Number of recordings that met the conditions."""
    left_out: bool
    """There are more recordings."""
    created_after: MaybeTime
    """Only recordings that were registered after this time."""
    started_at: Time
    """When it began."""
    ended_at: MaybeTime
    """When it ended; null while it runs."""


@dataclass(frozen=True)
class RuleObject(ApiObject):
    """A rule: it makes clips of complete recordings without a request."""

    rule_id: str
    """Id of the rule."""
    name: str
    """Its name, which no other rule has."""
    origin: Origin = "api"
    enabled: bool = True
    """It acts on recordings."""
    when: Annotated[Object, described_as(RuleConditions)] = field(default_factory=dict)
    """The recordings that it acts on."""
    ranges: Annotated[Object, described_as(RuleRanges)] = field(default_factory=dict)
    """The ranges of a recording of which it makes clips."""
    clip: Object = field(default_factory=dict)
    """The options of its clips."""
    max_clips: int = 20
    """The most clips that it makes of one recording."""
    revision: int = 1
    """Rises with each change."""
    created_at: Time = ""
    updated_at: Time = ""
    """When it was last changed."""
    created_by: str | None = None
    made: int = 0
    """Number of clips that it has queued."""
    skipped: int = 0
    """Number of ranges and recordings of which it could make no clip."""
    failed: int = 0
    """Number of clips that were refused or have failed."""
    stopped_reason: str | None = None
    """Why the engine has disabled it; null if it has not."""
    last_error: Object | None = None
    """The error of the last clip that was refused or has failed."""
    last_at: MaybeTime = None
    """When it last queued a clip."""
    backfill: BackfillObject | None = None
    """Its last backfill; null if it had none."""

    @classmethod
    def of(cls, rule: Any, /, **given: Any) -> Self:
        stored = {name: rule.stored[name] for name in ("when", "ranges", "clip", "max_clips")}
        return super().of(rule, **stored, backfill=_backfill(rule.backfill), **given)


def _backfill(state: Mapping[str, Any] | None) -> BackfillObject | None:
    if state is None:
        return None
    return BackfillObject(
        state=state["state"],
        total=state["total"],
        seen=state["seen"],
        matched=state["matched"],
        left_out=state["left_out"],
        created_after=shown_time(state["created_after"]),
        started_at=rfc3339(state["started_at"]),
        ended_at=shown_time(state["ended_at"]),
    )


class SkippedObject(TypedDict):
    """A range, or a recording, of which a rule makes no clip."""

    code: str
    """Why: `too_short`, for example."""
    message: str
    """The same in words."""


class TriedClipObject(TypedDict):
    """A clip that a rule would make."""

    body: Object
    """The body of `POST /v1/recordings/{recording_id}/clips`, which may also be planned."""
    error: Object | None
    """Why the clip would be refused; null if it would be queued."""


@dataclass(frozen=True)
class TriedRuleObject(ApiObject):
    """What a rule would make of a recording."""

    recording_id: str
    matches: bool = True
    """The recording meets the conditions in `when`. Otherwise the rule does not act on it."""
    data: list[TriedClipObject] = field(default_factory=list)
    """The clips, in order of time."""
    skipped: list[SkippedObject] = field(default_factory=list)
    """The ranges that are too short or too long, or why there are none."""
    left_out: int = 0
    """Number of ranges beyond `max_clips`."""
