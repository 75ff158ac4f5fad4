"""Planning of a clip: the same preparation as for its file, then a plan of each part by a child."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from clipengine.clips.clip_plan import ClipPlan, PartPlan
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.read_jobs import PLAN
from clipengine.clips.plan.segments import TOO_MANY_BYTES, CannotCopy, check_copyable, refused_parts
from clipengine.clips.resolve import ClipRules
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Encoding
from clipengine.work.cutting.preparation import Making, Prepared, Search, prepare


@dataclass(frozen=True)
class PartSearch:
    """The job that plans part `number` of `count`, in a child."""

    kind: ClassVar = PLAN
    parts: Sequence[PlannedPart]
    profile: Profile
    number: int
    count: int

    def values(self, part: PlannedPart) -> dict[str, str | int]:
        return {
            "start": str(part.start),
            "end": str(min(part.end, part.facts.duration)),
            "removed": str(part.removed.seconds),
            "profile": self.profile.model_dump_json(),
            "is_first": int(self.number == 0),
            "is_last": int(self.number == self.count - 1),
        }

    def seek_index(self, part: PlannedPart) -> SeekIndex | None:
        return part.own_seek_index

    def report_of_parts(self, found: Sequence[Any]) -> PartPlan:
        return PartPlan.of(found[0])


PlanSearch = Search | PartSearch
_Parts = Generator[PartSearch, Any, tuple[list[PartPlan], dict[int, str], str | None]]


def plan_clip(making: Making, *, encoding: Encoding, rules: ClipRules) -> Generator[PlanSearch, Any, ClipPlan]:
    """Return the plan of a clip. Raises the errors of `prepare`, with which the clip would fail."""
    prepared = yield from prepare(making, encoding=encoding, rules=rules)
    plans, refused, reason = yield from _plan_parts(prepared)
    return ClipPlan(
        prepared.parts,
        prepared.profile,
        plans,
        refused,
        reason,
        snapped=prepared.snapped,
        warnings=prepared.warnings,
        characters=prepared.fonts.characters,
    )


def _plan_parts(prepared: Prepared) -> _Parts:
    """Return the plans of the parts, the reasons for encoding single parts, and the reason for encoding all of them."""
    parts, profile = prepared.parts, prepared.profile
    encoded = profile.model_copy(update={"render": "encode"})
    if profile.render == "encode":
        return (yield from _plan_each(parts, encoded)), {}, None
    plans: list[PartPlan] = []
    try:
        check_copyable(parts, profile)
        plans = yield from _plan_each(parts, profile)
        refused = refused_parts(parts, [plan.found for plan in plans])
        limit = profile.output.max_bytes
        if limit is not None and sum(plan.estimated_bytes for plan in plans) > limit:
            raise CannotCopy(TOO_MANY_BYTES)
    except CannotCopy as refusal:
        plans = yield from _plan_each(parts, encoded, known=plans)
        return plans, {}, str(refusal)
    plans = yield from _plan_each(parts, encoded, known=plans, numbers=refused)
    return plans, refused, None


def _plan_each(
    parts: Sequence[PlannedPart],
    profile: Profile,
    *,
    known: Sequence[PartPlan] = (),
    numbers: Sequence[int] | dict[int, str] | None = None,
) -> Generator[PartSearch, Any, list[PartPlan]]:
    """Plan the parts with these numbers, or all, and return the plans of all parts.

    `known` are earlier plans of all parts. A known plan that copies nothing is kept.
    """
    plans: list[PartPlan] = []
    for number, part in enumerate(parts):
        is_planned = not known or ((numbers is None or number in numbers) and known[number].copies)
        if is_planned:
            plan: PartPlan = yield PartSearch([part], profile, number, len(parts))
        else:
            plan = known[number]
        plans.append(plan)
    return plans
