"""Pauses and fillers that are removed from a clip: marked in the transcript, put back, and as long as the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import ClipPlan, Recording
from tests.browser.conftest import Judge
from tests.support import waiting
from tests.support.moments_film import make_moments_film
from tests.support.page import STILL, point, row, studio, until
from tests.support.server import RunningServer

_WORDS = [[0.5, 0.9, "Um,"], [0.9, 1.4, "this"], [1.4, 1.9, "stays."]]
_MORE = [[3.4, 3.8, "Well,"], [3.8, 4.2, "uh,"], [4.2, 4.9, "yes."]]
_CUES = [
    {"start_seconds": 0.5, "end_seconds": 1.9, "text": "Um, this stays.", "words": _WORDS},
    {"start_seconds": 3.4, "end_seconds": 4.9, "text": "Well, uh, yes.", "words": _MORE},
    {"start_seconds": 9.6, "end_seconds": 10.5, "text": "No times here."},
]
_BOTH = ["silence", "fillers"]


@pytest.fixture
def meeting(server: RunningServer, tmp_path: Path) -> Recording:
    film = make_moments_film(tmp_path / "pauses.mp4")
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(film, name="pauses.mp4").recording_id)
    client.transcripts.put(recording.recording_id, "en", _CUES)
    return recording


def _length(plan: ClipPlan) -> str:
    return f"document.querySelector('.picker .length').textContent === '0:{plan.duration_seconds:06.3f}'"


@pytest.mark.exhaustive
def test_words_are_struck_through_and_put_back(
    browser: Any, server: RunningServer, meeting: Recording, judge: Judge
) -> None:
    client = server.client()

    def plan(*keep: tuple[float, float]) -> ClipPlan:
        ranges = [{"start_seconds": start, "end_seconds": end} for start, end in keep]
        return client.clips.plan(meeting.recording_id, 0.2, 11.0, without=_BOTH, keep_ranges=ranges)

    with studio(browser, server, meeting, viewport={"width": 1280, "height": 720}) as page:
        point(page, "In").fill("0.2")
        point(page, "Out").fill("11")
        page.keyboard.press("Enter")
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("combobox", name="Pauses").select_option("Shorten, without fillers")
        page.get_by_role("tab", name="Transcript").click()
        marks = page.locator(".removable[aria-pressed='true']")
        until(page, _length(plan()))
        assert marks.all_text_contents() == ["Um,", "0.8 s", "uh,", "2.3 s"]
        texts = page.locator(".cues.text p").all_text_contents()
        assert texts == ["Um, this stays.0.8 s", "Well, uh, yes.2.3 s", "No times here."]
        assert "4 ranges are removed" in page.locator(".removed-summary").text_content()
        judge(page, "removed")
        page.get_by_role("button", name="“uh,” at").click()
        until(page, _length(plan((3.8, 4.2))))
        assert marks.all_text_contents() == ["Um,", "0.8 s", "2.3 s"]
        assert page.locator(".removable[aria-pressed='false']").all_text_contents() == ["uh,"]
        judge(page, "put back")
        page.keyboard.press("ArrowRight")  # from the button that was clicked to the next one
        page.keyboard.press("Enter")
        pause = plan().removed[-1]
        kept = plan((3.8, 4.2), (pause["start_seconds"], pause["end_seconds"]))
        until(page, _length(kept))
        assert [round(each["start_seconds"], 1) for each in kept.removed] == [0.5, 2.1]
        page.keyboard.press("Enter")  # remove the pause again
        until(page, _length(plan((3.8, 4.2))))
        page.keyboard.press("Control+z")
        until(page, _length(kept))
        waiting.until(lambda: len(client.recordings.segments(meeting.recording_id).look["keep_ranges"]) == 2)
        assert client.recordings.segments(meeting.recording_id).look["without"] == _BOTH
        page.reload()
        until(page, STILL)
        point(page, "In").fill("0.2")
        point(page, "Out").fill("11")
        page.keyboard.press("Enter")
        until(page, _length(kept))
        page.locator("#label").fill("kept")
        page.get_by_role("button", name="Make clip").click()
        page.get_by_role("tab", name="Clips").click()
        row(page, "kept").get_by_role("button", name="Play kept").wait_for()
    (made,) = client.clips.list(label="kept").data
    assert made.result is not None
    assert made.result.duration_seconds == pytest.approx(kept.duration_seconds, abs=0.001)


@pytest.mark.exhaustive
def test_playback_skips_what_is_removed(browser: Any, server: RunningServer, meeting: Recording, judge: Judge) -> None:
    pause = server.client().clips.plan(meeting.recording_id, 0.2, 11.0, without=_BOTH).removed[-1]
    start, end = pause["start_seconds"], pause["end_seconds"]

    def played(page: Any) -> list[float]:
        """Return the times of the frames that are shown while the pause, or what is around it, is played."""
        field = page.get_by_role("textbox", name="Current time")
        field.fill(f"{start - 0.3:.3f}")
        field.press("Enter")
        page.get_by_role("heading", name="pauses.mp4").click()
        until(page, "!document.querySelector('video').seeking")
        page.evaluate("""() => {
            const video = document.querySelector("video");
            window.shown = [];
            const note = (_, {mediaTime}) => {
                window.shown.push(mediaTime);
                video.requestVideoFrameCallback(note);
            };
            video.requestVideoFrameCallback(note);
        }""")
        page.keyboard.press(" ")
        until(page, f"document.querySelector('video').currentTime > {end + 0.2}")
        page.keyboard.press(" ")
        found: list[float] = page.evaluate("window.shown")
        return found

    with studio(browser, server, meeting, viewport={"width": 1280, "height": 720}) as page:
        skip = page.get_by_role("button", name="Skip what is removed")
        assert skip.is_hidden()
        point(page, "In").fill("0.2")
        point(page, "Out").fill("11")
        page.keyboard.press("Enter")
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("combobox", name="Pauses").select_option("Shorten, without fillers")
        skip.wait_for()
        # On a busy machine, a few are painted before the page hears of the first one.
        assert len([at for at in played(page) if start + 0.5 < at < end - 0.1]) < 4
        judge(page, "skipping")
        skip.click()
        assert skip.get_attribute("aria-pressed") == "false"
        assert len([at for at in played(page) if start + 0.5 < at < end - 0.1]) > 5


@pytest.mark.exhaustive
def test_all_is_put_back_and_undone(browser: Any, server: RunningServer, meeting: Recording, judge: Judge) -> None:
    with studio(browser, server, meeting, viewport={"width": 390, "height": 844}, color_scheme="dark") as page:
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("combobox", name="Pauses").select_option("Shorten")
        page.get_by_role("tab", name="Transcript").click()
        assert page.locator(".removed-summary").is_hidden()
        point(page, "In").fill("1")
        point(page, "Out").fill("11")
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('.removable[aria-pressed=true]').length === 2")
        page.get_by_role("button", name="Put all back").click()
        until(page, "document.querySelectorAll('.removable[aria-pressed=false]').length === 2")
        until(page, "/^Nothing is removed/.test(document.querySelector('.removed-summary').textContent)")
        judge(page, "all back on a phone")
        page.get_by_role("button", name="Undo", exact=True).click()
        until(page, "document.querySelectorAll('.removable[aria-pressed=true]').length === 2")
        point(page, "Out").fill("4")
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('.removable').length === 1")
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("combobox", name="Pauses").select_option("Keep")
        until(page, "!document.querySelector('.removable')")
        assert page.locator(".cues.text p").first.text_content() == "Um, this stays."
