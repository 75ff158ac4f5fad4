"""Timelines for editing programs, read back by OpenTimelineIO and its adapters, or by their own rules."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipengine.clips.ranges.formats import FORMATS, format_ranges, parse_ranges
from clipengine.clips.ranges.otio import parse_otio
from clipengine.clips.ranges.range_file import MAX_FILE_BYTES, ListedRange, RangeFile, RangeFormat, RangeSource
from clipengine.errors import InvalidRequest

F = Fraction
RATES = [F(24000, 1001), F(25), F(30000, 1001), F(60000, 1001), F(2417, 100)]  # the last is that of a screen share
LABEL = 'Goal & <"ü">'


def source(rate: Fraction | None = F(25), channels: int = 2) -> RangeSource:
    return RangeSource("Match, 1st half", "match 1.mp4", F(4000), rate, 1920, 1080, channels, 48000)


def ranges(rate: Fraction) -> list[ListedRange]:
    spans = [(250, 375, LABEL), (0, 7, ""), (9, 10, "")]
    return [ListedRange(number, start / rate, end / rate, label) for number, (start, end, label) in enumerate(spans, 1)]


def spans(file: RangeFile) -> list[tuple[Fraction, Fraction, str]]:
    return [(each.start, each.end, each.label) for each in file.ranges]


@pytest.mark.parametrize("rate", RATES)
def test_otio_is_read_as_the_same_ranges(rate: Fraction) -> None:
    text = format_ranges("otio", ranges(rate), source(rate))
    read = parse_ranges(text.encode(), duration=F(4000), rate=None)
    assert spans(read) == [(each.start, each.end, each.label) for each in ranges(rate)]
    assert read.notes == ()


@pytest.mark.parametrize("rate", RATES)
def test_otio_is_valid_for_its_package(rate: Fraction) -> None:
    timeline = otio.adapters.read_from_string(format_ranges("otio", ranges(rate), source(rate)), "otio_json")
    assert [(track.kind, len(track)) for track in timeline.tracks] == [("Video", 3), ("Audio", 3)]
    for track in timeline.tracks:
        times = [(each.source_range.start_time.value, each.source_range.duration.value) for each in track]
        assert times == [(250, 125), (0, 7), (9, 1)]
        assert {each.source_range.duration.rate for each in track} == {float(rate)}
        assert {each.media_reference.target_url for each in track} == {"match%201.mp4"}
    again = parse_otio(otio.adapters.write_to_string(timeline, "otio_json"))  # as an editor writes it
    assert spans(again) == [(each.start, each.end, each.label) for each in ranges(rate)]


def test_otio_of_audio_counts_samples() -> None:
    sound = RangeSource("Talk", "talk.mp3", F(4000), channels=1, sample_rate=44100)
    text = format_ranges("otio", [ListedRange(1, F(1, 2), F(5, 2), "x")], sound)
    assert [track["kind"] for track in json.loads(text)["tracks"]["children"]] == ["Audio"]
    assert spans(parse_otio(text)) == [(F(1, 2), F(5, 2), "x")]


@pytest.mark.parametrize("rate", [*RATES[:-1], F(24), F(60)])
def test_edl_is_that_of_the_adapter(rate: Fraction) -> None:
    """An EDL of ours is read by the adapter, and the EDL that it writes of this is read as the same ranges."""
    late = ListedRange(4, 100_000 / rate, 100_001 / rate, "late")
    timeline = otio.adapters.read_from_string(
        format_ranges("edl", [*ranges(rate), late], source(rate)), "cmx_3600", rate=float(rate)
    )
    video, *sound = timeline.tracks
    assert [(each.kind, len(each)) for each in sound] == [("Audio", 4)] * 2
    read = [(each.source_range.start_time.value, each.source_range.duration.value) for each in video]
    assert read == [(250, 125), (0, 7), (9, 1), (100_000, 1)]
    assert (video[0].name, video[3].name) == (LABEL, "late")
    written = otio.adapters.write_to_string(timeline, "cmx_3600", rate=float(rate))
    again = parse_ranges(written.encode(), duration=F(10_000), rate=rate)
    assert [span[:2] for span in spans(again)] == [(each.start, each.end) for each in [*ranges(rate), late]]
    assert [again.ranges[0].label, again.ranges[3].label, again.notes] == [LABEL, "late", ()]


@pytest.mark.parametrize("rate", RATES[:-1])
def test_premiere_xml_is_read_by_the_adapter(rate: Fraction) -> None:
    text = format_ranges("xmeml", ranges(rate), source(rate))
    timeline = otio.adapters.read_from_string(text.replace("<!DOCTYPE xmeml>\n", ""), "fcp_xml")
    clips = list(timeline.find_clips())
    read = [(each.source_range.start_time.value, each.source_range.duration.value) for each in clips]
    assert read == [(250, 125), (0, 7), (9, 1)] * 3  # video and two channels
    assert (clips[0].name, clips[0].media_reference.target_url) == (LABEL, "match%201.mp4")
    assert clips[0].source_range.start_time.rate == pytest.approx(float(rate), abs=0.01)
    items = ElementTree.fromstring(text).findall(".//clipitem")
    names = {each.get("id") for each in items}
    assert len(names) == len(items)
    assert {each.text for each in ElementTree.fromstring(text).iter("linkclipref")} == names


def _seconds(text: str | None) -> Fraction:
    assert text is not None
    assert text.endswith("s")
    return F(text[:-1])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [0, 6])
def test_fcpxml_follows_its_reference(rate: Fraction, channels: int) -> None:
    root = ElementTree.fromstring(format_ranges("fcpxml", ranges(rate), source(rate, channels)))
    form, asset = root.findall("resources/*")
    assert (_seconds(form.get("frameDuration")), form.get("width"), form.get("height")) == (1 / rate, "1920", "1080")
    assert (asset.get("hasVideo"), asset.get("audioChannels")) == ("1", "6" if channels else None)
    assert asset.find("media-rep").get("src") == "./match%201.mp4"  # type: ignore[union-attr]
    sequence = root.find(".//sequence")
    assert sequence is not None
    clips = sequence.findall("spine/asset-clip")
    assert [each.get("name") for each in clips] == [LABEL, "Match, 1st half", "Match, 1st half"]
    assert [_seconds(each.get("start")) for each in clips] == [each.start for each in ranges(rate)]
    lengths = [_seconds(each.get("duration")) for each in clips]
    assert lengths == [each.end - each.start for each in ranges(rate)]
    assert [_seconds(each.get("offset")) for each in clips] == [F(0), lengths[0], lengths[0] + lengths[1]]
    assert _seconds(sequence.get("duration")) == sum(lengths)


@pytest.mark.parametrize("kind", ["edl", "fcpxml", "xmeml"])
def test_format_that_counts_frames_needs_video(kind: RangeFormat) -> None:
    with pytest.raises(InvalidRequest, match="no frame rate"):
        format_ranges(kind, ranges(F(25)), source(None))


@pytest.mark.parametrize("kind", ["fcpxml", "xmeml"])
def test_characters_that_xml_forbids_become_spaces(kind: RangeFormat) -> None:
    root = ElementTree.fromstring(format_ranges(kind, [ListedRange(1, F(0), F(1), "a\x01b\ufffe")], source()))
    assert "a b " in [each.get("name") or each.findtext("name") for each in root.iter() if "clip" in each.tag]


def clip(start: float = 25, length: float = 50, rate: float = 25, **fields: Any) -> dict[str, Any]:
    times = {"start_time": {"value": start, "rate": rate}, "duration": {"value": length, "rate": rate}}
    return {"OTIO_SCHEMA": "Clip.2", "name": "x", "source_range": times} | fields


def track(*children: object, kind: str = "Video") -> dict[str, Any]:
    return {"OTIO_SCHEMA": "Track.1", "kind": kind, "children": [*children]}


def read(*nodes: object) -> RangeFile:
    return parse_otio(json.dumps({"OTIO_SCHEMA": "Stack.1", "children": nodes}))


def test_timecode_at_which_media_begin_is_subtracted() -> None:
    hour = clip(90_000, 2_500)["source_range"]
    media = {"OTIO_SCHEMA": "ExternalReference.1", "available_range": hour, "target_url": "a.mov"}
    reference = {"media_references": {"M": media}, "active_media_reference_key": "M"}
    assert spans(read(track(clip(90_025, 50, **reference)))) == [(F(1), F(3), "x")]
    assert spans(read(track(clip(90_025, 50, media_reference=media)))) == [(F(1), F(3), "x")]
    with pytest.raises(InvalidRequest, match="clip 1: it begins before its media"):
        read(track(clip(25, 50, **reference)))


def test_audio_of_the_same_range_is_no_second_one() -> None:
    found = read(track(clip(), clip(100)), track(clip(), clip(200), clip(200), kind="Audio"))
    assert [start for start, _, _ in spans(found)] == [1, 4, 8]


def test_what_is_not_applied_is_noted() -> None:
    fast = clip(effects=[{"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": 2.0}])
    files = [clip(media_reference={"target_url": name}) for name in "ab"]
    gap = {"OTIO_SCHEMA": "Gap.1", "source_range": clip()["source_range"]}
    assert [str(each) for each in read(track(gap, fast, *files)).notes] == [
        "clip 1: its speed is not applied",
        "its clips are of 3 files, and all are read as ranges of this recording",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the timeline is not valid JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper than 200 levels"),
        ('{"OTIO_SCHEMA": "Timeline.1"}', "the file has no ranges"),
        ('{"a": 1' + "0" * 10_000 + "}", "the timeline is not valid JSON"),
        (json.dumps(clip(rate=0)), "clip 1: it has a range without valid times"),
        (json.dumps(clip(start=1e300)), "clip 1: it has a range without valid times"),
        (json.dumps(clip(source_range={"start_time": 1})), "clip 1: it has a range without valid times"),
        (json.dumps(clip(source_range=None)), "clip 1: it has no source range"),
        (json.dumps(clip(length=0)), "clip 1: the end (1 s) is not after the start"),
        (json.dumps(clip(start=1e6)), "clip 1: 40000 to 40002 s is past the recording's end"),
        ("{" + " " * MAX_FILE_BYTES, "the file has more than"),
    ],
)
def test_fault_of_a_timeline_names_its_clip(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_ranges(text.encode(), duration=F(4000), rate=None)
    assert message in raised.value.message


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "rate", "name", "kind"]), inner)
    ),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from([*clip(), "effects", "media_reference", "media_references"]), _VALUES))
@pytest.mark.exhaustive
def test_any_timeline_is_read_or_refused(fields: dict[str, Any]) -> None:
    node = clip() | {"media_references": {}} | fields
    try:
        parse_otio(json.dumps(track(node, fields)))
    except InvalidRequest:
        return


def test_formats_have_different_suffixes() -> None:
    assert len({each.suffix for each in FORMATS.values()}) == len(FORMATS)
