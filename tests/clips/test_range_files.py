"""Lists of ranges: what each format means, what is refused with which line, and what is written."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clipengine.clips.ranges.edl import format_edl
from clipengine.clips.ranges.formats import format_ranges, parse_ranges
from clipengine.clips.ranges.range_file import (
    MAX_FILE_BYTES,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    MAX_ROWS,
    ListedRange,
    RangeFile,
    RangeFormat,
    RangeSource,
    format_csv,
    format_losslesscut,
)
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import InvalidRequest

F = Fraction
NTSC = F(30000, 1001)
DURATION = F(4000)


def parse(text: str | bytes, *, rate: Fraction | None = F(25)) -> RangeFile:
    data = text.encode() if isinstance(text, str) else text
    return parse_ranges(data, duration=DURATION, rate=rate)


def source(title: str, rate: Fraction, first_frame: Fraction = F(0)) -> RangeSource:
    return RangeSource(title, "match.mp4", DURATION, rate, 1920, 1080, 2, 48000, first_frame=first_frame)


def notes(file: RangeFile) -> tuple[str, ...]:
    return tuple(map(str, file.notes))


def found(text: str | bytes, *, rate: Fraction | None = F(25)) -> list[tuple[Fraction, Fraction, str]]:
    return [(each.start, each.end, each.label) for each in parse(text, rate=rate).ranges]


EDL = """TITLE: Cut 1
FCM: NON-DROP FRAME

001  AX       V     C        00:00:10:00 00:00:12:12 01:00:00:00 01:00:02:12
* FROM CLIP NAME: first.mov
001  AX       A     C        00:00:10:00 00:00:12:12 01:00:00:00 01:00:02:12
* FROM CLIP NAME: first.mov

