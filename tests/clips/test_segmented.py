"""WebVTT in segments: the times of its cues on the recording's timeline."""

from __future__ import annotations

from fractions import Fraction

import pytest

from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.segmented import joined_cues, segment_cues
from clipengine.errors import InvalidTranscript

F = Fraction
WRAP = F(2**33, 90_000)
HEADER = "X-TIMESTAMP-MAP=LOCAL:01:00:00.000,MPEGTS:324000000"


def cues(*lines: str, shift: Fraction = F(0), expected: Fraction = F(0)) -> list[Cue]:
    return segment_cues("\n".join(["WEBVTT", *lines]).encode(), shift=shift, expected=expected)


def test_cue_moves_with_the_clock_of_its_run() -> None:
    found = cues(HEADER, "", "00:03.500 --> 00:05.500", "after", shift=F("2.5"), expected=F(5))
    assert found == [Cue(6000, 8000, "after")]


@pytest.mark.parametrize(
    ("header", "start_ms"),
    [
        ("X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000", 11_000),
        ("X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:04.000", 7000),
        ("X-TIMESTAMP-MAP=MPEGTS:x,LOCAL:00:04.000", 1000),
        ("NOTE nothing", 1000),
    ],
)
def test_header_maps_the_time_of_cues(header: str, start_ms: int) -> None:
    assert cues(header, "", "00:01.000 --> 00:02.000", "a", expected=F(1)) == [Cue(start_ms, start_ms + 1000, "a")]


def test_clock_that_has_wrapped_is_followed() -> None:
    found = cues(HEADER, "", "00:01.000 --> 00:02.000", "a", shift=F(100) - WRAP, expected=F(100))
    assert found == [Cue(101_000, 102_000, "a")]


def test_cue_before_the_recording_is_shortened_or_left_out() -> None:
    lines = ("", "00:01.000 --> 00:03.000", "a", "", "00:00.000 --> 00:01.500", "b")
    assert cues(*lines, shift=F(-2)) == [Cue(0, 1000, "a")]


def test_segment_without_cues_has_none() -> None:
    assert cues(HEADER) == segment_cues(b"", shift=F(0), expected=F(0)) == []


def test_segment_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidTranscript):
        cues("", "00:01 --> later", "a")


def test_cue_of_several_segments_is_taken_once() -> None:
    assert joined_cues([[Cue(1, 2, "a")], [Cue(1, 2, "a"), Cue(1, 2, "b")]]) == [Cue(1, 2, "a"), Cue(1, 2, "b")]
