"""Snapping: which moment near a cut is taken, and what is believed of a child's report."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from clipengine.clips.edit import MAX_PARTS, PlannedPart
from clipengine.clips.options.output import Output
from clipengine.clips.options.snap import MAX_WITHIN_SECONDS, Edge, Snap, SnappedCut
from clipengine.clips.snap_moments import Found, nearest, sentence_moments, silence_moments
from clipengine.clips.snapped import SnapReport, check_possible, move_cuts
from clipengine.clips.texts.cues import Cue
from clipengine.errors import InvalidRequest, InvalidTimeRange, VerificationFailed
from clipengine.recordings.facts import AudioFacts, SourceFacts

F = Fraction
FACTS = SourceFacts(container="mov", origin=F(0), duration=F(60))
KEYFRAME = Snap(to="keyframe", within_seconds=2.0)


def part(start: str, end: str) -> PlannedPart:
    return PlannedPart(FACTS, F(start), F(end))


@pytest.mark.parametrize(
    ("at", "expected"),
    [("5", "4"), ("5.9", "7.4"), ("9.4", "7.4"), ("9.5", None), ("-1", None), ("11", None), ("61", None)],
)
def test_nearest_moment_is_within_the_distance_and_the_recording(at: str, expected: str | None) -> None:
    moments = [F(-1), F(4), F("7.4"), F(61)]
    found = nearest(moments, F(at), F(2), F(60))
    assert found == (None if expected is None else F(expected))


def test_earlier_one_of_two_moments_at_the_same_distance_is_taken() -> None:
    assert nearest([F(6), F(4)], F(5), F(1), F(60)) == 4


@pytest.mark.parametrize(
    ("edge", "at", "expected"),
    [
        ("start", "11.5", ["11.9"]),  # 0.1 s before the sound
        ("start", "10.2", ["11.9"]),
        ("end", "11.5", ["10.1"]),  # 0.1 s after the sound
        ("start", "13.5", ["11.9"]),
        ("end", "8.2", ["10.1"]),
        ("start", "35", ["35"]),  # inside a long silence
        ("end", "35", ["35"]),
        ("start", "1", ["4.9"]),
        ("end", "1", ["1"]),  # no sound before
        ("start", "58", ["58"]),  # no sound after
        ("end", "56.5", ["55.1"]),
        ("start", "20", []),
    ],
)
def test_cut_in_a_silence_keeps_a_little_of_it(edge: Edge, at: str, expected: list[str]) -> None:
    silences = [(F(0), F(5)), (F(10), F(12)), (F(30), F(40)), (F(55), F(60))]
    within = F(4) if at == "1" else F(2)
    assert list(silence_moments(silences, edge, F(at), within, F(60))) == [F(each) for each in expected]


def test_sentences_end_with_a_stop_a_pause_or_another_speaker() -> None:
    cues = [
        Cue(1000, 2000, "This is the"),
        Cue(2100, 3000, "first one.”"),
        Cue(3100, 4000, "これは"),
        Cue(4000, 5000, "日本語です。"),
        Cue(5000, 6000, "no stop, but a pause"),
        Cue(7000, 8000, "one speaker", "Ann"),
        Cue(8000, 9000, "and another", "Bo"),
    ]
    starts = [float(moment) for moment in sentence_moments(cues, "start", F(60))]
    assert starts == [1.0, 3.1, 5.0, 7.0, 8.0]
    ends = [float(moment) for moment in sentence_moments(cues, "end", F("8.5"))]
    assert ends == [3.0, 5.0, 6.0, 8.0, 8.5]
    assert list(sentence_moments([], "end", F(60))) == []


def test_moved_cuts_are_reported_beside_those_that_stay() -> None:
    found = [Found(F(10), None), Found(None, F(52))]
    snapped = move_cuts(KEYFRAME, [part("11.5", "20"), part("40", "50.5")], found)
    assert [(each.start, each.end) for each in snapped.parts] == [(10, 20), (40, 52)]
    assert snapped.cuts == (
        SnappedCut(0, "start", 11.5, 10.0),
        SnappedCut(0, "end", 20.0, None),
        SnappedCut(1, "start", 40.0, None),
        SnappedCut(1, "end", 50.5, 52.0),
    )
    assert snapped.warnings == (
        "not_snapped: part 1: the end stays at 20 s: there is no keyframe within 2 s",
        "not_snapped: part 2: the start stays at 40 s: there is no keyframe within 2 s",
    )
    (text,) = move_cuts(KEYFRAME, [part("1", "20")], [Found(F(0), None)]).warnings
    assert text == "not_snapped: the end stays at 20 s: there is no keyframe within 2 s"


@pytest.mark.parametrize(
    ("range_", "found"),
    [
        (("10", "20"), Found(F("7.999"), None)),
        (("1", "20"), Found(F(-1), None)),
        (("10", "59"), Found(None, F(61))),
        (("10", "60.9"), Found(None, F("57.9"))),  # the recording ends at 60
    ],
)
def test_moment_beyond_the_distance_or_the_recording_is_not_believed(range_: tuple[str, str], found: Found) -> None:
    with pytest.raises(VerificationFailed, match="snapped from"):
        move_cuts(KEYFRAME, [part(*range_)], [found])


@pytest.mark.parametrize(
    "report",
    [
        None,
        {},
        {"cuts": [["1"]], "bytes_read": 1},
        {"cuts": [["1", "2", "3"]], "bytes_read": 1},
        {"cuts": [["1e99999999", None]], "bytes_read": 1},
        {"cuts": [["1/0", None]], "bytes_read": 1},
        {"cuts": [[None, None]], "bytes_read": -1},
        {"cuts": [[None, None]], "bytes_read": 1, "more": 1},
        {"cuts": [[None, None]] * (MAX_PARTS + 1), "bytes_read": 1},
    ],
)
def test_invalid_report_of_a_child_is_rejected(report: object) -> None:
    with pytest.raises(VerificationFailed, match="not valid"):
        SnapReport.of(report)


def test_report_about_another_number_of_parts_is_rejected() -> None:
    with pytest.raises(VerificationFailed, match="number of parts"):
        move_cuts(KEYFRAME, [part("1", "2")], [])


@pytest.mark.parametrize(
    ("found", "output", "message"),
    [
        (Found(F(6), F(6)), {}, "the clip is empty"),
        (Found(F(6), F(4)), {}, r"end_seconds \(4\) must be greater than start_seconds \(6\)"),
        (Found(F("5.5"), F(6)), {}, r"0\.5 s long; 1 to 3 s are allowed"),
        (Found(F(4), F("7.5")), {}, r"3\.5 s long"),
    ],
)
def test_limits_hold_for_the_moved_cuts(found: Found, output: dict[str, float], message: str) -> None:
    snapped = move_cuts(KEYFRAME, [part("5", "6")], [found])
    with pytest.raises(InvalidTimeRange, match=message) as refused:
        snapped.check(shortest=1, longest=3, output=None)
    assert "within_seconds" in refused.value.hint


def test_output_options_are_checked_against_the_new_length() -> None:
    snapped = move_cuts(KEYFRAME, [part("4", "7")], [Found(F(5), F(6))])
    with pytest.raises(InvalidRequest, match="more than half of the clip"):
        snapped.check(shortest=0, longest=10, output=Output(fade_seconds=1.0))


@pytest.mark.parametrize("within", [0, -1, MAX_WITHIN_SECONDS + 0.001, float("nan"), float("inf"), "2"])
def test_distance_is_limited(within: object) -> None:
    with pytest.raises(ValidationError):
        Snap.model_validate({"to": "scene", "within_seconds": within})


def test_distance_has_a_default() -> None:
    assert Snap.model_validate({"to": "scene"}).within == 2
    assert Snap.model_validate({"to": "scene", "within_seconds": MAX_WITHIN_SECONDS}).within == MAX_WITHIN_SECONDS


@pytest.mark.parametrize(
    ("to", "missing"), [("sentence", "a transcript"), ("scene", "needs video"), ("keyframe", "needs video")]
)
def test_moments_that_the_recording_cannot_have_are_refused(to: str, missing: str) -> None:
    audio = FACTS.model_copy(update={"audio": (AudioFacts(index=0, codec="aac", channels=1, sample_rate=48000),)})
    with pytest.raises(InvalidRequest, match=missing):
        check_possible(Snap.model_validate({"to": to}), audio, has_transcript=False)
    check_possible(Snap(to="silence"), audio, has_transcript=False)
    with pytest.raises(InvalidRequest, match="needs audio"):
        check_possible(Snap(to="silence"), FACTS, has_transcript=True)
