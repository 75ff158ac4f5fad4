"""The switch for smart render on the screen of a recording: it says what it saves, and is sent with the request."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import studio, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive


def test_switch_says_what_it_saves_and_copies(browser: Any, server: RunningServer, film: Film) -> None:
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="smart.mp4").recording_id)
    with studio(browser, server, meeting) as page:
        page.get_by_role("tab", name="Look").click()
        page.keyboard.press("Escape")  # leave the tab, so that arrow keys step frames
        switch = page.get_by_role("checkbox", name="Smart render")
        assert not switch.is_checked()
        for key in ["Shift+ArrowRight", *["ArrowRight"] * 5, "i", *["Shift+ArrowRight"] * 3, "o"]:
            page.keyboard.press(key)
        switch.check()
        page.locator(".smart [role=status]", has_text="Copies 2.2 of 3.0 s").wait_for()
        page.get_by_role("button", name="Make clip").click()
        until(page, "document.querySelector('.clip-row .name')")
        (made,) = client.clips.list(recording_id=meeting.recording_id).data
        done = client.clips.wait(made.clip_id)
        assert (done.render, done.result and done.result.render) == ("smart", "smart")


def test_switch_says_why_nothing_is_copied(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        for key in ["ArrowRight", "i", *["ArrowRight"] * 9, "o"]:
            page.keyboard.press(key)
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("checkbox", name="Smart render").check()
        page.locator(".smart [role=status]", has_text="no GOP begins in the range").wait_for()
