"""One event stream for all tabs of a browser, which ends with the session."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import SECONDS, choose_account, row, sign_in
from tests.support.server import RunningServer

_TABS = 7  # one more than the connections that a browser opens to a server of HTTP/1.1


@pytest.mark.exhaustive
def test_tabs_share_an_event_stream_that_ends_with_the_session(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    client = server.client()
    client.clips.create(recording.recording_id, "before", 0.2, 0.6).wait()
    context = browser.new_context()
    try:
        sign_in(context, server)
        tabs = [context.new_page() for _ in range(_TABS)]
        for page in tabs:
            page.set_default_timeout(SECONDS * 1000)
            page.goto(f"{server.url}/#/clips")
            row(page, "before").wait_for()
        client.clips.create(recording.recording_id, "in all tabs", 0.2, 0.6)
        for page in tabs:
            row(page, "in all tabs").wait_for()
        tabs.pop().close()
        choose_account(tabs[0], "Sign out")
        for page in tabs:
            page.get_by_role("button", name="Sign in").wait_for()
        sign_in(context, server)
        tabs[0].reload()
        row(tabs[0], "in all tabs").wait_for()
        client.clips.create(recording.recording_id, "after signing in", 0.2, 0.6)
        row(tabs[0], "after signing in").wait_for()
    finally:
        context.close()