002  AX       V     C        00:01:00:00 00:01:00:00 01:00:02:12 01:00:02:12
002  AX       V     D    024 00:01:00:00 00:01:05:00 01:00:02:12 01:00:07:12
* FROM CLIP NAME: first.mov
* TO CLIP NAME: second.mov
M2   AX       050.0                00:01:00:00
003  BL       V     C        00:00:00:00 00:00:01:00 01:00:07:12 01:00:08:12
004  AX       A2    C        00:02:00:00 00:02:01:00 01:00:08:12 01:00:09:12
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label,start,end\nGoal,1:02.5,70\n,80,90.25\n", [("62.5", "70", "Goal"), ("80", "90.25", "")]),
        ("Goal,1:02.5,70\r\nSave,1:00:00,1:00:01\r\n", [("62.5", "70", "Goal"), ("3600", "3601", "Save")]),
        ("End;Name;START\n20;x;10\n", [("10", "20", "x")]),
        ("Name;Start;End\n3,14;1:02,5;70,25\n", [("62.5", "70.25", "3,14")]),
        ("10,5;20;Goal, 1\n;0,5\n", [("10.5", "20", "Goal, 1"), ("0", "0.5", "")]),
        ("Goal;1,5;2,5\n", [("1.5", "2.5", "Goal")]),
        ("a;b,1,2\n", [("1", "2", "a;b")]),
        ("start_seconds,end_seconds\n1,2\n", [("1", "2", "")]),
        ("10.5,20,Goal\n,5,\n3990,,\n", [("10.5", "20", "Goal"), ("0", "5", ""), ("3990", "4000", "")]),
        ("0,5\n", [("0", "5", "")]),
        ('\ufefflabel,start,end\n\n"a, ""b""\nc",1,2\n', [("1", "2", 'a, "b" c')]),
        ("5.3   7.1    0\n15 16.7 3\n", [("0", "5.3", ""), ("7.1", "15", ""), ("16.7", "4000", "")]),
        ("## comment\n0\t10\n#250 #500 0\n", [("20", "4000", "")]),
        ("3999 4000.5 0\n15 20\n10 16 0\n", [("0", "10", ""), ("20", "3999", "")]),
    ],
)
def test_ranges_of_each_format(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(text) == [(F(start), F(end), label) for start, end, label in expected]


def test_events_of_an_edl_count_frames_of_the_recording() -> None:
    assert found(EDL) == [
        (F(10), F("12.48"), "first.mov"),
        (F(60), F(65), "second.mov"),
        (F(120), F(121), ""),
    ]
    assert notes(parse(EDL)) == ("line 13: the speed of an event is not applied", "line 14: black is left out")


@pytest.mark.parametrize(
    ("code", "rate", "frames"),
    [
        ("00:01:00:00", NTSC, 1800),
        ("00:01:00;02", NTSC, 1800),  # drop frame has no 00:01:00;00
        ("00:10:00;00", NTSC, 17982),
        ("01:00:00;00", NTSC, 107892),
        ("00:01:00;04", 2 * NTSC, 3600),
        ("00:01:00:00", F(24000, 1001), 1440),
        ("00:00:01:49", F(50), 99),
    ],
)
def test_timecodes_count_frames_with_and_without_drop_frame(code: str, rate: Fraction, frames: int) -> None:
    line = f"001  AX       V     C        {code} 01:01:00:00 00:00:00:00 00:00:01:00\n"
    assert found(line, rate=rate)[0][0] == frames / rate


def test_drop_frame_can_be_declared_for_all_events() -> None:
    line = "FCM: DROP FRAME\n001  AX  V  C  00:01:00:02 00:01:10:00 00:00:00:00 00:00:01:00\n"
    assert found(line, rate=NTSC)[0][0] == 1800 / NTSC


def test_actions_that_make_no_range_are_noted() -> None:
    file = parse("1 2 0\n3 4 1\n5 5 2\n")
    assert len(file.ranges) == 2
    assert notes(file) == ("line 2: action 1 (mute) makes no range", "line 3: action 2 (scene marker) makes no range")
    assert notes(parse("label,start,end,tags\na,1,2,x\n")) == ("the columns tags are not used",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no ranges"),
        ("label,start,end\n", "no ranges"),
        ("label,start,end\na,1,2\nb,5,4\n", r"line 3: the end \(4 s\) is not after the start \(5 s\)"),
        ("label,start,end\na,1,1\n", "line 2: the end"),
        ("label,start,end\na,1\n", "line 2: it has no start and end"),
        ("label,start,end\na,1,1:75:00\n", "line 2: .*between 0 and 59"),
        ("label,start,end\na,-1,2\n", "line 2: '-1' is not a time"),
        ("label,start,end\na,nan,2\n", "line 2: 'nan' is not a time"),
        ("label,start,end\na,1,1e9\n", "line 2: '1e9' is not a time"),
        ("label,start,end\na," + "9" * 5000 + ",2\n", "line 2: .* is not a time"),
        ("label,start,end\na,1,4002\n", "line 2: 1 to 4002 s is past the recording's end at 4000 s"),
        ("label,start,end\na,4000,4001\n", "past the recording's end"),
        ("label,start,end\n" + "a" * 201 + ",1,2\n", "line 2: label has 201 characters"),
        ("label,start,end\na\0b,1,2\n", "line 2: "),
        ('label,start,end\n"a,1,2\n', "line 2: it is not CSV"),
        ('label,start,end\nx,1,2\n"a"b,1,2\n', "line 3: it is not CSV"),
        ('start,end\n"1,5",2\n', "line 2: '1,5' is not a time"),
        ("1,12,20\n", "line 1: start,end,label or label,start,end"),
        ("Goal,x,y\n", "line 1: it must be"),
        ("Goal,1,2\n3,4,Save\n", "some lines are"),
        ("hello\n", "line 1: it must be"),
        ("5 4 0\n", "line 1: the end"),
        (EDL.replace("00:00:12:12 01", "00:00:12:25 01"), "line 4: 00:00:12:25 is not a timecode at 25 frames"),
        (
            EDL.replace("004  AX       A2    C        00:02:00:00", "004  AX  A2  C  00:02:00"),
            "line 15: .*not an event",
        ),
        ("x" * (MAX_LINE_CHARACTERS + 1), "line 1 of the file has more than 10000 characters"),
        ("label,start,end\n" + "a,1,2\n" * (MAX_ROWS + 1), "the file has more than 5001 rows"),
        ("a,1,2\n" * (MAX_FILE_BYTES // 6 + 1), "more than 1000000 bytes"),
        (b"label,start,end\na,1,2\n\xff,1,2\n", "line 3 of the file is not UTF-8"),
    ],
)
def test_fault_of_a_file_names_its_line(text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse(text)


@pytest.mark.parametrize("text", [EDL, "#10 #20 0\n"])
def test_frames_need_a_frame_rate(text: str) -> None:
    with pytest.raises(InvalidRequest, match="frame rate is not known"):
        parse(text, rate=None)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.one_of(st.text(alphabet='0123456789:;.,#\t \n"abVCD*-', max_size=400), st.text(), st.binary()))
def test_any_file_is_read_or_refused(text: str | bytes) -> None:
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    try:
        file = parse(data)
    except InvalidRequest:
        return
    assert all(0 <= each.start < each.end <= DURATION + 1 for each in file.ranges)


def test_many_events_without_length_are_read_quickly() -> None:
    line = "001  AX       V     C        00:00:10:00 00:00:10:00 01:00:00:00 01:00:00:00\n"
    with pytest.raises(InvalidRequest, match="the file has more than 5000 ranges"):
        parse(line * (MAX_FILE_BYTES // len(line)))


@pytest.mark.parametrize("rate", [F(25), NTSC, F(24000, 1001)])
def test_written_lists_are_read_as_the_same_ranges(rate: Fraction) -> None:
    ranges = [
        ListedRange(0, 250 / rate, 375 / rate, 'Goal, "1:0"'),
        ListedRange(0, F(0), 7 / rate, "=1+1"),
        ListedRange(0, 90_000 / rate, 90_001 / rate),
    ]
    expected = [(each.start, each.end, each.label) for each in ranges]
    assert found(format_edl(ranges, source("A\nB", rate)), rate=rate) == expected
    for write in (format_csv, format_losslesscut):
        read = found(write(ranges), rate=None)
        assert [label for _, _, label in read] == [label for _, _, label in expected]
        assert [float(time) for each in read for time in each[:2]] == pytest.approx(
            [float(time) for each in expected for time in each[:2]], abs=1e-6
        )


_LABELS = st.one_of(
    st.text(alphabet='0123456789:.,;#" ab', max_size=12),
    st.text(alphabet="'=+-@ \u202e\u200bab", max_size=8),
    st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20),
).map(lambda text: " ".join(text.split()))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(_LABELS, min_size=1, max_size=4))
@example(["12"])
@example(["0:30", "1:00"])
@example(["a;5;6"])
def test_any_labels_are_read_as_they_were_written(labels: list[str]) -> None:
    ranges = [ListedRange(0, F(number), F(number) + F(1, 2), label) for number, label in enumerate(labels)]
    expected = [(each.start, each.end, each.label) for each in ranges]
    assert found(format_losslesscut(ranges)) == expected
    assert found(format_csv(ranges)) == expected


@pytest.mark.parametrize("write", [format_csv, format_losslesscut])
@pytest.mark.parametrize(
    ("label", "cell"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+1", "'+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("'=1", "''=1"),
        ("\u202e=1", "'\u202e=1"),
        ("'quoted'", "'quoted'"),
        ("a=1", "a=1"),
    ],
)
def test_cell_that_a_spreadsheet_would_run_is_text(
    label: str, cell: str, write: Callable[[list[ListedRange]], str]
) -> None:
    """Row 108 of the faults."""
    text = write([ListedRange(0, F(1), F(2), label)])
    (row,) = [row for row in csv.reader(text.splitlines()) if "start" not in row]
    assert cell in row
    assert [each for *_, each in found(text)] == [label]


@pytest.mark.parametrize("label", ["\x1b]0;x\x07=1", "\t=1", "\r\n=1", "a\x1b[31mb", "\x00@x"])
def test_controls_of_terminals_are_left_out_of_cells(label: str) -> None:
    for write in (format_csv, format_losslesscut):
        text = write([ListedRange(0, F(1), F(2), label)])
        assert all(each == "\n" or each.isprintable() for each in text)
        assert [each for *_, each in found(text)] == [" ".join(clean_line(label).split())]


def test_edl_has_one_event_for_each_range() -> None:
    text = format_edl([ListedRange(0, F(10), F("12.5"), "Goal"), ListedRange(0, F(60), F(61))], source("match", F(25)))
    assert text == (
        "TITLE: match\nFCM: NON-DROP FRAME\n"
        "\n001  AX       AA/V  C        00:00:10:00 00:00:12:13 00:00:00:00 00:00:02:13\n* FROM CLIP NAME: Goal\n"
        "\n002  AX       AA/V  C        00:01:00:00 00:01:01:00 00:00:02:13 00:00:03:13\n"
    )


@pytest.mark.parametrize(
    ("start", "end", "codes"),
    [
        ("5.5", "6.5", "00:00:05:12 00:00:06:13"),  # between two frames: the earlier one, as in a clip
        ("5.49", "6.49", "00:00:05:12 00:00:06:13"),
        ("5.48", "6.48", "00:00:05:12 00:00:06:12"),
        ("5.480001", "6.480001", "00:00:05:12 00:00:06:12"),
        ("5.48", "5.49", "00:00:05:12 00:00:05:13"),
    ],
)
def test_event_has_the_frames_of_the_clip(start: str, end: str, codes: str) -> None:
    assert f"  {codes} " in format_edl([ListedRange(0, F(start), F(end))], source("", F(25)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("edl", "  00:00:05:00 00:00:09:00 "),
        ("otio", '"value": 125.0'),
        ("fcpxml", 'start="5s" duration="4s"'),
        ("xmeml", "<in>125</in>"),
    ],
)
def test_frames_are_counted_from_the_first_one(kind: RangeFormat, text: str) -> None:
    """As editing programs do with a file whose audio begins 1024 samples before its video."""
    late = F(1024, 48000)
    ranges = [ListedRange(1, 5 + late, 9 + late, "two"), ListedRange(2, F(0), F(1, 2), "before the first frame")]
    written = format_ranges(kind, ranges, source("match", F(25), late))
    assert text in written
    if kind in ("edl", "otio"):
        read = parse_ranges(written.encode(), duration=DURATION, rate=F(25), first_frame=late)
        assert [(each.start, each.end, each.label) for each in read.ranges] == [
            (5 + late, 9 + late, "two"),
            (late, F(12, 25) + late, "before the first frame"),
        ]
    skipped = parse_ranges(b"#25 #50 0", duration=DURATION, rate=F(25), first_frame=late)
    assert skipped.ranges[0].end == 1 + late


def test_short_times_are_written_without_an_exponent() -> None:
    tiny = [ListedRange(0, F(2, 100_000), F(3))]
    assert found(format_csv(tiny)) == [(F(2, 100_000), F(3), "")]
    assert found(format_losslesscut(tiny)) == [(F(2, 100_000), F(3), "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 0\n" * 150_000, "the file has more than 50000 lines"),
        ("1 2 0\n" * (MAX_ROWS + 1), "the file has more than 5000 rows"),
        ("\n" * (MAX_LINES + 1), "the file has more than 50000 lines"),
        ('{"OTIO_SCHEMA":"Track.1","children":[' + "[]," * 50_000 + "[]]}", "more than 50000 clips, gaps"),
        ("001 AX V C 00:00:01:00 00:00:02:00 00:00:00:00 00:00:01:00\n" * 15_000 + "* x\n", "more than 5000 ranges"),
    ],
)
@pytest.mark.typical(1)
def test_file_is_refused_while_it_is_read(text: str, message: str) -> None:
    """Row 104 of the faults: a list of 900 KB took 3.6 s and 59 MB."""
    data = text.encode()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match=message):
            parse_ranges(data, duration=DURATION, rate=F(25))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
