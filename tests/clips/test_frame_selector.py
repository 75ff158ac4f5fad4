"""FrameSelector: which frames a clip holds and at what times, as a table of recordings and ranges."""

from __future__ import annotations

from fractions import Fraction

import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.frames import FrameSelector

F = Fraction


def selected(times: list[str], start: str, end: str, frame_seconds: str = "0.04") -> list[tuple[Fraction, Fraction]]:
    """Return (clip time, recording time) of every frame of `[start, end)`."""
    selector: FrameSelector[Fraction] = FrameSelector(CutRange(F(start), F(end), F(frame_seconds)))
    chosen = [pair for time in map(F, times) for pair in selector.push(time, time)]
    return [*chosen, *selector.finish()]


EVEN = ["0", "0.04", "0.08", "0.12", "0.16", "0.2"]


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        ("0.08", "0.16", ["0.08", "0.12"]),
        ("0.07", "0.16", ["0.08", "0.12"]),  # the nearest frame begins later
        ("0.09", "0.16", ["0.08", "0.12"]),  # the nearest frame begins earlier
        ("0", "0.04", ["0"]),
        ("0.16", "5", ["0.16", "0.2"]),
    ],
)
def test_clip_begins_on_the_nearest_frame_and_ends_before_the_end(start: str, end: str, frames: list[str]) -> None:
    chosen = selected(EVEN, start, end)
    assert [time for _, time in chosen] == [F(each) for each in frames]
    assert [clip_time for clip_time, _ in chosen] == [F(each) - F(frames[0]) for each in frames]


@pytest.mark.parametrize("milliseconds", range(40, 121, 5))
def test_clip_begins_on_a_frame_exactly_if_its_range_may_begin_there(milliseconds: int) -> None:
    cut, time = CutRange(F("0.08"), F(1), F("0.04")), F(milliseconds, 1000)
    selector: FrameSelector[Fraction] = FrameSelector(cut)
    list(selector.push(time, time))
    list(selector.finish())
    assert (selector.origin == time) == cut.may_begin_at(time)
    assert cut.may_begin_at(time) == (60 <= milliseconds <= 100)


def test_of_two_equally_near_frames_the_earlier_is_first() -> None:
    assert [time for _, time in selected(EVEN, "0.06", "0.13")] == [F("0.04"), F("0.08"), F("0.12")]


def test_frame_on_screen_is_held_from_zero_if_no_frame_begins_near_the_start() -> None:
    assert selected(["0", "5", "9"], "2", "6") == [(F(0), F(0)), (F(3), F(5))]


def test_range_between_two_frames_is_one_held_frame() -> None:
    assert selected(["0", "5"], "2", "3") == [(F(0), F(0))]


def test_range_before_the_first_frame_begins_with_that_frame_at_its_own_time() -> None:
    assert selected(["3", "3.04"], "2", "4") == [(F(1), F(3)), (F("1.04"), F("3.04"))]


def test_range_after_the_last_frame_holds_the_last_frame() -> None:
    assert selected(["0", "0.04"], "1", "2") == [(F(0), F("0.04"))]


def test_variable_frame_rate_keeps_every_time() -> None:
    times = ["0", "0.01", "0.5", "0.51", "2"]
    assert [time for _, time in selected(times, "0.01", "2", "0.01")] == [F("0.01"), F("0.5"), F("0.51")]


def test_frame_that_begins_a_rounding_error_before_the_end_is_excluded() -> None:
    selector: FrameSelector[int] = FrameSelector(CutRange(F(0), F(1), F("0.04"), tick=F(1, 1000)))
    assert list(selector.push(F(0), 0)) == []
    assert [item for _, item in selector.push(F("0.9996"), 1)] == [0]
    assert selector.done


def test_recording_without_frames_gives_a_clip_without_frames() -> None:
    assert selected([], "1", "2") == []
