"""A crop that moves: points are set by dragging the frame, moved on the timeline, and the clip is as the frame was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support import waiting
from tests.support.page import STILL, point, studio, until
from tests.support.ramp import read_pictures, write_ramp
from tests.support.server import RunningServer

_PIXEL = 0.018  # of the picture: a pixel of chroma and the errors of the encoders
_LEFT = "parseFloat(document.querySelector('.crop').style.left) / 100"


@pytest.fixture
def ramp(server: RunningServer, tmp_path: Path) -> Recording:
    """Return a recording whose pixels show from where they are."""
    write_ramp(tmp_path / "ramp.mp4", 320, 180, seconds=4)
    client = server.client()
    return client.recordings.wait(client.recordings.upload(tmp_path / "ramp.mp4", name="ramp.mp4").recording_id)


def _seek(page: Any, time: str) -> None:
    field = page.get_by_role("textbox", name="Current time")
    field.fill(time)
    field.press("Enter")
    page.locator("h1").click()  # shortcuts work again
    until(page, "!document.querySelector('video').seeking")


def _drag_frame(page: Any, to: float) -> None:
    """Drag the middle of the frame to a part of the picture's width."""
    picture, box = page.locator(".picture").bounding_box(), page.locator(".crop").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(picture["x"] + picture["width"] * to, box["y"] + 40, steps=4)
    page.mouse.up()


@pytest.mark.exhaustive
def test_clip_moves_as_the_frame_over_the_player(
    browser: Any, server: RunningServer, ramp: Recording, judge: Judge, tmp_path: Path
) -> None:
    client = server.client()

    def stored() -> Any:
        return (client.recordings.segments(ramp.recording_id).look["output"] or {}).get("focus")

    with studio(browser, server, ramp, viewport={"width": 1280, "height": 720}) as page:
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("slider", name="Crop of the clip").wait_for()
        _seek(page, "1")
        _drag_frame(page, 0.3)
        waiting.until(lambda: stored() and stored()["x"] == pytest.approx(0.3, abs=0.01))  # a plain drag sets one place
        page.get_by_role("button", name="Moves").click()
        points = page.get_by_role("slider", name="of the crop")
        until(page, "document.querySelectorAll('.moves-lane .point').length === 1")
        _seek(page, "3")
        _drag_frame(page, 0.8)
        places = pytest.approx([0.3, 0.8], abs=0.01)  # a list: one place is an object
        waiting.until(lambda: isinstance(stored(), list) and [place["x"] for place in stored()] == places)
        first, last = stored()
        assert (first["recording_seconds"], last["recording_seconds"]) == (1, 3)
        _seek(page, "2")
        middle = (first["x"] + last["x"]) / 2
        until(page, f"Math.abs({_LEFT} + 51 / 320 - {middle}) < 0.01")
        page.locator(".next-place").wait_for()
        judge(page, "moves")

        page.get_by_role("textbox", name="Current time").blur()
        points.nth(1).focus()
        points.nth(1).press("ArrowLeft")
        points.nth(1).press("Shift+ArrowLeft")
        waiting.until(lambda: stored()[1]["recording_seconds"] == pytest.approx(1.96))
        for _ in range(2):
            page.keyboard.press("Control+z")
        waiting.until(lambda: stored() == [first, last])
        points.nth(1).press("Delete")
        waiting.until(lambda: len(stored()) == 1)
        page.get_by_role("button", name="Undo").click()
        waiting.until(lambda: stored() == [first, last])
        box = points.nth(1).bounding_box()
        page.mouse.move(box["x"] + 12, box["y"] + 12)
        page.mouse.down()
        page.mouse.move(box["x"] - 60, box["y"] + 12, steps=4)
        page.mouse.up()
        waiting.until(lambda: 1 < stored()[1]["recording_seconds"] < 2.9)
        page.keyboard.press("Control+z")
        waiting.until(lambda: stored() == [first, last])

        point(page, "In").fill("1.4")
        point(page, "Out").fill("2.8")
        page.keyboard.press("Enter")
        seen = {}
        for time in (1.8, 2.4):
            _seek(page, str(time))
            page.wait_for_timeout(1000)  # until the place of the server is drawn
            seen[time] = page.evaluate(_LEFT)
        page.locator("#label").fill("moving")
        page.get_by_role("button", name="Make clip").click()
        waiting.until(lambda: client.clips.list(label="moving").data)
        (clip,) = client.clips.list(label="moving").data
        client.clips.wait(clip.clip_id, timeout=300)

        _seek(page, "1")
        page.keyboard.press(" ")
        until(page, f"{_LEFT} > {middle}")  # it moves with playback
        page.keyboard.press(" ")
        page.reload()
        until(page, STILL)
        page.get_by_role("tab", name="Look").click()
        assert page.locator(".points .time").all_text_contents() == ["0:01.000", "0:03.000"]
        page.get_by_role("button", name="Left", exact=True).click()
        waiting.until(lambda: stored() == {"x": 0.0, "y": 0.5})
        assert page.locator(".moves-lane").is_hidden()
    client.clips.download(clip.clip_id, tmp_path / "clip.mp4")
    pictures = read_pictures(tmp_path / "clip.mp4")
    for time, left in seen.items():
        picture = next(each for at, each in pictures if abs(float(at) - (time - 1.4)) < 0.005)
        for across in (0.05, 0.5, 0.95):
            assert picture.source(across, 0.5)[0] == pytest.approx(left + across * 102 / 320, abs=_PIXEL)


