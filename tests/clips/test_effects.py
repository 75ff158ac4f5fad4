"""Effects in time: repetition of held frames, and what moves."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from clipengine.clips.options.effects import Effects, PartClock, changing_steps, effects_of
from clipengine.clips.options.output import Output
from clipengine.clips.removed import Removed

_FADES = Effects(length=Fraction(3), fade_in=Fraction(99, 100), fade_out=Fraction(99, 100))


@pytest.mark.parametrize("fps", [25, 24, 30, 120])
def test_frames_of_a_usual_rate_are_not_repeated(fps: int) -> None:
    step = Fraction(1, fps)
    for number in range(3 * fps):
        assert list(changing_steps(number * step, step, _FADES, step=step)) == [(number * step, step)]


@pytest.mark.parametrize("step", [Fraction(0), Fraction(1, 25), Fraction(1), Fraction(3)])
def test_held_frame_is_repeated_during_both_fades_only(step: Fraction) -> None:
    found = list(changing_steps(Fraction(0), Fraction(3), _FADES, step=step))
    assert sum(duration for _, duration in found) == 3
    assert [duration for _, duration in found if duration > Fraction(3, 50)] == [Fraction(101, 100)]
    assert (found[25][0], found[26][0], len(found)) == (Fraction(1), Fraction(201, 100), 51)
    assert all(time + duration == after for (time, duration), (after, _) in pairwise(found))


_PATH = [
    {"at_seconds": 1, "x": 0.0, "y": 0.5, "width": 0.25, "height": 0.25},
    {"at_seconds": 2, "x": 0.5, "y": 0.5, "width": 0.25, "height": 0.25},
    {"at_seconds": 4, "x": 0.5, "y": 0.0, "width": 0.5, "height": 0.5},
]


def _boxes(effects: Effects, time: float, duration: float) -> list[tuple[float, ...]]:
    found = effects.boxes(Fraction(str(time)), Fraction(str(duration)))
    return [(box.x, box.y, box.x + box.width, box.y + box.height) for box in found]


@pytest.mark.parametrize(
    ("time", "duration", "region"),
    [
        (0.2, 0.04, (0.0, 0.5, 0.25, 0.75)),  # before the first time
        (1.5, 0.0, (0.25, 0.5, 0.5, 0.75)),
        (1.5, 0.2, (0.25, 0.5, 0.6, 0.75)),  # all that the box is over meanwhile
        (1.8, 1.2, (0.4, 0.25, 0.875, 0.75)),
        (4.5, 1.0, (0.5, 0.0, 1.0, 0.5)),
    ],
)
def test_moving_box_hides_all_places_of_a_frame(time: float, duration: float, region: tuple[float, ...]) -> None:
    effects = effects_of(Output.model_validate({"blur": [{"box": _PATH}]}), Fraction(6))
    assert _boxes(effects, time, duration) == [pytest.approx(region, abs=0.002)]


def test_box_moves_on_the_clock_of_the_clip_in_later_parts() -> None:
    blur = {"box": _PATH, "from_seconds": 1.4, "to_seconds": 1.6}
    effects = effects_of(Output.model_validate({"blur": [blur]}), Fraction(3), start=Fraction(1), first=False)
    assert _boxes(effects, 0.3, 0.05) == _boxes(effects, 0.65, 0.05) == []
    assert _boxes(effects, 0, 2) == [pytest.approx((0.2, 0.5, 0.55, 0.75))]  # only where it is in its time


def test_held_frame_is_repeated_while_something_moves() -> None:
    still = {"at_seconds": 5, "x": 0.5, "y": 0.0, "width": 0.5, "height": 0.5}
    effects = effects_of(Output.model_validate({"blur": [{"box": [*_PATH, still]}]}), Fraction(6))
    assert effects.changing == [(1, 4)]
    found = list(changing_steps(Fraction(0), Fraction(6), effects, step=Fraction(2)))
    assert (found[0], found[-1]) == ((0, 1), (4, 2))
    assert len(found) == 2 + 3 * 25


def test_focus_moves_between_its_points() -> None:
    path = [{"at_seconds": 1, "x": 0.2, "y": 0.5}, {"at_seconds": 3, "x": 0.8, "y": 1.0}]
    effects = effects_of(Output.model_validate({"aspect": "9:16", "focus": path}), Fraction(6))
    found = [effects.focus_at(Fraction(time)) for time in (0, 1, 2, 3, 5)]
    assert [(focus.x, focus.y) for focus in found] == [
        (0.2, 0.5), (0.2, 0.5), (pytest.approx(0.5), 0.75), (0.8, 1.0), (0.8, 1.0)
    ]  # fmt: skip


def test_focus_follows_the_recording_and_jumps_where_something_is_removed() -> None:
    path = [{"recording_seconds": 10, "x": 0.0, "y": 0.5}, {"recording_seconds": 20, "x": 1.0, "y": 0.5}]
    removed = Removed(((Fraction(12), Fraction(16)),))
    clock = PartClock(lambda time: removed.place(time) - 11, removed.ends)
    output = Output.model_validate({"aspect": "9:16", "focus": path, "speed": 2})
    effects = effects_of(output, Fraction(3), start=Fraction(7), first=False, clock=clock)
    found = [effects.focus_at(time).x for time in (Fraction(0), Fraction(49, 100), Fraction(1, 2), Fraction(5, 2))]
    assert found == pytest.approx([0.1, 0.198, 0.6, 1.0])
    assert effects.changing == [(Fraction(-1, 2), Fraction(5, 2))]


def test_box_follows_the_recording_and_jumps_where_something_is_removed() -> None:
    size = {"y": 0.5, "width": 0.1, "height": 0.25}
    path = [{"recording_seconds": 10, "x": 0.0, **size}, {"recording_seconds": 20, "x": 0.8, **size}]
    removed = Removed(((Fraction(12), Fraction(16)),))
    clock = PartClock(lambda time: removed.place(time) - 11, removed.ends)
    output = Output.model_validate({"blur": [{"box": path, "from_seconds": 7}], "speed": 2})
    effects = effects_of(output, Fraction(3), start=Fraction(7), first=False, clock=clock)
    (before,), (after,), (beside,) = (_boxes(effects, time, 0) for time in (0.25, 1.5, 0.5))
    assert before == pytest.approx((0.12, 0.5, 0.22, 0.75), abs=0.002)
    assert after == pytest.approx((0.64, 0.5, 0.74, 0.75), abs=0.002)
    assert beside == pytest.approx((0.16, 0.5, 0.58, 0.75), abs=0.002)  # on both sides of what is removed
    assert effects.changing == [(Fraction(-1, 2), Fraction(5, 2))]
