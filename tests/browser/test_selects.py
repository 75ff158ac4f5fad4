"""Choices from a list: a menu of the page where there is a mouse, and that of the system on touch screens."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.page import studio, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

_LISTED = "document.querySelector('.look select option').checkVisibility()"


@pytest.mark.parametrize(("theme", "locale", "audio"), [("light", "en-US", "Audio"), ("dark", "de-DE", "Ton")])
def test_list_of_a_select_is_used_by_keys_and_mouse(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge, theme: str, locale: str, audio: str
) -> None:
    with studio(browser, server, recording, color_scheme=theme, locale=locale) as page:
        page.get_by_role("tab").nth(3).click()
        shape, sound = page.locator(".look select").first, page.get_by_role("combobox", name=audio)
        shape.click()
        until(page, _LISTED)
        options = shape.locator("option")
        list_box, field = options.first.bounding_box(), shape.bounding_box()
        assert list_box["height"] >= 32
        assert list_box["y"] >= field["y"] + field["height"]
        judge(page, "list")
        options.nth(2).click()
        assert shape.input_value() == "1:1"
        sound.focus()
        page.keyboard.press("Space")
        until(page, "document.activeElement.matches('option')")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Escape")
        assert sound.input_value() == ""
        page.keyboard.press("Space")
        until(page, "document.activeElement.matches('option')")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        assert sound.input_value() == "mute"
        until(page, "document.activeElement.matches('select')")


def test_touch_screens_have_their_own_list(browser: Any, server: RunningServer, recording: Recording) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with studio(browser, server, recording, **phone) as page:
        page.get_by_role("tab", name="Look").click()
        select = page.locator(".look select").first
        assert select.evaluate("(node) => getComputedStyle(node).appearance") == "auto"
        assert select.bounding_box()["height"] >= 44
