"""The documents in a browser: copy buttons, tabs, themes, and all of it without scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Judge
from tests.support.page import by_name
from tests.support.server import RunningServer

PAGES = ("start", "api", "reference", "reference/clips", "recipes/livekit", "search?q=thumbnails", "search?q=webhok")
COVERED = """[...document.querySelectorAll(".copy")].filter((button) => {
  const [copy, code] = [button, button.parentElement.querySelector("code")].map((each) => each.getBoundingClientRect());
  return copy.left < code.right && copy.top < code.bottom && copy.bottom > code.top;
}).map((button) => button.parentElement.textContent)"""
CUT = "[...document.querySelectorAll('table')].filter((table) => table.scrollWidth > table.clientWidth).length"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.mark.exhaustive
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_documents_are_accessible_and_fit(
    browser: Any, server: RunningServer, judge: Judge, theme: str, size: dict[str, int]
) -> None:
    context = browser.new_context(viewport=size, color_scheme=theme)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    for name in PAGES:
        page.goto(f"{server.url}/docs/{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(COVERED) == [], name
        assert page.evaluate(CUT) == 0, name
        judge(page, name)
    assert errors == []
    context.close()


@pytest.mark.exhaustive
def test_every_document_is_accessible(browser: Any, server: RunningServer, judge: Judge) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(f"{server.url}/docs/start")
    found = page.evaluate("[...document.links].map((link) => link.pathname)")
    addresses = sorted({address for address in found if address.startswith("/docs/")})
    assert len(addresses) > 40
    for address in addresses:
        page.goto(server.url + address)
        judge(page, address, contrast=False)  # the test above judges the colours of the stylesheet
    context.close()


@pytest.mark.exhaustive
def test_choice_of_a_tab_applies_to_all_tabs_and_is_remembered(browser: Any, server: RunningServer) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(f"{server.url}/docs/reference/clips")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    shown = (
        "[...document.querySelectorAll('.tabs')].map((each) =>"
        " [...each.querySelectorAll('pre')].map((pre) => pre.checkVisibility()).join())"
    )
    assert set(page.evaluate(shown)) == {"true,false,false"}
    page.get_by_role("radio", name="curl").first.focus()
    page.keyboard.press("ArrowRight")
    assert set(page.evaluate(shown)) == {"false,true,false"}
    page.goto(f"{server.url}/docs/start")
    assert page.get_by_role("radio", name="Python").is_checked()
    context.close()


@pytest.mark.exhaustive
def test_code_is_copied_as_shown(browser: Any, server: RunningServer) -> None:
    context = browser.new_context(viewport=PHONE)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{server.url}/docs/recipes/zoom")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith('[server]\npublic_url = "https://clips.example.org"\n')
    assert "Copy" not in text
    page.goto(f"{by_name(server)}/docs/recipes/zoom")
    page.evaluate("document.execCommand = () => false")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Press Ctrl+C").wait_for()
    assert page.evaluate("getSelection().toString()").strip() == text.strip()
    context.close()


@pytest.mark.exhaustive
def test_documents_work_without_scripts(browser: Any, server: RunningServer) -> None:
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    page.get_by_role("link", name="documents").click()
    page.wait_for_url("**/docs/start")
    assert page.get_by_role("button", name="Copy").count() == 0
    page.get_by_role("radio", name="TypeScript").check()
    assert page.get_by_text('from "clipengine-client"').is_visible()
    assert not page.get_by_text("from clipengine.client import Client").is_visible()
    page.get_by_text("All documents").click()
    page.get_by_role("navigation", name="Documents").get_by_role("link", name="OBS Studio").click()
    page.get_by_role("heading", name="OBS Studio").wait_for()
    page.get_by_role("searchbox").fill("poster")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("heading", name="Search").wait_for()
    context.close()
