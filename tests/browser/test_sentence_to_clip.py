"""From the list of recordings to a clip of a sentence that is said somewhere in two hours."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import opened, until
from tests.support.server import RunningServer

SECONDS, CUE_SECONDS, SAID_AT = 7200, 6, 4662
SENTENCE = "We open the harbour office in Valparaíso next spring"
MOST_ACTIONS = 8


@pytest.fixture
def meeting(server: RunningServer, tmp_path: Path) -> Iterator[Recording]:
    path = tmp_path / "annual meeting.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(random.Random(1).choices(range(64, 192), k=8000)) * SECONDS)
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    cues = [
        {
            "start_seconds": start,
            "end_seconds": start + CUE_SECONDS - 0.5,
            "text": SENTENCE if start == SAID_AT else f"Item {start} of the agenda",
        }
        for start in range(0, SECONDS, CUE_SECONDS)
    ]
    client.transcripts.put(recording.recording_id, "en", cues)
    yield recording
    client.recordings.delete(recording.recording_id)


class Hands:
    """The actions of a person: a click, a drag, a key, or a text that is typed into a field."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.actions = 0

    def press(self, key: str) -> None:
        self.actions += 1
        self._page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.actions += 1
        self._page.keyboard.type(text)

    def click(self, node: Any) -> None:
        self.actions += 1
        node.click()

    def drag_over(self, node: Any) -> None:
        """Select the text of a node."""
        self.actions += 1
        self._page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = node.bounding_box()
        y = box["y"] + 10  # in its first line
        self._page.mouse.move(box["x"] + 2, y)
        self._page.mouse.down()
        self._page.mouse.move(box["x"] + 60, y, steps=4)
        self._page.mouse.up()


def test_sentence_in_two_hours_becomes_a_clip_in_few_actions(
    browser: Any, server: RunningServer, meeting: Recording
) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("link", name="annual meeting.wav").wait_for()
        hands = Hands(page)
        hands.press("/")
        hands.type("harbour office")
        hit = page.get_by_role("link", name="Open at 1:17:42")
        hit.wait_for()
        hands.click(hit)
        cue = page.locator(".cues > li[aria-current]")
        cue.get_by_text(SENTENCE).wait_for()
        hands.drag_over(cue.locator("p"))
        until(page, "document.querySelector('.make').disabled === false")
        assert page.get_by_role("textbox", name="In point").input_value() == "1:17:42.000"
        hands.press("Enter")
        page.get_by_role("tab", name="Clips").get_by_text("1").wait_for()
        assert hands.actions <= MOST_ACTIONS
    (clip,) = server.client().clips.list(recording_id=meeting.recording_id).data
    done = server.client().clips.wait(clip.clip_id)
    assert done.result is not None
    assert (done.result.actual_start_seconds, done.result.actual_end_seconds) == (SAID_AT, SAID_AT + CUE_SECONDS - 0.5)
