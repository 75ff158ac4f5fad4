"""Captions over the player: pictures of the engine, at the place and the time that the clip will show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.page import studio, until
from tests.support.server import RunningServer

_WORDS = [[0.4, 0.8, "The"], [0.8, 1.2, "budget"], [1.2, 1.6, "is"], [1.6, 2.0, "large"]]
_CUES = [{"start_seconds": 0.4, "end_seconds": 2.0, "text": "The budget is large", "words": _WORDS}]
_IMAGE = "document.querySelector('.drawn img')"


@pytest.fixture
def spoken(server: RunningServer, recording: Recording) -> Iterator[Recording]:
    transcripts = server.client().transcripts
    transcripts.put(recording.recording_id, "en", _CUES)
    yield recording
    transcripts.delete(recording.recording_id, "en")


def test_captions_are_drawn_as_the_clip_shows_them(
    browser: Any, server: RunningServer, spoken: Recording, judge: Judge
) -> None:
    client = server.client()
    with studio(browser, server, spoken, viewport={"width": 1280, "height": 720}) as page:
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="Captions in the picture").click()
        page.get_by_role("tab", name="Look").click()
        page.locator(".drawn img").wait_for()
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("button", name="Word", exact=True).click()
        output, style = {"aspect": "9:16"}, {"name": "word"}
        served = client.recordings.captions(spoken.recording_id, "en", 0, 5, style=style, output=output)
        first, second, *_ = served.captions
        until(page, f"{_IMAGE}?.src === {first['image']!r}")
        judge(page, "captions")
        frame, image = page.locator(".crop").bounding_box(), page.locator(".drawn img").bounding_box()
        scale = frame["width"] / served.width
        for name, edge, size in (("x", "x", "width"), ("y", "y", "height")):
            assert image[edge] == pytest.approx(frame[edge] + first[name] * scale, abs=1.5)
            assert image[size] == pytest.approx(first[size] * scale, abs=1.5)
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        until(page, f"{_IMAGE}?.src === {second['image']!r}")
        page.keyboard.press("Home")
        until(page, f"!{_IMAGE}")
