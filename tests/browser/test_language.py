"""The page in German: chosen by the browser or by the user, complete, accessible, and without a lost selection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.page import choose_account, opened, point, row, studio, until
from tests.support.page_texts import WEB, catalogue
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

GERMAN = catalogue(WEB / "texts" / "de.js")
WIDTHS = (1280, 390)
_SHOWN = (  # every text and every name of a control, but none of the server or the user
    "[...document.querySelectorAll('body *')]"
    ".filter((node) => node.checkVisibility() && !node.closest('[lang=en], bdi'))"
    ".flatMap((node) => [...['title', 'aria-label', 'placeholder'].map((name) => node.getAttribute(name)),"
    " ...[...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim())])"
    ".filter(Boolean)"
)


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
        point(page, "In").fill("0")
        point(page, "Out").fill("0.8")
        page.keyboard.press("Enter")
        choose_account(page, "Deutsch")
        page.get_by_role("link", name="Aufnahmen").first.wait_for()
        page.locator(".picker .length").get_by_text("0:00.800").wait_for()
        assert page.evaluate("document.documentElement.lang") == "de"
        other = page.context.new_page()
        other.goto(f"{server.url}/#/clips")
        other.get_by_role("link", name="Aufnahmen").first.wait_for()


def test_every_screen_is_german_and_accessible(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge
) -> None:
    with studio(browser, server, recording, locale="de-DE", reduced_motion="reduce") as page:
        point_in = page.get_by_role("textbox", name="In-Punkt")
        point_in.fill("0.2")
        point_in.press("Enter")
        page.locator("#label").fill("Begrüßung")
        page.get_by_role("button", name="Clip erstellen").click()
        row(page, "Begrüßung").locator(".poster:enabled").wait_for()
        inspect(page, judge, "recording")
        page.keyboard.press("?")
        page.get_by_role("heading", name="Tastenkürzel").wait_for()
        inspect(page, judge, "shortcuts")
        page.keyboard.press("Escape")
        inspect(page, judge, "menu", row(page, "Begrüßung").get_by_role("button", name="Weitere Aktionen"))
        page.keyboard.press("Escape")
        for address, heading in (
            ("recordings", "Aufnahmen"),
            ("clips", "Clips"),
            ("webhooks", "Webhooks"),
            ("rules", "Regeln"),
            ("system", "System"),
            ("system?tab=audit", "Protokoll"),
        ):
            page.goto(f"{server.url}/#/{address}")
            page.get_by_role("heading", name=heading, exact=True).wait_for()
            page.locator(".skeleton").first.wait_for(state="detached")
            if "audit" in address:
                page.locator(".audit tbody tr").first.wait_for()
            inspect(page, judge, address)


def test_sentences_of_the_server_are_marked_as_english(browser: Any, server: RunningServer) -> None:
    with opened(browser, server, locale="de-DE", expected="422.*/v1/webhooks$|404.*/rec_nothing$") as page:
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Webhook hinzufügen").click()
        page.get_by_label("URL").fill("http://169.254.0.1/")
        page.keyboard.press("Enter")
        page.locator("[role=alert] [lang=en]").filter(has_text="link-local").wait_for()
        page.goto(f"{server.url}/#/recordings/rec_nothing")
        page.get_by_role("alert").filter(has_text="Diese Aufnahme gibt es nicht.").wait_for()
        page.get_by_role("heading", name="Aufnahme nicht gefunden").wait_for()
        assert page.locator("[role=alert] [lang=en]").count() == 0


def test_failure_is_german_with_the_sentence_of_the_server_below(
    browser: Any, server: RunningServer, tmp_path: Path
) -> None:
    client = server.client()
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no media" * 100)
    failed = client.recordings.upload(path)
    while (now := client.recordings.get(failed.recording_id)).status == "processing":
        time.sleep(0.03)
    assert now.error is not None
    with opened(browser, server, locale="de-DE") as page:
        page.goto(f"{server.url}/#/recordings")
        row = page.locator(".recording").filter(has_text="broken.mp4")
        summary = row.locator(".problem summary")
        summary.click()
        assert summary.inner_text() == GERMAN["The recording cannot be read as media."]
        assert row.locator(".problem p [lang=en]").all_text_contents() == [now.error.message]
    client.recordings.delete(failed.recording_id)


def inspect(page: Any, judge: Judge, where: str, opener: Any = None) -> None:
    """Check the screen on a desktop and on a phone: it fits, nothing in it is English, and axe finds nothing.

    The `opener` opens a menu, which closes when the size of the window changes.
    """
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        until(page, f"innerWidth === {width}")
        if opener is not None:
            opener.click()
            page.get_by_role("menu").wait_for()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{where} at {width}"
        english = {text for text in page.evaluate(_SHOWN) if GERMAN.get(text, text) != text}
        assert english == set(), f"{where} at {width}"
        judge(page, f"{where} at {width}")
