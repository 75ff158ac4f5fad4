"""The page in German: chosen by the browser or by the user, complete, accessible, and without a lost selection."""

from __future__ import annotations

from typing import Any

from clipengine.client import Recording
from tests.support.page import opened, point, studio
from tests.support.server import RunningServer


def test_language_of_the_browser_is_used_before_sign_in(browser: Any, server: RunningServer) -> None:
    with opened(browser, server, signed_in=False, locale="de-AT") as page:
        page.goto(server.url)
        page.get_by_role("button", name="Anmelden").wait_for()
        assert page.evaluate("document.documentElement.lang") == "de"
    with opened(browser, server, signed_in=False, locale="ja-JP") as page:
        page.goto(server.url)
        page.get_by_role("button", name="Sign in").wait_for()
        assert page.evaluate("document.documentElement.lang") == "en"


def test_chosen_language_persists_and_keeps_the_selection(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    with studio(browser, server, recording) as page:
        point(page, "In").fill("0.4")
        point(page, "Out").fill("0.8")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Language").click()
        page.get_by_role("menuitem", name="Deutsch").click()
        page.get_by_role("link", name="Aufnahmen").first.wait_for()
        page.locator(".picker .length").get_by_text("0:00.400").wait_for()
        assert page.evaluate("document.documentElement.lang") == "de"
        other = page.context.new_page()
        other.goto(f"{server.url}/#/clips")
        other.get_by_role("link", name="Aufnahmen").wait_for()
