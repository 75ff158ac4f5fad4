"""The timeline of a recording: container timestamps without jumps."""

from __future__ import annotations

from fractions import Fraction

from clipengine.media.input.timing.timeline import Timeline

F = Fraction
VIDEO, AUDIO = 0, 1


def place(timeline: Timeline, times: list[str], stream: int = VIDEO, duration: str = "0.04") -> list[Fraction]:
    """Return the timeline's times of packets with these container times."""
    return [timeline.add(stream, F(time), F(time), F(duration)) for time in times]


def test_origin_is_subtracted() -> None:
    assert place(Timeline(F(100), joins_discontinuities=True), ["100", "100.04"]) == [F(0), F("0.04")]


def test_short_gap_stays_a_gap() -> None:
    assert place(Timeline(F(0), joins_discontinuities=True), ["0", "9"]) == [F(0), F(9)]


def test_forward_jump_continues_after_the_last_packet() -> None:
    timeline = Timeline(F(0), joins_discontinuities=True)
    assert place(timeline, ["0", "0.04", "1000", "1000.04"]) == [F(0), F("0.04"), F("0.08"), F("0.12")]
    assert timeline.discontinuities == 1


def test_backward_jump_continues_after_the_last_packet() -> None:
    assert place(Timeline(F(50), joins_discontinuities=True), ["50", "50.04", "0"]) == [F(0), F("0.04"), F("0.08")]


def test_jump_is_kept_if_the_container_never_jumps() -> None:
    assert place(Timeline(F(0), joins_discontinuities=False), ["0", "1000"]) == [F(0), F(1000)]


def test_streams_share_the_offset_of_a_jump() -> None:
    timeline = Timeline(F(0), joins_discontinuities=True)
    place(timeline, ["0", "0.04"])
    place(timeline, ["0", "0.02", "0.04"], AUDIO, "0.02")
    (video,) = place(timeline, ["500"])
    (audio,) = place(timeline, ["500.01"], AUDIO, "0.02")
    assert audio - video == F("0.01")
    assert timeline.discontinuities == 1


def test_end_is_the_end_of_the_latest_packet() -> None:
    timeline = Timeline(F(0), joins_discontinuities=True)
    place(timeline, ["0", "0.04"])
    place(timeline, ["0", "2"], AUDIO, "0.5")
    assert timeline.end == F("2.5")
