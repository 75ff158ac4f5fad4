"""Resolution of clip requests: the place of each fault, and what a valid request becomes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from clipengine.clips.edit import Part
from clipengine.clips.options.output import Output, OutputLimits
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.request import ClipRequest, GapMode
from clipengine.clips.resolve import ClipRules, ClipSource, ResolvedClip, check_recordings, resolve_clip
from clipengine.errors import (
    ClockUnknown,
    InvalidRequest,
    InvalidTimeRange,
    NoMediaInRange,
    RecordingEncrypted,
    RecordingNotComplete,
    RequestError,
)
from clipengine.recordings.recording import Recording, RecordingState
from tests.support.api import FACTS

RULES = ClipRules(
    {"default": Profile(), "sound": Profile(container="m4a", video="none")}, {}, OutputLimits(), 0.5, 60, 120
)
REQUEST = ClipRequest("a", 1.0, 4.0)


def source(recording_id: str = "rec_a", *languages: str, state: RecordingState = "complete") -> ClipSource:
    facts = FACTS.model_copy(update={"duration": Fraction(100)}) if state == "complete" else None
    return ClipSource(Recording(recording_id, state, f"{recording_id}.mp4", "etag", 1, 0, facts=facts), languages)


def resolve(request: ClipRequest, *sources: ClipSource) -> ResolvedClip:
    found = sources or (source(), source("rec_b"))
    return resolve_clip("rec_a", request, {each.recording.recording_id: each for each in found}, RULES)


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"profile": "none"}, ["/profile"]),
        ({"end_seconds": 200.0}, ["/end_seconds"]),
        ({"end_seconds": 1.2}, ["/start_seconds", "/end_seconds"]),  # shorter than the settings allow
        ({"end_seconds": 90.0}, ["/start_seconds", "/end_seconds"]),
        ({"parts": (Part("rec_a", 1, 2), Part("rec_b", 1, 200))}, ["/parts/1/end_seconds"]),
        ({"parts": (Part("rec_a", 1, 1.2),)}, ["/parts"]),
        ({"output": Output(watermark="logo")}, ["/output/watermark"]),
        ({"label": "a\nb"}, ["/label"]),
        ({"profile": "sound", "subtitles": "burn"}, ["/subtitles/mode"]),
        ({"subtitles": "burn"}, ["/subtitles/language"]),
        ({"subtitle_language": "en"}, ["/subtitles/language"]),
        ({"snap": Snap(to="sentence")}, ["/snap/to"]),
    ],
)
def test_fault_has_its_place(changes: dict[str, Any], pointers: list[str]) -> None:
    with pytest.raises(RequestError) as raised:
        resolve(replace(REQUEST, **changes))
    assert [each["pointer"] for each in raised.value.errors] == pointers


def test_recording_must_be_complete() -> None:
    with pytest.raises(RecordingNotComplete):
        resolve(REQUEST, source(state="processing"))


def test_parts_of_too_many_recordings_are_rejected() -> None:
    with pytest.raises(InvalidRequest, match="more than 10 recordings") as raised:
        check_recordings([Part(f"rec_{number}", 0, 1) for number in range(11)])
    assert raised.value.errors[0]["pointer"] == "/parts/10"


def test_one_range_becomes_one_part() -> None:
    clip = resolve(REQUEST)
    assert clip.parts == (Part("rec_a", 1.0, 4.0),)
    assert [(float(part.start), float(part.end), part.source) for part in clip.planned] == [(1.0, 4.0, 0)]


def test_parts_decide_the_bounds_of_the_request() -> None:
    parts = (Part("rec_b", 7, 8), Part("rec_a", 5, 6), Part("rec_a", 2, 3))
    clip = resolve(replace(REQUEST, parts=parts))
    assert (clip.request.start_seconds, clip.request.end_seconds) == (2, 6)
    assert [each.recording.recording_id for each in clip.sources] == ["rec_b", "rec_a"]
    assert [part.source for part in clip.planned] == [0, 1, 1]


def test_the_only_transcript_is_burnt_in() -> None:
    assert resolve(replace(REQUEST, subtitles="burn"), source("rec_a", "de")).language == "de"


def test_profile_has_the_options_of_the_request() -> None:
    assert resolve(replace(REQUEST, output=Output(max_height=360))).profile.max_height == 360


GAPS = [
    {"start_seconds": 2.0, "end_seconds": 2.5, "reason": "missing"},
    {"start_seconds": 3.5, "end_seconds": 8.0, "reason": "paused"},
]


def gappy(gaps: list[dict[str, Any]] | None = None) -> ClipSource:
    found = source()
    return replace(found, recording=replace(found.recording, gaps=GAPS if gaps is None else gaps))


def test_gaps_are_left_out_as_parts() -> None:
    clip = resolve(replace(REQUEST, gaps="skip"), gappy())
    assert clip.parts == clip.request.parts == (Part("rec_a", 1.0, 2.0), Part("rec_a", 2.5, 3.5))
    assert (clip.request.start_seconds, clip.request.end_seconds) == (1.0, 3.5)


def test_range_with_a_gap_at_its_end_stays_one_range() -> None:
    clip = resolve(replace(REQUEST, start_seconds=2.5, gaps="skip"), gappy())
    assert (clip.request.parts, clip.parts) == ((), (Part("rec_a", 2.5, 3.5),))


def test_gaps_are_held_by_default() -> None:
    assert resolve(REQUEST, gappy()).parts == (Part("rec_a", 1.0, 4.0),)


@pytest.mark.parametrize(
    "changes", [{"gaps": "fail"}, {"gaps": "skip", "start_seconds": 4.0, "end_seconds": 7.0}], ids=["fail", "nothing"]
)
def test_range_without_media_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NoMediaInRange):
        resolve(replace(REQUEST, **changes), gappy())


def test_refusal_names_the_first_gap_and_its_part() -> None:
    parts = (Part("rec_a", 2.5, 3.5), Part("rec_a", 1.0, 4.0))
    for changes, place in (({}, "from 2.000 to 2.500 s$"), ({"parts": parts}, "from 2.000 to 2.500 s, in part 2$")):
        with pytest.raises(NoMediaInRange, match=place):
            resolve(replace(REQUEST, gaps="fail", **changes), gappy())


def test_encrypted_stretch_is_not_held() -> None:
    encrypted = [{**GAPS[0], "reason": "encrypted"}]
    with pytest.raises(RecordingEncrypted):
        resolve(REQUEST, gappy(encrypted))
    assert len(resolve(replace(REQUEST, gaps="skip"), gappy(encrypted)).parts) == 2
    assert len(resolve(replace(REQUEST, start_seconds=2.5), gappy(encrypted)).parts) == 1


def test_range_beside_gaps_does_not_fail() -> None:
    assert len(resolve(replace(REQUEST, start_seconds=2.5, end_seconds=3.5, gaps="fail"), gappy()).parts) == 1


@pytest.mark.parametrize("mode", ["hold", "skip", "fail"])
def test_range_of_a_millisecond_without_a_gap_is_kept(mode: GapMode) -> None:
    found = replace(RULES, shortest=0)
    request = replace(REQUEST, end_seconds=1.001, gaps=mode)
    assert resolve_clip("rec_a", request, {"rec_a": gappy()}, found).parts == (Part("rec_a", 1.0, 1.001),)


def test_gaps_of_too_many_parts_are_rejected() -> None:
    gaps = [{"start_seconds": n / 4, "end_seconds": n / 4 + 0.1, "reason": "missing"} for n in range(120)]
    with pytest.raises(InvalidRequest, match="100 parts") as raised:
        resolve(replace(REQUEST, end_seconds=40, gaps="skip"), gappy(gaps))
    assert raised.value.errors[0]["pointer"] == "/gaps"


NOON = 1_795_867_200_000


def timed_source(recording_id: str = "rec_a", given_start: int = NOON) -> ClipSource:
    return ClipSource(replace(source(recording_id).recording, given_start=given_start))


def test_times_become_seconds_of_the_recording() -> None:
    clip = resolve(replace(REQUEST, start_time=NOON + 1500, end_time=NOON + 4000), timed_source())
    assert clip.parts == (Part("rec_a", 1.5, 4.0),)
    assert (clip.request.start_seconds, clip.request.start_time, clip.request.end_time) == (
        1.5,
        NOON + 1500,
        NOON + 4000,
    )


def test_range_in_seconds_gets_the_times_of_a_known_clock() -> None:
    clip = resolve(REQUEST, timed_source())
    assert (clip.request.start_time, clip.request.end_time) == (NOON + 1000, NOON + 4000)
    assert resolve(REQUEST).request.start_time is None


def test_parts_may_be_given_by_the_clocks_of_their_recordings() -> None:
    parts = (Part("rec_a", 1, 2), Part("rec_b", 0, 0))
    times = (None, (NOON + 61_000, NOON + 62_000))
    sources = timed_source(), timed_source("rec_b", NOON + 60_000)
    clip = resolve(replace(REQUEST, parts=parts, part_times=times), *sources)
    assert clip.parts == (Part("rec_a", 1, 2), Part("rec_b", 1.0, 2.0))
    assert clip.request.start_time is None


@pytest.mark.parametrize(
    ("start", "end", "pointers"),
    [
        (-2, 4, ["/start_time"]),
        (100, 102, ["/start_time"]),
        (1, 102, ["/end_time"]),
        (4, 4, ["/start_time", "/end_time"]),
        (1, 1.2, ["/start_time", "/end_time"]),  # shorter than the settings allow
        (1, 90, ["/start_time", "/end_time"]),
    ],
)
def test_fault_of_a_time_has_its_place(start: float, end: float, pointers: list[str]) -> None:
    times = NOON + round(start * 1000), NOON + round(end * 1000)
    with pytest.raises(InvalidTimeRange) as raised:
        resolve(replace(REQUEST, start_time=times[0], end_time=times[1]), timed_source())
    assert [each["pointer"] for each in raised.value.errors] == pointers
    parts = {"parts": (Part("rec_a", 1, 2), Part("rec_a", 0, 0)), "part_times": (None, times)}
    if len({*pointers}) == 1:
        with pytest.raises(InvalidTimeRange) as raised:
            resolve(replace(REQUEST, **parts), timed_source())
        assert [each["pointer"] for each in raised.value.errors] == [f"/parts/1{each}" for each in pointers]


def test_times_need_a_clock_and_a_complete_recording() -> None:
    by_clock = replace(REQUEST, start_time=NOON, end_time=NOON + 4000)
    with pytest.raises(ClockUnknown):
        resolve(by_clock)
    with pytest.raises(RecordingNotComplete):
        resolve(by_clock, source(state="processing"))
