"""What the page says of one thing is the same in every place, tab and language of the browser."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import choose_account, opened, row, studio
from tests.support.server import RunningServer

# The visible parts of the words of a row, in lines of text.
_LINES = """(words) => [...words.children].filter((node) => node.clientHeight).map((node) =>
  Math.round(node.clientHeight / parseFloat(getComputedStyle(node.querySelector('.name') ?? node).lineHeight)))"""


@pytest.mark.exhaustive
def test_rename_and_length_are_the_same_everywhere(browser: Any, server: RunningServer, recording: Recording) -> None:
    client = server.client()
    clip = client.clips.create(recording.recording_id, "same before", 0.4, 3.08).wait().raise_for_error()
    share = client.clips.share(clip.clip_id)
    with studio(browser, server, recording) as page:
        other = page.context.new_page()
        other.goto(f"{server.url}/#/clips")
        shown = row(other, "same before")
        shown.locator(".poster .time", has_text="0:02.7").wait_for()
        page.get_by_role("tab", name="Clips").click()
        client.clips.update(clip.clip_id, label="same after")
        client.recordings.update(recording.recording_id, name="town hall.mp4")
        try:
            for tab in (page, other):
                row(tab, "same after").get_by_role("button", name="Share same after").wait_for()
            row(other, "same after").get_by_role("link", name="Download same after").wait_for()
            other.get_by_label("Select same after").wait_for()
            row(other, "same after").get_by_role("link", name="town hall.mp4").wait_for()
            page.get_by_role("heading", name="town hall.mp4").wait_for()
            assert page.title() == "town hall.mp4 · clipengine"
        finally:
            client.recordings.update(recording.recording_id, name=recording.name)
        choose_account(page, "Switch off one-character shortcuts")
        page.keyboard.press("4")
        page.keyboard.press("?")
        assert page.get_by_role("tab", name="Look").get_attribute("aria-selected") == "false"
        assert page.get_by_role("dialog").count() == 0
        choose_account(page, "Switch on one-character shortcuts")
        page.keyboard.press("Escape")
        page.keyboard.press("4")
        assert page.get_by_role("tab", name="Look").get_attribute("aria-selected") == "true"
        other.goto(share.url)
        assert "0:02.7" in other.locator(".facts").inner_text()
        other.close()


def test_queued_clips_have_two_lines(browser: Any, server: RunningServer, recording: Recording) -> None:
    """A name, and a line with the time in the recording, the start and the place in the queue."""
    queue = {"position": 492, "estimated_start_at": "2199-01-01T00:00:00Z", "estimated_end_at": "2199-01-01T00:00:10Z"}

    def queued(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        for clip in found["data"]:
            clip |= {"status": "processing", "step": "queued", "progress": 0.0, "result": None, "queue": queue}
        route.fulfill(response=answer, json=found)

    client = server.client()
    label = "a moment with a name that is longer than the line"
    clip = client.clips.create(recording.recording_id, label, 0.4, 0.8).wait()
    with opened(browser, server, viewport={"width": 1280, "height": 720}) as page:
        page.route("**/clips?*", queued)
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        page.get_by_role("tab", name="Clips").click()
        queued_row = row(page, label)
        queued_row.locator(".place", has_text="492").wait_for()
        assert queued_row.locator(".words").evaluate(_LINES) == [1, 1]
        page.unroute_all(behavior="wait")
    client.clips.delete(clip.clip_id)
