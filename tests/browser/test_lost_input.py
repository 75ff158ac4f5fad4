"""Input that stays: in a dialog, in a message with the focus, and what Reset and "Restore list" bring back."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import opened, point, studio, until
from tests.support.server import RunningServer

_RANGES = ".segment .link"


def test_dialog_and_message_in_use_stay(browser: Any, server: RunningServer, recording: Recording) -> None:
    with opened(browser, server) as page:
        page.clock.install()
        page.goto(f"{server.url}/#/recordings")
        page.locator(".recording .pick input").first.check()
        page.get_by_role("button", name="Tags…").click()
        field = page.locator("dialog input").first
        field.fill("a long tag")
        box = field.bounding_box()
        page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(20, 20, steps=3)
        page.mouse.up()  # the text is selected, and the dialog stays
        assert field.input_value() == "a long tag"
        page.mouse.click(20, 20)
        page.locator("dialog").wait_for(state="detached")

        page.evaluate(
            "import('/assets/lib/toasts.js').then("
            "({toast}) => { toast('Removed', '', {action: {text: 'Undo', run: () => {}}}); })"
        )
        button = page.get_by_role("button", name="Undo")
        button.focus()
        page.clock.run_for(30_000)
        assert button.evaluate("(node) => node === document.activeElement")
        button.blur()
        page.clock.run_for(30_000)
        button.wait_for(state="detached")


@pytest.mark.exhaustive
def test_reset_is_undone_and_a_restored_list_keeps_newer_segments(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    def mark(start: str, end: str) -> None:
        for name, time in (("In", start), ("Out", end)):
            point(page, name).fill(time)
            page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("a")

    boxes = "document.querySelectorAll('.boxes.handles button').length"
    with studio(browser, server, recording) as page:
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("button", name="Right", exact=True).click()
        page.get_by_role("button", name="Add a box").click()
        page.get_by_role("combobox", name="Speed").select_option("2")
        until(page, f"{boxes} === 1")
        page.locator(".look").get_by_role("button", name="Reset").click()
        until(page, f"{boxes} === 0")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Control+z")  # all of it
        until(page, f"{boxes} === 1")
        assert page.get_by_role("combobox", name="Speed").input_value() == "2"
        for name in ("9:16", "Right"):
            assert page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed") == "true"
        page.keyboard.press("Control+z")  # the box
        until(page, f"{boxes} === 0")
        page.locator(".look").get_by_role("button", name="Reset").click()

        page.evaluate("document.activeElement.blur()")
        mark("0.2", "0.6")
        mark("1.2", "1.6")
        page.get_by_role("tab", name="Segments").click()
        page.get_by_role("button", name="2 single clips").click()
        page.get_by_role("button", name="Make 2 clips").click()
        page.get_by_role("button", name="Restore list").wait_for()
        mark("2.2", "2.6")
        page.get_by_role("button", name="Restore list").click()
        texts = page.locator(_RANGES).all_inner_texts()
        assert texts == ["0:00.200 – 0:00.600", "0:01.200 – 0:01.600", "0:02.200 – 0:02.600"]
