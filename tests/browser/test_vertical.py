"""Vertical clips on the screen of a recording: the frame over the picture is where the clip is cut."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.page import READY, give_own_stream, held, opened, point, row, studio, until, wait_for
from tests.support.server import RunningServer
from tests.support.waiting import until as until_waiting

# Counts movements, changes of the studio and writes of storage.
COUNT = """() => {
  window.counted = {moves: 0, changes: 0, writes: 0};
  const studio = document.querySelector(".studio");
  document.querySelector(".crop").addEventListener("pointermove", () => { window.counted.moves += 1; });
  new MutationObserver((list) => { window.counted.changes += list.length; }).observe(
    studio, {subtree: true, attributes: true, childList: true, characterData: true});
  const write = Storage.prototype.setItem;
  Storage.prototype.setItem = function (...given) { window.counted.writes += 1; return write.apply(this, given); };
}"""
PART = "(() => { const {style} = document.querySelector('.crop'); return parseFloat(style.left); })()"


@pytest.mark.exhaustive
def test_frame_shows_what_the_clip_takes(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge
) -> None:
    client = server.client()
    marked = [{"label": f"part {at}", "start_seconds": at / 20, "end_seconds": at / 20 + 0.2} for at in range(60)]
    client.recordings.put_segments(recording.recording_id, marked)
    with studio(browser, server, recording, viewport={"width": 1280, "height": 720}) as page:
        frame = page.get_by_role("slider", name="Crop of the clip")
        page.get_by_role("button", name="9:16", exact=True).click()
        frame.wait_for()
        assert int(frame.get_attribute("aria-valuenow")) in (49, 50, 51)  # pixels are even
        judge(page, "frame")
        page.get_by_role("button", name="Right", exact=True).click()
        until(page, "document.querySelector('.crop').getAttribute('aria-valuenow') === '100'")
        served = client.recordings.framing(recording.recording_id, {"aspect": "9:16", "focus": {"x": 1.0, "y": 0.5}})
        left = 100 * served.region["x"] / served.recording["width"]
        assert page.evaluate(PART) == pytest.approx(left, abs=0.01)
        picture, box = page.locator(".picture").bounding_box(), frame.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.evaluate(COUNT)
        page.mouse.move(picture["x"] + picture["width"] * 0.3, box["y"] + 40, steps=20)
        counted = page.evaluate("window.counted")
        assert counted["moves"] >= 10
        assert (counted["changes"] <= 10 * counted["moves"], counted["writes"]) == (True, 0), counted
        page.mouse.up()
        dragged = (box["x"] + (picture["x"] + picture["width"] * 0.3 - box["x"] - box["width"] / 2)) - picture["x"]
        assert page.evaluate(PART) == pytest.approx(100 * dragged / picture["width"], abs=1.5)
        before = page.evaluate(PART)
        frame.press("Shift+ArrowRight")
        until(page, f"{PART} > {before} + 8")
        page.wait_for_timeout(1000)  # until the place of the server is drawn
        taken = page.evaluate(PART) / 100
        page.get_by_role("button", name="Result", exact=True).click()
        shown = page.locator(".picture").bounding_box()
        assert shown["width"] / shown["height"] == pytest.approx(9 / 16, rel=0.01)
        judge(page, "result")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Frame", exact=True).click()
        point(page, "In").fill("0.4")
        point(page, "Out").fill("1.2")
        page.keyboard.press("Enter")
        page.locator("#label").fill("upright")
        page.get_by_role("button", name="Make clip").click()
        page.get_by_role("tab", name="Clips").click()
        row(page, "upright").get_by_role("button", name="Play upright").wait_for()
    (made,) = client.clips.list(label="upright").data
    assert made.output is not None
    found = client.recordings.framing(recording.recording_id, made.output)
    assert made.result is not None
    assert (made.result.width, made.result.height) == (found.width, found.height)
    assert found.region["x"] / found.recording["width"] == pytest.approx(taken, abs=0.005)


@pytest.mark.exhaustive
def test_clip_that_is_ready_before_the_events_arrive_is_announced(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    client = server.client()
    with opened(browser, server) as page:
        give_own_stream(page)
        with held(page, "**/v1/events"):
            page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
            until(page, READY)
            for key in ("i", "ArrowRight", "ArrowRight", "o", "n"):
                page.keyboard.press(key)
            page.keyboard.type("without events")
            page.keyboard.press("Enter")
            wait_for(
                page, lambda: [each.status for each in client.clips.list(label="without events").data] == ["complete"]
            )
        page.locator(".toast").filter(has_text="without events").get_by_role("button", name="Copy link").wait_for()


@pytest.mark.exhaustive
def test_clip_that_is_ready_before_the_response_arrives_is_announced(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    client = server.client()

    def answer_late(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        response = route.fetch()
        until_waiting(lambda: [each.status for each in client.clips.list(label="ready first").data] == ["complete"])
        time.sleep(1)  # in which the events arrive
        return route.fulfill(response=response)

    with studio(browser, server, recording) as page:
        page.route("**/clips", answer_late)
        for key in ("i", "ArrowRight", "ArrowRight", "o", "n"):
            page.keyboard.press(key)
        page.keyboard.type("ready first")
        page.keyboard.press("Enter")
        page.locator(".toast").filter(has_text="ready first").get_by_role("button", name="Copy link").wait_for()
        page.get_by_role("tab", name="Clips").click()
        row(page, "ready first").get_by_role("button", name="Play ready first").wait_for()
        page.unroute_all(behavior="wait")


@pytest.mark.exhaustive
def test_ready_clip_offers_its_link(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        for key in ("i", *["ArrowRight"] * 5, "o", "n"):
            page.keyboard.press(key)
        page.keyboard.type("to be shared")
        page.keyboard.press("Enter")
        ready = page.locator(".toast").filter(has_text="to be shared")
        ready.get_by_role("button", name="Copy link").click()
        page.get_by_text("Link copied").wait_for()
        link = page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(server.url)
        page.goto(link)
        page.get_by_role("heading", name="to be shared").wait_for()
