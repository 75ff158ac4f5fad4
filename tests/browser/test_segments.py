"""The list of segments on the screen of a recording: marked, imported, edited, and made into one clip or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support import waiting
from tests.support.page import row, studio, until
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


def stored(server: RunningServer, recording: Recording) -> list[tuple[str, float, float]]:
    segments = server.client().recordings.segments(recording.recording_id).segments
    return [(each["label"], each["start_seconds"], each["end_seconds"]) for each in segments]


@pytest.fixture
def interview(server: RunningServer, film: Film) -> Recording:
    client = server.client()
    return client.recordings.wait(client.recordings.upload(film.path, name="interview.mp4").recording_id)


@pytest.mark.exhaustive
def test_list_belongs_to_the_recording(browser: Any, server: RunningServer, interview: Recording) -> None:
    client = server.client()
    look = {"output": {"aspect": "9:16"}, "subtitles": None, "without": [], "keep_ranges": []}
    client.recordings.put_segments(interview.recording_id, [], title="Highlights", look=look)
    with studio(browser, server, interview, expected="412") as page:
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            mark(page, frames=10, label="first")
        with studio(browser, server, interview) as other:  # as on another machine
            other.get_by_role("tab", name="Segments").click()
            other.locator(RANGES).wait_for()
            assert listed(other) == [("first", "0:00.000 – 0:00.400")]
            other.get_by_role("textbox", name="Name of segment 1").fill("theirs")
            with other.expect_response(lambda answer: answer.request.method == "PUT"):
                other.keyboard.press("Enter")
        with page.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
            mark(page, frames=20, label="mine")
        page.locator(RANGES).nth(1).wait_for()
        assert listed(page) == [("theirs", "0:00.000 – 0:00.400"), ("mine", "0:00.400 – 0:01.200")]
        assert [label for label, _, _ in stored(server, interview)] == ["theirs", "mine"]
        client.recordings.put_segments(interview.recording_id, [], title="Worst", look=look)
        page.get_by_role("textbox", name="Title", exact=True).fill("Best")
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("Elsewhere, these segments were given the title “Worst”.").wait_for()
        dialog.get_by_role("button", name="Use theirs").click()
        waiting.until(lambda: client.recordings.segments(interview.recording_id).title == "Worst")
        assert listed(page) == []
    kept = client.recordings.segments(interview.recording_id)
    assert (kept.title, kept.look, kept.segments) == ("Worst", look, [])


@pytest.mark.exhaustive
def test_title_and_look_belong_to_the_recording(browser: Any, server: RunningServer, interview: Recording) -> None:
    client = server.client()
    client.recordings.put_segments(interview.recording_id, [], look={"output": {"aspect": "4:5", "fps": 12.5}})

    def is_stored(answer: Any) -> bool:
        return answer.request.method == "PUT" and answer.ok

    with studio(browser, server, interview) as page:
        mark(page, frames=10)
        mark(page, frames=5)
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("textbox", name="Title", exact=True).fill("Best of")
        page.get_by_role("tab", name="Look").click()
        assert page.get_by_role("button", name="4:5", exact=True).get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("button", name="Right", exact=True).click()
        page.get_by_role("combobox", name="Audio").select_option("mute")
        page.get_by_role("combobox", name="Speed").select_option("2")
        with page.expect_response(is_stored):
            page.get_by_role("textbox", name="Largest size (MB)").fill("12.5")
        with studio(browser, server, interview) as other:  # as on another machine
            other.get_by_role("tab", name="Look").click()
            assert other.get_by_role("button", name="9:16", exact=True).get_attribute("aria-pressed") == "true"
            assert other.get_by_role("button", name="Right", exact=True).get_attribute("aria-pressed") == "true"
            values = [other.get_by_role("combobox", name=name).input_value() for name in ("Audio", "Speed")]
            assert values == ["mute", "2"]
            assert other.get_by_role("textbox", name="Largest size (MB)").input_value() == "12.5"
            other.get_by_role("tab", name="Segments").click()
            assert other.get_by_role("textbox", name="Title", exact=True).input_value() == "Best of"
            other.get_by_role("tab", name="Look").click()
            with other.expect_response(is_stored):
                other.get_by_role("button", name="Reset", exact=True).click()
    kept = client.recordings.segments(interview.recording_id)
    assert (kept.title, kept.look["output"]) == ("Best of", {"fps": 12.5})  # what the page lacks


@pytest.mark.exhaustive
def test_options_of_other_programs_stay_until_they_are_edited(
    browser: Any, server: RunningServer, interview: Recording
) -> None:
    client = server.client()
    moving = [{"at_seconds": 0.0, "x": 0.2, "y": 0.5}, {"at_seconds": 2.0, "x": 0.8, "y": 0.5}]
    size = {"width": 540, "height": 960, "enlarge": False}
    others = {"size": size, "focus": moving, "speed": 3.0, "mute": [[0.0, 1.0]]}
    id = interview.recording_id
    given = client.recordings.put_segments(
        id, [], look={"output": others, "subtitles": {"mode": "burn", "language": "fr"}}
    )

    def looks(edit: Any) -> Any:
        with studio(browser, server, interview) as page:
            page.get_by_role("tab", name="Look").click()
            with page.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
                edit(page)
        kept = client.recordings.segments(id)
        assert kept.look["subtitles"] == given.look["subtitles"]
        return kept.look["output"]

    before = given.look["output"]
    assert looks(lambda page: page.get_by_role("textbox", name="Largest size (MB)").fill("9")) == {
        **before,
        "max_bytes": 9_000_000,
    }
    slower = looks(lambda page: page.get_by_role("combobox", name="Speed").select_option("0.5"))
    assert slower == {**before, "max_bytes": 9_000_000, "speed": 0.5}
    square = looks(lambda page: page.get_by_role("button", name="1:1", exact=True).click())
    assert (square.get("size"), square["aspect"], square["focus"]) == (None, "1:1", before["focus"])
    left = looks(lambda page: page.get_by_role("button", name="Left", exact=True).click())
    assert left["focus"] == {"x": 0.0, "y": 0.5}
    client.recordings.put_segments(
        id, [], look={"output": before | {"aspect": "9:16"}, "subtitles": given.look["subtitles"]}
    )
    bars = looks(lambda page: page.get_by_role("combobox", name="Sides").select_option("pad"))
    assert (bars["fit"], bars["size"], bars.get("focus")) == ("pad", before["size"], None)


@pytest.mark.exhaustive
def test_list_that_a_tab_holds_from_the_release_before_is_stored(
    browser: Any, server: RunningServer, interview: Recording
) -> None:
    theirs = {"start_seconds": 0.4, "end_seconds": 0.8, "label": "theirs"}
    server.client().recordings.put_segments(interview.recording_id, [theirs])
    key = f"segments {interview.recording_id}"
    with studio(browser, server, interview) as page:
        held = [{"label": "held", "start": 0.0, "end": 0.4}, {"label": "theirs", "start": 0.4, "end": 0.8}]
        page.evaluate("([key, held]) => sessionStorage.setItem(key, JSON.stringify(held))", [key, held])
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            page.reload()
        page.get_by_role("tab", name="Segments").click()
        page.locator(RANGES).first.wait_for()
        assert [label for label, _ in listed(page)] == ["theirs", "held"]
        until(page, f"sessionStorage.getItem({key!r}) === null")
    assert stored(server, interview) == [("theirs", 0.4, 0.8), ("held", 0.0, 0.4)]


def test_segments_become_one_clip_or_several(browser: Any, server: RunningServer, film: Film) -> None:
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="segments.mp4").recording_id)
    with studio(browser, server, meeting) as page:
        mark(page, frames=10, label="first")
        mark(page, frames=5)
        mark(page, frames=10)
        page.get_by_role("button", name="More actions for segment 2").click()
        page.get_by_role("menuitem", name="Remove").click()
        removed = listed(page)
        page.keyboard.press("Control+z")
        page.get_by_role("button", name="More actions for segment 3").wait_for()
        page.get_by_role("button", name="More actions for segment 2").click()
        page.get_by_role("menuitem", name="Remove").click()
        assert listed(page) == removed
        page.get_by_role("textbox", name="Name of segment 2").fill("last")
        page.keyboard.press("Enter")
        page.get_by_role("textbox", name="Name of segment 2").press("Alt+ArrowUp")
        kept = [("last", "0:00.600 – 0:01.000"), ("first", "0:00.000 – 0:00.400")]
        assert listed(page) == kept
        page.reload()
        page.get_by_role("tab", name="Segments").click()
        page.locator(RANGES).first.click()  # a segment is updated by the same key
        page.get_by_role("button", name="Update segment 1").wait_for()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("i")
        page.keyboard.press("a")
        kept = [("last", "0:00.560 – 0:01.000"), kept[1]]
        assert listed(page) == kept
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("combobox", name="Shape").select_option("1:1")
        page.get_by_label("Sides").select_option("pad")
        page.get_by_label("Audio").select_option("mute")
        page.get_by_label("Subtitles").select_option("none")
        page.get_by_label("Largest size (MB)").fill("big")
        page.keyboard.press("Escape")
        page.keyboard.press("Shift+Enter")
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("alert").filter(has_text="“big” is not a number").wait_for()
        page.get_by_role("tab", name="Look").click()
        page.get_by_label("Largest size (MB)").fill("-1")
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("button", name="Make highlight").click()
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("alert").filter(has_text="Largest size: it must be between 0.01 and 1,000,000 MB").wait_for()
        page.get_by_role("tab", name="Look").click()
        page.get_by_label("Largest size (MB)").fill("2.5")
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("textbox", name="Title").fill("both")
        page.get_by_role("button", name="Make highlight").click()
        page.get_by_role("button", name="Restore list").click()
        assert listed(page) == kept
        page.get_by_role("tab", name="Clips").click()
        row(page, "both").get_by_role("button", name="Play both").wait_for()
        row(page, "both").get_by_title("Show on the timeline: 2 parts · 0:00.8").wait_for()
        page.get_by_role("button", name="Fit").click()
        bands = page.locator("[aria-label^='Clip: both, part']")
        until(page, "document.querySelectorAll(`[aria-label^='Clip: both, part']`).length === 2")
        assert bands.all_text_contents() == ["both 2/2", "both 1/2"]
        sent = client.clips.list(recording_id=meeting.recording_id).data[0].raw
        assert page.evaluate(LENGTH, sent | {"status": "processing", "result": None}) == "0:00.8"
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("button", name="2 single clips").click()
        page.get_by_role("button", name="Make 2 clips").click()
        page.get_by_role("tab", name="Clips").click()
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


@pytest.mark.exhaustive
def test_key_divides_the_segment_at_the_playhead(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        mark(page, frames=10, label="whole")
        page.keyboard.press("Home")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("b")
        divided = [("whole", "0:00.000 – 0:00.160"), ("whole", "0:00.160 – 0:00.400")]
        assert listed(page) == divided
        page.keyboard.press("b")  # between the two
        page.get_by_text("There is no segment to divide here").wait_for(state="attached")
        assert listed(page) == divided


@pytest.mark.exhaustive
def test_rejected_segment_is_named_and_the_list_kept(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording, expected="422.*/clips/batch|413.*/ranges") as page:
        page.get_by_role("tab", name="Segments").click()
        files = page.locator(".segments-panel input[type=file]")
        files.set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"0,1,ok\n1,2\n"})
        page.get_by_role("textbox", name="Name of segment 2").fill("bad\x01label")
        page.get_by_role("button", name="2 single clips").click()
        page.get_by_role("button", name="Make 2 clips").click()
        page.get_by_role("alert").filter(has_text="Segment 2: label contains control characters").wait_for()
        assert len(listed(page)) == 2
        files.set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": b"0,1\n" * 99})
        page.get_by_role("alert").filter(has_text="b.csv was not imported. The file has 99 segments").wait_for()
        files.set_input_files({"name": "c.csv", "mimeType": "text/csv", "buffer": b"0,1\n" * 250_001})
        page.get_by_role("alert").filter(
            has_text="c.csv was not imported. The body is larger than 1000000 bytes"
        ).wait_for()
        assert len(listed(page)) == 2


@pytest.mark.exhaustive
def test_exported_files_are_imported_again(
    browser: Any, server: RunningServer, recording: Recording, tmp_path: Path
) -> None:
    with studio(browser, server, recording) as page:
        mark(page, frames=10, label='say "go", now')
        mark(page, frames=5)
        before = listed(page)
        for number, kind in enumerate(
            ("Export CSV", "Export CSV for LosslessCut", "Export EDL", "Export OpenTimelineIO")
        ):
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


# The length in the row of a clip.
LENGTH = (
    "async (clip) => {"
    " const {clipRow} = await import('/assets/views/clip_row.js');"
    " const {within} = await import('/assets/lib/reactive.js');"
    " const {signal} = await import('/assets/vendor/signals-core.js');"
    " const made = within(AbortSignal.abort(), () => clipRow(signal(clip), {onchange() {}, ondeleted() {}}));"
    " return made.querySelector('.poster .time').textContent;"
    "}"
)
EVENT = "001  AX  V  C  00:00:01:00 00:00:03:00 00:00:00:00 00:00:02:00\n"


@pytest.mark.exhaustive
def test_what_an_imported_file_leaves_out_is_shown(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        page.get_by_role("tab", name="Segments").click()
        data = EVENT.replace("01:00 00:00:03:00", "00:00 00:00:01:00") + EVENT.replace("AX", "BL")
        files = page.locator(".segments-panel input[type=file]")
        files.set_input_files({"name": "cut.edl", "mimeType": "text/plain", "buffer": data.encode()})
        page.get_by_role("status").filter(has_text="cut.edl: line 2: black is left out").wait_for()
        assert len(listed(page)) == 1
