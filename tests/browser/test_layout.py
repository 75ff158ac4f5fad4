"""The layout of the screen of a recording: the picture first, and the form always in view."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.catalogue import Shelf
from tests.support.page import opened, point, row, studio, until
from tests.support.selection import cases
from tests.support.server import RunningServer

_FILLED = """() => {
  const colour = (node) => getComputedStyle(node).backgroundColor;
  const filled = colour(document.querySelector(".segments-panel .primary"));
  const buttons = [...document.querySelectorAll("main button")].filter((button) => button.checkVisibility());
  return buttons.filter((button) => colour(button) === filled).map((button) => button.innerText.split("\\n")[0].trim());
}"""
SIZES = [(1280, 720), (1440, 900), (1920, 1080), (1024, 768)]


@pytest.mark.parametrize("size", cases(SIZES, SIZES[:1]))
def test_picture_is_the_largest_thing_and_the_form_is_in_view(
    browser: Any, server: RunningServer, shelf: Shelf, size: tuple[int, int]
) -> None:
    client = server.client()
    film = shelf.get("mp4_25")
    wide = client.recordings.wait(client.recordings.upload(film.path, name="wide.mp4").recording_id)
    client.clips.create(wide.recording_id, "made", 0.2, 0.8).wait()
    with studio(browser, server, wide, viewport={"width": size[0], "height": size[1]}) as page:
        picture = page.locator(".picture").bounding_box()
        assert picture["width"] / picture["height"] == pytest.approx(film.width / film.height, rel=0.02)
        room = picture["height"] / (size[1] - 48 - 250)  # what head and dock leave
        assert room > 0.95 or picture["width"] > (size[0] - 64 - 300) * 0.85
        for node in (page.locator(".make"), page.locator(".add"), point(page, "In"), page.locator(".beside")):
            box = node.bounding_box()
            assert box["y"] + box["height"] <= size[1]
            assert box["x"] + box["width"] <= size[0]
        assert page.evaluate("document.scrollingElement.scrollHeight") <= size[1]
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size[0]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("size", "lanes"), [((1280, 720), 1), ((1440, 1100), 5)])
def test_overlapping_clips_have_the_room_of_a_tall_window(
    browser: Any, server: RunningServer, shelf: Shelf, size: tuple[int, int], lanes: int
) -> None:
    client = server.client()
    upload = client.recordings.upload(shelf.get("mp4_25").path, name="overlapping.mp4")
    recording = client.recordings.wait(upload.recording_id)
    clips = [client.clips.create(recording.recording_id, "clip 0", 0, 1.5)]
    viewport = {"width": size[0], "height": size[1]}
    with studio(browser, server, recording, viewport=viewport) as page:
        until(page, "document.querySelector('.clip-bands').clientHeight === 24")
        before = page.locator(".picture").bounding_box()
    for number in range(1, 6):
        clips.append(client.clips.create(recording.recording_id, f"clip {number}", number / 10, 1.5))
    with studio(browser, server, recording, viewport=viewport) as page:
        until(page, f"document.querySelector('.clip-bands').clientHeight === {lanes * 26 - 2}")
        until(page, "document.querySelector('.clip-bands').scrollHeight === 128")
        assert page.locator(".picture").bounding_box() == before
        assert page.evaluate("document.scrollingElement.scrollHeight") <= size[1]
    for clip in clips:
        clip.wait()
    client.recordings.delete(recording.recording_id)


@pytest.mark.exhaustive
def test_panel_is_closed_and_opened(browser: Any, server: RunningServer, recording: Recording, judge: Judge) -> None:
    with studio(browser, server, recording, viewport={"width": 1280, "height": 720}) as page:
        panel, toggle = page.locator(".beside"), page.get_by_role("button", name="Side panel")
        toggle.click()
        panel.wait_for(state="hidden")
        assert toggle.get_attribute("aria-pressed") == "false"
        judge(page, "closed")
        page.keyboard.press("Escape")
        page.keyboard.press("4")  # a tab opens it
        panel.wait_for()
        assert page.get_by_role("tab", name="Look").get_attribute("aria-selected") == "true"
        page.keyboard.press("Escape")
        page.keyboard.press("]")
        panel.wait_for(state="hidden")


def test_fault_of_a_time_stands_beside_the_times_and_covers_no_band(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    with studio(browser, server, recording, viewport={"width": 1280, "height": 720}) as page:
        point(page, "Out").fill("never")
        page.keyboard.press("Enter")
        field, why = point(page, "Out").bounding_box(), page.locator("#out-problem").bounding_box()
        assert 0 < why["x"] - field["x"] - field["width"] < 16
        assert abs(why["y"] + why["height"] / 2 - field["y"] - field["height"] / 2) < 2


def test_transcript_is_dropped_on_the_recording(browser: Any, server: RunningServer, shelf: Shelf) -> None:
    client = server.client()
    silent = client.recordings.wait(client.recordings.upload(shelf.get("mp4_25").path, name="words.mp4").recording_id)
    with studio(browser, server, silent) as page:
        page.get_by_role("tab", name="Transcript").click()
        page.get_by_role("heading", name="No transcript yet").wait_for()
        page.evaluate(
            "(text) => { const files = new DataTransfer(); files.items.add(new File([text], 'talk.de.vtt'));"
            " const drop = {bubbles: true, cancelable: true, dataTransfer: files};"
            " document.body.dispatchEvent(new DragEvent('dragover', drop));"
            " document.body.dispatchEvent(new DragEvent('drop', drop)); }",
            "WEBVTT\n\n00:00.500 --> 00:01.500\nGuten Morgen.\n\n00:01.500 --> 00:02.500\nFangen wir an.\n",
        )
        assert page.get_by_role("combobox", name="Language").input_value() == "de"
        page.get_by_role("button", name="Add transcript").click()
        page.get_by_text("Fangen wir an.").dblclick()
        until(page, "document.querySelector('#label')?.value === 'Fangen wir an'")
        assert (point(page, "In").input_value(), point(page, "Out").input_value()) == (
            "0:01.480",
            "0:02.480",
        )  # on frames
    (stored,) = client.transcripts.list(silent.recording_id).data
    assert (stored.language, stored.cues) == ("de", 2)


def test_one_button_is_filled(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording, reduced_motion="reduce") as page:
        assert page.evaluate(_FILLED) == []  # there is nothing to make yet
        for name, time in (("In", "0.2"), ("Out", "0.8")):
            point(page, name).fill(time)
            point(page, name).press("Enter")
        assert page.evaluate(_FILLED) == ["Make clip"]
        page.keyboard.press("Escape")
        page.keyboard.press("a")
        page.get_by_role("button", name="Make 1 clip").wait_for()
        assert page.evaluate(_FILLED) == ["Make 1 clip"]


def test_tags_of_a_clip_are_beside_its_recording(browser: Any, server: RunningServer, recording: Recording) -> None:
    client = server.client()
    clip = client.clips.create(recording.recording_id, "tagged", 0.2, 0.8, tags=["social", "a longer tag"]).wait()
    with opened(browser, server, viewport={"width": 1280, "height": 720}) as page:
        page.goto(f"{server.url}/#/clips")
        link = row(page, "tagged").get_by_role("link", name=recording.name)
        link.wait_for()
        place = link.bounding_box()
        for tag in clip.tags:
            box = row(page, "tagged").get_by_role("button", name=tag).bounding_box()
            assert box["x"] + box["width"] <= place["x"]
        text = row(page, "tagged").locator(".from").inner_text()
        assert re.sub(r"\s", "", text) == f"{recording.name}0:00"
