"""What a rule makes of a recording: ranges, hours of the day, labels, and the bodies of requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clipengine.basis.documents import read_here
from clipengine.clips.labels import check_label
from clipengine.clips.texts.cues import Cue
from clipengine.recordings.facts import ChapterFacts, SourceFacts
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock, ClockPoint
from clipengine.rules.expansion import PRIORITY, Expansion, expand
from clipengine.rules.hours import hours_of
from clipengine.rules.labels import label_of
from clipengine.rules.ranges import Material, search_of
from clipengine.rules.rule import RuleConditions, RuleSpec

HOUR = 3600


def recording(seconds: float = 100, **values: Any) -> Recording:
    facts = SourceFacts(container="mp4", origin=Fraction(0), duration=Fraction(seconds))
    made = Recording.local("folder/talk.mp4", facts)
    return replace(made, **{"name": "Talk", "completed_at": 1_700_000_000_000, **values})


SAID = [
    Cue(10_000, 12_000, "We begin."),
    Cue(12_000, 20_000, "The price of the office is too high."),
    Cue(21_000, 25_000, "PRICES rise, and nobody knows"),
    Cue(25_000, 30_000, "what comes next."),
    Cue(60_000, 99_000, "A priceless view."),
]


def of_transcript(spec: RuleSpec, of: Recording, cues: list[Cue]) -> Material:
    search = search_of(spec.ranges, of, "en", cues, ())
    return Material(of, "en", read_here(search.document, search.data))


def of_words(*words: str, **ranges: Any) -> list[tuple[float, float]]:
    spec = RuleSpec.model_validate(
        {"ranges": {"kind": "words", "words": list(words), **ranges}, "clip": {"label": "$title"}}
    )
    made = expand(spec, of_transcript(spec, recording(), SAID), shortest=0, longest=1e9)
    return places([dict(each) for each in made.bodies])


def test_sentences_with_words_are_cut_whole_and_joined() -> None:
    assert of_words("price") == [(12, 20)]
    assert of_words("price*") == [(12, 20), (21, 30), (60, 99)]
    assert of_words("price*", before=0.5, after=0.5) == [(11.5, 30.5), (59.5, 99.5)]
    assert of_words("too high", "begin", after=600) == [(10, 100)]
    assert of_words("pric") == []


def test_suggested_moments_are_in_order_of_time_and_at_most_the_limit() -> None:
    cues = [
        Cue(start * 1000, start * 1000 + 9_500, f"Does anybody know number {start}?", "A" if start % 20 else "B")
        for start in range(0, 600, 10)
    ]
    ranges = [{"kind": "suggestions", "limit": limit} for limit in (1, 3)]
    specs = {each["limit"]: RuleSpec.model_validate({"ranges": each, "clip": {"label": "$title"}}) for each in ranges}
    found = {
        limit: expand(spec, of_transcript(spec, recording(600), cues), shortest=0, longest=1e9).bodies
        for limit, spec in specs.items()
    }
    assert [len(each) for each in found.values()] == [1, 3]
    assert places([dict(each) for each in found[3]]) == sorted(places([dict(each) for each in found[3]]))


def of_markers(of: Recording, *markers: Marker, event: str = "recording.complete", **ranges: Any) -> Expansion:
    spec = RuleSpec.model_validate(
        {
            "when": {"event": event},
            "ranges": {"kind": "markers", **ranges},
            "clip": {"label": "$number $title"},
            "max_clips": 200,
        }
    )
    return expand(spec, Material(of, markers=markers), shortest=0, longest=1e9)


def test_markers_are_cut_with_what_is_around_them() -> None:
    clock = {"given_start": 1_700_000_000_000}
    marks = [
        Marker(50, None, 10, "goal"),
        Marker(None, 1_700_000_020_000, 0, "Foul"),
        Marker(55, None, 20, "same goal"),
        Marker(99, None, 5, "end"),
        Marker(None, 1, 0, "1970"),
        Marker(None, 7_258_118_400_000, 0, "2200"),
    ]
    found = of_markers(recording(**clock), *marks, before=5, after=2)
    assert [each["label"] for each in found.bodies] == ["1 Foul", "2 goal", "3 end"]
    assert places([dict(each) for each in found.bodies]) == [(15, 22), (45, 77), (94, 100)]
    alone = of_markers(recording(**clock), *marks, before=5, after=2, labels=["GOAL"], event="marker.added")
    assert [each["label"] for each in alone.bodies] == ["1 goal", "1 same goal"]
    assert [each.code for each in of_markers(recording(), marks[1]).skipped] == ["clock_unknown"]
    assert [each.code for each in of_markers(recording(), marks[0], labels=["x"]).skipped] == ["no_markers"]
    assert [each.code for each in of_markers(recording(), Marker(5, None)).skipped] == ["too_short"]


def test_marker_of_a_recording_that_is_written_may_be_ahead_of_it() -> None:
    of = recording(state="recording")
    (body,) = of_markers(of, Marker(150, None, 0, "x"), before=10, after=10, event="marker.added").bodies
    assert (body["start_seconds"], body["end_seconds"], body["on_timeout"]) == (140, 160, "clamp")


@pytest.mark.parametrize("ranges", [{"kind": "words", "words": ["x"]}, {"kind": "suggestions"}])
@pytest.mark.parametrize(("language", "code"), [(None, "transcript_not_found"), ("en", "no_")])
def test_transcript_is_missing_or_has_nothing(ranges: dict[str, Any], language: str | None, code: str) -> None:
    spec = RuleSpec.model_validate({"ranges": ranges})
    (skipped,) = expand(spec, Material(recording(), language), shortest=0, longest=1e9).skipped
    assert skipped.code.startswith(code)


def with_chapters(*chapters: tuple[float, float, str], seconds: float = 100) -> Recording:
    made = recording(seconds)
    listed = tuple(
        ChapterFacts(start=Fraction(start), end=Fraction(end), title=title) for start, end, title in chapters
    )
    assert made.facts is not None
    return replace(made, facts=made.facts.model_copy(update={"chapter_list": listed}))


def bodies(of: Recording, longest: float = 1e9, **spec: Any) -> list[dict[str, Any]]:
    spec.setdefault("clip", {"label": "$name $number"})
    return [
        dict(each) for each in expand(RuleSpec.model_validate(spec), Material(of), shortest=0, longest=longest).bodies
    ]


def places(found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(each["start_seconds"], each["end_seconds"]) for each in found]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"kind": "all"}, [(0, 100)]),
        ({"kind": "first", "seconds": 30}, [(0, 30)]),
        ({"kind": "first", "seconds": 300}, [(0, 100)]),
        ({"kind": "last", "seconds": 30}, [(70, 100)]),
        ({"kind": "last", "seconds": 300}, [(0, 100)]),
    ],
)
def test_ranges_are_clamped_to_the_recording(ranges: dict[str, Any], expected: list[tuple[float, float]]) -> None:
    assert places(bodies(recording(), ranges=ranges)) == expected


def test_chapters_are_cut_one_by_one_and_bad_ones_are_skipped() -> None:
    of = with_chapters(
        (50, 50, "Open end"), (-5, 20, "Start"), (20, 20.5, "Short"), (90, 400, "End"), (300, 400, "Past")
    )
    spec = RuleSpec.model_validate({"ranges": {"kind": "chapters"}, "clip": {"label": "$number $title"}})
    made = expand(spec, Material(of), shortest=0, longest=1e9)
    assert [each["label"] for each in made.bodies] == ["1 Start", "3 Open end", "4 End"]
    assert places([dict(each) for each in made.bodies]) == [(0, 20), (50, 90), (90, 100)]
    assert [each.code for each in made.skipped] == ["too_short"]


def test_chapters_are_chosen_by_words_of_their_titles() -> None:
    of = with_chapters((0, 20, "Questions I"), (20, 40, "Talk"), (40, 60, "More QUESTIONS"))
    assert places(bodies(of, ranges={"kind": "chapters", "title_words": ["question"]})) == [(0, 20), (40, 60)]
    spec = RuleSpec.model_validate({"ranges": {"kind": "chapters", "title_words": ["none"]}})
    assert [each.code for each in expand(spec, Material(of), shortest=0, longest=1e9).skipped] == ["no_chapters"]


def test_more_ranges_than_allowed_are_left_out_and_long_ones_skipped() -> None:
    of = with_chapters(*[(each * 10.0, each * 10.0 + 10, "") for each in range(10)])
    spec = RuleSpec.model_validate({"ranges": {"kind": "chapters"}, "clip": {"label": "x"}, "max_clips": 4})
    made = expand(spec, Material(of), shortest=0, longest=1e9)
    assert (len(made.bodies), made.left_out) == (4, 6)
    made = expand(spec, Material(of), shortest=0, longest=9)
    assert (len(made.bodies), [each.code for each in made.skipped]) == (0, ["too_long"] * 4)


@pytest.mark.parametrize(
    ("zone", "day", "count", "twice"),
    [
        ("Europe/Berlin", "2026-03-29", 23, []),
        ("Europe/Berlin", "2026-10-25", 25, ["02A", "02B"]),
        ("Europe/Berlin", "2026-07-01", 24, []),
        ("Australia/Lord_Howe", "2026-10-04", 24, []),  # its clock goes forward by half an hour
        ("Australia/Lord_Howe", "2026-04-05", 25, ["01A", "01B"]),  # and back, so that an hour has half of another
        ("Asia/Kathmandu", "2026-07-01", 24, []),
    ],
)
def test_day_has_its_hours_where_clocks_change(zone: str, day: str, count: int, twice: list[str]) -> None:
    local = ZoneInfo(zone)
    begins, ends = (
        datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=local).timestamp() for day in (day, _after(day))
    )
    clock = Clock.given(round(begins * 1000), None)
    found = hours_of(clock, ends - begins, local)
    assert len(found) == count
    assert [each.name for each in found if not each.name.isdigit()] == twice
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(ends - begins)
    assert all(first.end == second.start for first, second in pairwise(found))


def _after(day: str) -> str:
    return datetime.fromordinal(datetime.fromisoformat(day).toordinal() + 1).date().isoformat()


def test_hours_of_a_clock_that_was_set_back_do_not_overlap() -> None:
    begin = round(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp() * 1_000_000)
    hour = HOUR * 1_000_000
    clock = Clock(
        "name", 1.0, (ClockPoint(0, begin), ClockPoint(2 * hour, begin + 2 * hour), ClockPoint(2 * hour, begin))
    )
    found = hours_of(clock, 4 * HOUR, ZoneInfo("UTC"))
    assert all(first.end <= second.start for first, second in pairwise(found))
    assert all(0 <= each.start < each.end <= 4 * HOUR for each in found)


def test_hours_are_chosen_and_named_in_the_zone_of_the_camera() -> None:
    start = round(datetime(2026, 7, 1, 4, 30, tzinfo=UTC).timestamp() * 1000)  # 06:30 in Berlin
    of = recording(3 * HOUR, given_start=start, folder={"timezone": "Europe/Berlin"})
    ranges = {"kind": "hours", "from_hour": 7, "to_hour": 9, "timezone": "Asia/Tokyo"}
    found = bodies(of, ranges=ranges, clip={"label": "$date $hour $time $title"})
    assert [each["label"] for each in found] == ["2026-07-01 07 07.00.00 07:00", "2026-07-01 08 08.00.00 08:00"]
    assert places(found) == [(1800, 5400), (5400, 9000)]


def test_hours_need_a_clock() -> None:
    spec = RuleSpec.model_validate({"ranges": {"kind": "hours"}})
    assert [each.code for each in expand(spec, Material(recording()), shortest=0, longest=1e9).skipped] == [
        "clock_unknown"
    ]


def test_hours_of_an_endless_recording_are_bounded() -> None:
    of = recording(10**9, given_start=1_700_000_000_000)
    spec = RuleSpec.model_validate({"ranges": {"kind": "hours"}, "clip": {"label": "x"}, "max_clips": 200})
    assert len(expand(spec, Material(of), shortest=0, longest=1e9).bodies) <= 200


def test_expansion_gives_the_same_bodies_each_time() -> None:
    clip = {"label": "$name", "tags": ["auto"], "expires_in_days": 1}
    (body,) = bodies(recording(), ranges={"kind": "all"}, clip=clip)
    assert body == {
        "label": "Talk",
        "start_seconds": 0.0,
        "end_seconds": 100.0,
        "tags": ["auto"],
        "priority": PRIORITY,
        "expires_at": "2023-11-15T22:13:20.000Z",
    }
    assert bodies(recording(), ranges={"kind": "all"}, clip=clip) == [body]


@given(st.dictionaries(st.sampled_from(["name", "title", "series"]), st.text(max_size=300)), st.integers(1, 200))
def test_label_is_always_one_that_clips_may_have(values: dict[str, str], number: int) -> None:
    for template in ("$name $number", "$title$title$series", "$title"):
        check_label(label_of(template, {**values, "number": str(number)}))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"ranges": {"kind": "first"}},
        {"ranges": {"kind": "first", "seconds": 0}},
        {"ranges": {"kind": "first", "seconds": float("nan")}},
        {"ranges": {"kind": "first", "seconds": 604_801}},
        {"ranges": {"kind": "all", "seconds": 5}},
        {"ranges": {"kind": "chapters", "title_words": ["x"] * 51}},
        {"ranges": {"kind": "chapters", "title_words": ["x" * 201]}},
        {"ranges": {"kind": "hours", "timezone": "../../etc/passwd"}},
        {"ranges": {"kind": "hours", "from_hour": 9, "to_hour": 9}},
        {"ranges": {"kind": "markers", "before": 601}},
        {"ranges": {"kind": "markers", "labels": ["x"] * 51}},
        {"ranges": {"kind": "words"}},
        {"ranges": {"kind": "words", "words": []}},
        {"ranges": {"kind": "words", "words": ["x"] * 51}},
        {"ranges": {"kind": "words", "words": ["x" * 101]}},
        {"ranges": {"kind": "words", "words": ["..."]}},
        {"ranges": {"kind": "words", "words": ["x"], "before": 600.5}},
        {"ranges": {"kind": "words", "words": ["x"], "after": -1}},
        {"ranges": {"kind": "suggestions", "limit": 51}},
        {"ranges": {"kind": "all"}, "when": {"language": "en"}},
        {"ranges": {"kind": "all"}, "when": {"event": "transcript.ready", "language": "../x"}},
        {"ranges": {"kind": "all"}, "max_clips": 201},
        {"ranges": {"kind": "all"}, "when": {"min_seconds": "60"}},
        {"ranges": {"kind": "all"}, "when": {"prefix": "x" * 1001}},
        {"ranges": {"kind": "all"}, "when": {"tags": ["x"]}},
    ],
)
def test_rule_out_of_bounds_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RuleSpec.model_validate(spec)


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({}, True),
        ({"series": "Studio"}, True),
        ({"series": "studio"}, False),
        ({"tag": "a"}, True),
        ({"tag": "b"}, False),
        ({"prefix": "folder/"}, True),
        ({"prefix": "f_lder/"}, False),
        ({"prefix": "%"}, False),
        ({"source": "livekit"}, True),
        ({"source": "zoom"}, False),
        ({"min_seconds": 100}, True),
        ({"min_seconds": 100.5}, False),
        ({"has": "video"}, False),
        ({"tag": "a", "source": "zoom"}, False),
    ],
)
def test_conditions_are_all_met(when: dict[str, Any], matches: bool) -> None:
    of = recording(series="Studio", tags=["a"], metadata={"source": "livekit"})
    assert RuleConditions.model_validate(when).matches(of) is matches
