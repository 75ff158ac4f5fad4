"""The list of segments on the screen of a recording: marked, imported, edited, and made into one clip or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import opened, row, studio
from tests.support.server import RunningServer

RANGES = ".segment .link"


def mark(page: Any, *, frames: int, label: str = "") -> None:
    """Add so many frames from the current one to the list."""
    for key in ["i", *["ArrowRight"] * frames, "o"]:
        page.keyboard.press(key)
    if label:
        page.keyboard.press("n")
        page.keyboard.type(label)
        page.keyboard.press("Escape")
    page.keyboard.press("a")


def listed(page: Any) -> list[tuple[str, str]]:
    names = [field.input_value() for field in page.locator(".segment input").all()]
    return list(zip(names, page.locator(RANGES).all_inner_texts(), strict=True))


def test_segments_become_one_clip_or_several(browser: Any, server: RunningServer, film: Film) -> None:
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="segments.mp4").recording_id)
    with studio(browser, server, meeting) as page:
        mark(page, frames=10, label="first")
        mark(page, frames=5)
        mark(page, frames=10)
        page.get_by_role("button", name="Remove segment 2").click()
        page.get_by_role("textbox", name="Name of segment 2").fill("last")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Move segment 2 up").click()
        kept = [("last", "0:00.600 – 0:01.000"), ("first", "0:00.000 – 0:00.400")]
        assert listed(page) == kept
        page.reload()
        page.locator(RANGES).first.click()  # a segment is updated by the same key
        page.get_by_role("button", name="Update segment 1").wait_for()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("i")
        page.keyboard.press("a")
        kept = [("last", "0:00.560 – 0:01.000"), kept[1]]
        assert listed(page) == kept
        page.get_by_text("Options").click()
        page.get_by_label("Picture").select_option("1:1")
        page.get_by_label("Fit").select_option("pad")
        page.get_by_label("Audio").select_option("mute")
        page.get_by_label("Subtitles").select_option("none")
        page.get_by_label("Largest size (MB)").fill("big")
        page.get_by_role("button", name="Create one clip").click()
        page.get_by_role("alert").filter(has_text="“big” is not a number").wait_for()
        page.get_by_label("Largest size (MB)").fill("2.5")
        page.get_by_label("Label").fill("both")
        page.get_by_role("button", name="Create one clip").click()
        row(page, "both").get_by_role("button", name="Play both").wait_for()
        page.get_by_role("button", name="Undo").click()
        assert listed(page) == kept
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("button", name="Create 2 clips").click()
        for label in ("first", "last"):
            row(page, label).get_by_role("button", name=f"Play {label}").wait_for()
        assert listed(page) == []
    made = {clip.label: clip for clip in client.clips.list(recording_id=meeting.recording_id).data}
    both = made["both"]
    assert [(part["start_seconds"], part["end_seconds"]) for part in both.parts or []] == [(0.56, 1.0), (0.0, 0.4)]
    assert both.result is not None
    assert (both.result.frames, both.result.width == both.result.height) == (21, True)
    assert both.output == {"aspect": "1:1", "fit": "pad", "mute": [[0, 2]], "max_bytes": 2_500_000}
    assert (made["first"].start_seconds, made["first"].end_seconds, made["first"].output) == (0.0, 0.4, None)


def test_rejected_segment_is_named_and_the_list_kept(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording, expected="422.*/clips/batch") as page:
        files = page.locator(".segments-panel input[type=file]")
        files.set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"0,1,ok\n1,2,bad\x01label\n"})
        page.get_by_role("button", name="Create 2 clips").click()
        page.get_by_role("alert").filter(has_text="Segment 2: label contains control characters").wait_for()
        assert len(listed(page)) == 2
        files.set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": b"0,1\n" * 99})
        page.get_by_role("alert").filter(has_text="b.csv was not imported. The file has 99 segments").wait_for()
        files.set_input_files({"name": "c.csv", "mimeType": "text/csv", "buffer": b"0,1\n" * 250_001})
        page.get_by_role("alert").filter(has_text="c.csv was not imported. The file is larger than 1 MB").wait_for()
        assert len(listed(page)) == 2


def test_exported_files_are_imported_again(
    browser: Any, server: RunningServer, recording: Recording, tmp_path: Path
) -> None:
    with studio(browser, server, recording) as page:
        mark(page, frames=10, label='say "go", now')
        mark(page, frames=5)
        before = listed(page)
        for number, kind in enumerate(("Export CSV", "Export CSV for LosslessCut", "Export EDL")):
            page.get_by_role("button", name="Import and export segments").click()
            with page.expect_download() as download:
                page.get_by_role("menuitem", name=kind, exact=True).click()
            saved = tmp_path / str(number) / download.value.suggested_filename
            download.value.save_as(saved)
            page.get_by_role("button", name="Import and export segments").click()
            page.get_by_role("menuitem", name="Remove all").click()
            page.locator(".segments-panel input[type=file]").set_input_files(saved)
            page.locator(RANGES).nth(1).wait_for()
            assert listed(page) == before, saved.read_text()


PARSE = (
    "async ([text, rate]) => { const {parseSegments} = await import('/assets/player/segment_files.js');"
    " try { return parseSegments(text, {duration: 7200, rate}).map(({label, start, end}) => [label, start, end]); }"
    " catch (error) { return error.message; } }"
)


def test_files_of_segments_are_read(browser: Any, server: RunningServer) -> None:
    edl = "TITLE: a\nFCM: DROP FRAME\n\n{}\n* FROM CLIP NAME: Goal\n"
    event = "001  AX  AA/V  C  00:01:00;02 01:00:00;00 00:00:00;00 00:00:01;00"
    cases: list[tuple[str, float, Any]] = [
        ("\ufeffEnd;,Start,Label,End\r\n1,2,a,3\r\n", 25, [["a", 2, 3]]),
        ('label,start,end\n"two\nlines, and ""more""",0:01.5,1:02:03\n', 25, [['two\nlines, and "more"', 1.5, 3723]]),
        (",10,from the start\n90,,\n", 25, [["from the start", 0, 10], ["", 90, 7200]]),
        (edl.format(event), 30000 / 1001, [["Goal", 1800 * 1001 / 30000, 107892 * 1001 / 30000]]),
        ("1 AX V C 00:00:01:24 00:00:03:00 0:0:0:0 0:0:0:0\n", 25, [["", 1.96, 3]]),
        ("1 AX V C 00:00:01:24 00:00:03:00 0:0:0:0 0:0:0:0\n1 AX A C 00:00:01:24 00:00:03:00", 25, [["", 1.96, 3]]),
        ("1 AX V C 00:00:01:25 00:00:03:00 x\n", 25, "Line 1: 00:00:01:25 is not a timecode at 25 frames per second."),
        ("a,start,end\n\nx,5,4\n", 25, "Line 3: the end must be after the start."),
        ("1,soon\n", 25, "Line 1: “soon” is not a time; write 90.5 or 1:02.500."),
        ("0,9000\n", 25, "Line 1: the recording ends at 2:00:00.000."),
        ('0,1,"open\n', 25, "Line 1: a quotation mark is not closed, or text follows it."),
        ("0,1\nsix\n", 25, "Line 2: it must have a start and an end."),
        (f"0,1,{'x' * 201}\n", 25, "Line 1: the label has more than 200 characters."),
        ("", 25, "The file has no segments."),
    ]
    with opened(browser, server) as page:
        page.goto(server.url)
        for text, rate, wanted in cases:
            found = page.evaluate(PARSE, [text, rate])
            if isinstance(wanted, str):
                assert found == wanted, text
            else:
                flat = [value for each in found for value in each]
                expected = [pytest.approx(value) if value != str(value) else value for each in wanted for value in each]
                assert flat == expected, text
