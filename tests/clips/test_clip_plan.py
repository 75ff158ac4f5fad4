"""Reports of the children that plan the parts of a clip, and the preparation of a clip without children."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.clip_plan import ClipPlan, PartPlan
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import Without
from clipengine.clips.plan.segments import TOO_MANY_BYTES
from clipengine.clips.removal import SilenceReport
from clipengine.clips.snapped import SnapReport
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import InvalidTimeRange, VerificationFailed
from clipengine.settings.settings import Settings
from clipengine.work.cutting.planning import PartSearch, PlanSearch, plan_clip
from clipengine.work.cutting.preparation import Making, MomentSearch, SilenceSearch, run_steps
from tests.support.api import FACTS

F = Fraction
REPORT: dict[str, Any] = {
    "actual_start": "1",
    "actual_end": "3",
    "held_seconds": 0.0,
    "frames": 60,
    "frames_exact": True,
    "width": 1920,
    "height": 1080,
    "segments": [{"kind": "encode", "start_seconds": 1.0, "end_seconds": 3.0}],
    "stream": None,
    "reason": None,
    "only_frame": None,
    "misfit": None,
    "estimated_bytes": 1000,
    "estimated_seconds": 0.5,
    "bytes_to_read": 500,
    "warnings": [],
}


class NoTexts:
    def cues(self, part: PlannedPart, start: Fraction, end: Fraction) -> Sequence[Cue]:
        return ()

    def spoken(self, part: PlannedPart) -> TextTrack | None:
        return None

    def added(self, parts: Sequence[PlannedPart]) -> tuple[list[PlannedPart], list[str]]:
        return [*parts], []


@pytest.mark.parametrize(
    "change",
    [
        {"frames": -1},
        {"frames": "60"},
        {"held_seconds": float("nan")},
        {"actual_start": "-1/3"},
        {"actual_end": "1e20"},
        {"segments": [{"kind": "skip", "start_seconds": 1.0, "end_seconds": 3.0}]},
        {"segments": REPORT["segments"] * 1001},
        {"warnings": ["x" * 501]},
        {"more": 1},
    ],
)
def test_report_of_a_plan_is_validated(change: dict[str, Any]) -> None:
    PartPlan.of(REPORT)
    with pytest.raises(VerificationFailed):
        PartPlan.of(REPORT | change)


def _plan(making: Making, searches: list[PlanSearch], *, cuts: list[str | None], shortest: float = 0.5) -> ClipPlan:
    def find(search: PlanSearch) -> object:
        searches.append(search)
        if isinstance(search, MomentSearch):
            return SnapReport.of({"cuts": [cuts], "bytes_read": 10})
        if isinstance(search, SilenceSearch):
            return SilenceReport.of({"parts": ["4000000-6000000"], "bytes_read": 20}, 1)
        return PartPlan.of(REPORT)

    settings = Settings.model_validate({"data": {"folder": Path("/nonexistent")}})
    rules = settings.clip_rules.unlimited
    steps = plan_clip(making, encoding=settings.encoding, rules=rules)
    return run_steps(steps, find)


def test_plan_snaps_then_leaves_out_then_plans_each_part() -> None:
    searches: list[PlanSearch] = []
    making = Making(
        [PlannedPart(FACTS, F(3), F(9))],
        Profile(),
        NoTexts(),
        Snap(to="keyframe", within_seconds=2),
        without=Without(("silence",)),
    )
    plan = _plan(making, searches, cuts=["2", None])
    assert [type(each) for each in searches] == [MomentSearch, SilenceSearch, PartSearch]
    assert searches[1].parts[0].start == 2
    assert plan.parts[0].removed.seconds == F("1.8")
    assert [cut.snapped_seconds for cut in plan.snapped] == [2.0, None]
    assert [each.partition(":")[0] for each in plan.warnings] == ["not_snapped"]
    assert plan.values(source=0)["removed"] == [{"part": 0, "start_seconds": 4.1, "end_seconds": 5.9}]


def test_plan_without_searches_needs_one_report_of_each_part() -> None:
    searches: list[PlanSearch] = []
    _plan(Making([PlannedPart(FACTS, F(3), F(9))] * 2, Profile(), NoTexts()), searches, cuts=[])
    assert [(type(each), each.values(each.parts[0])["is_last"]) for each in searches] == [
        (PartSearch, 0),
        (PartSearch, 1),
    ]


@pytest.mark.parametrize(("limit", "warned"), [(20_000, True), (1_000_000, False)])
def test_plan_warns_if_max_bytes_is_less_than_the_audio_has(limit: int, warned: bool) -> None:
    profile = Profile(output=Output(max_bytes=limit))
    values = _plan(Making([PlannedPart(FACTS, F(1), F(3))], profile, NoTexts()), [], cuts=[]).values(source=0)
    assert [each.partition(":")[0] for each in values["warnings"]] == ["size_unlikely"] * warned


def test_smart_clip_with_too_many_bytes_is_encoded_in_its_plan() -> None:
    copied = REPORT | {"stream": "1", "segments": [{"kind": "copy", "start_seconds": 1.0, "end_seconds": 3.0}]}
    reports = iter([copied | {"estimated_bytes": 200_000}, REPORT])
    profile = Profile(render="smart", output=Output(max_bytes=100_000))
    settings = Settings.model_validate({"data": {"folder": Path("/nonexistent")}})
    making = Making([PlannedPart(FACTS, F(1), F(3))], profile, NoTexts())
    steps = plan_clip(making, encoding=settings.encoding, rules=settings.clip_rules.unlimited)
    plan = run_steps(steps, lambda search: PartPlan.of(next(reports)))
    assert plan.reason == TOO_MANY_BYTES
    assert not any(each.copies for each in plan.plans)


def test_fault_of_a_snapped_cut_names_its_place_in_the_request() -> None:
    making = Making([PlannedPart(FACTS, F(3), F(4))], Profile(), NoTexts(), Snap(to="scene", within_seconds=2))
    with pytest.raises(InvalidTimeRange) as fault:
        _plan(making, [], cuts=["4", "4"])
    assert [each["pointer"] for each in fault.value.errors] == ["/snap"]