@pytest.mark.exhaustive
def test_blurred_box_moves_between_the_places_of_two_drags(
    browser: Any, server: RunningServer, ramp: Recording, judge: Judge
) -> None:
    client = server.client()

    def stored() -> Any:
        return (client.recordings.segments(ramp.recording_id).look["output"] or {}).get("blur")

    with studio(browser, server, ramp, viewport={"width": 1280, "height": 720}) as page:
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("button", name="Add a box").click()
        handle = page.get_by_role("button", name="Blurred box 1")
        _seek(page, "1")
        moves = page.get_by_role("button", name="Moves: box 1")
        moves.click()
        assert moves.evaluate("(node) => node === document.activeElement")  # its row stays
        _drag_to(page, handle, 0.3)
        _seek(page, "3")
        _drag_to(page, handle, 0.8)
        places = pytest.approx([0.2, 0.7], abs=0.01)
        waiting.until(lambda: stored() and [place["x"] for place in stored()[0].get("box", [])] == places)
        first, last = stored()[0]["box"]
        assert (first["recording_seconds"], last["recording_seconds"]) == (1, 3)
        _seek(page, "2")
        middle = (first["x"] + last["x"]) / 2
        for node in (".handles button", ".boxes > div"):  # the handle, and the blur where the server says
            until(page, f"Math.abs(parseFloat(document.querySelector('{node}').style.left) / 100 - {middle}) < 0.01")
        judge(page, "a box that moves")
        points = page.get_by_role("slider", name="of box 1")
        points.nth(1).focus()
        points.nth(1).press("ArrowLeft")
        waiting.until(lambda: stored()[0]["box"][1]["recording_seconds"] == pytest.approx(2.96))
        page.keyboard.press("Control+z")
        waiting.until(lambda: stored()[0]["box"] == [first, last])
        _seek(page, "2")
        handle.press("ArrowRight")
        waiting.until(lambda: len(stored()[0]["box"]) == 3)
        page.get_by_role("button", name="Remove the point at 0:02.000").click()
        waiting.until(lambda: stored()[0]["box"] == [first, last])
        page.get_by_role("button", name="Undo").click()
        waiting.until(lambda: len(stored()[0]["box"]) == 3)
        page.locator("h1").click()
        page.keyboard.press("Control+z")
        waiting.until(lambda: stored()[0]["box"] == [first, last])
        page.reload()
        until(page, STILL)
        page.get_by_role("tab", name="Look").click()
        assert page.locator(".blurs .time").all_text_contents() == ["0:01.000", "0:03.000"]
        _seek(page, "3")
        moves.click()
        waiting.until(lambda: "box" not in stored()[0])
        assert [stored()[0][name] for name in ("x", "width")] == [last["x"], last["width"]]


def _drag_to(page: Any, handle: Any, to: float) -> None:
    """Drag the middle of a handle to a part of the picture's width."""
    picture, box = page.locator(".picture").bounding_box(), handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(picture["x"] + picture["width"] * to, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
