"""Frame durations: the frames' own times, or a constant frame rate."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.decoding.events import BeginEvent, VideoFrameEvent
from clipengine.media.video.frame_durations import with_durations

pytestmark = pytest.mark.proof

F = Fraction


def durations(times: list[str], length: str, fps: float | None, frame_seconds: str = "0.04") -> list[tuple[str, str]]:
    """Return (time, duration) of each written frame; frames are named by their times."""
    cut = CutRange(F(0), F(length), F(frame_seconds))
    events = [BeginEvent(F(0), None), *(VideoFrameEvent(F(time), cast("Any", time)) for time in times)]
    written = [each for each in with_durations(iter(events), fps, cut) if not isinstance(each, BeginEvent)]
    return [(str(float(picture.time)), str(float(duration))) for picture, duration in written]


def test_each_frame_lasts_until_the_next_and_the_last_until_the_end() -> None:
    assert durations(["0", "0.5", "0.6"], "1", None) == [("0.0", "0.5"), ("0.5", "0.1"), ("0.6", "0.4")]


def test_constant_rate_repeats_a_held_frame() -> None:
    assert durations(["0"], "0.2", 10.0) == [("0.0", "0.1"), ("0.1", "0.1")]


def test_constant_rate_drops_frames_between_two_ticks() -> None:
    times = [f"{number / 50}" for number in range(10)]
    assert [time for time, _ in durations(times, "0.2", 25.0, "0.02")] == ["0.0", "0.04", "0.08", "0.12", "0.16"]


@pytest.mark.parametrize("jitter", ["-0.004", "0.004"])
def test_rate_of_the_recording_repeats_and_drops_nothing_if_times_jitter(jitter: str) -> None:
    times = ["0", *(str(F(number, 25) + (F(jitter) if number % 2 else 0)) for number in range(1, 10))]
    assert len(durations(times, "0.4", 25.0)) == 10


def test_last_frame_of_a_constant_rate_ends_with_the_clip() -> None:
    assert durations(["0"], "0.25", 10.0)[-1] == ("0.2", "0.05")


def test_clip_without_frames_writes_none() -> None:
    assert durations([], "1", None) == []
