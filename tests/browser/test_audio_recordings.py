"""The view of a recording without video: a large waveform, and no words about frames."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.page import row, studio, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

NOW = "document.querySelector('.now').value"
WORDS = """[...document.querySelectorAll('body *')].filter((node) => node.checkVisibility()).flatMap((node) => [
    node.title, node.getAttribute('aria-label'),
    ...[...node.childNodes].filter((each) => each.nodeType === 3).map((each) => each.data),
]).filter((text) => /frame|picture/i.test(text))"""


@pytest.fixture
def story(server: RunningServer, tmp_path: Path) -> Iterator[Recording]:
    path = tmp_path / "story.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(random.Random(1).choices(range(64, 192), k=8000)) * 20)
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    client.clips.create(recording.recording_id, "Once upon a time", 1, 3).wait()
    yield recording
    client.recordings.delete(recording.recording_id)


@pytest.mark.parametrize("width", [1280, 360])
def test_waveform_is_in_place_of_the_picture(
    browser: Any, server: RunningServer, story: Recording, judge: Judge, width: int
) -> None:
    with studio(browser, server, story, viewport={"width": width, "height": 800}, reduced_motion="reduce") as page:
        waveform = page.locator(".tracks .wave")
        box = waveform.bounding_box()
        assert box["height"] >= 180
        assert box["y"] + box["height"] < page.get_by_role("button", name="Play (Space)").bounding_box()["y"]
        assert page.locator(".tracks .film").is_hidden()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)  # seeks
        until(page, f"/^0:(09.9|10.0)/.test({NOW})")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        until(page, f"{NOW} === '0:00.010'")
        page.keyboard.press("i")
        assert page.get_by_role("textbox", name="In point").input_value() == "0:00.010"
        page.get_by_role("tab", name="Look").click()
        assert page.get_by_label("Speed").is_visible()
        for name in ("Shape", "Sides", "Largest size (MB)", "Subtitles"):
            assert page.get_by_label(name, exact=True).first.is_hidden()
        page.get_by_role("tab", name="Clips").click()
        assert row(page, "Once upon a time").locator(".poster.sound").count() == 1
        assert page.evaluate(WORDS) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        judge(page, "audio")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("move by 10 ms").wait_for()
        assert page.evaluate(WORDS) == []
