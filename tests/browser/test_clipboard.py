"""Copying on the page: what it says about the clipboard is true, in contexts that browsers do not trust too."""

from __future__ import annotations

from typing import Any

from tests.support.page import by_name, opened
from tests.support.server import RunningServer

UNTRUSTED = "Cross-Origin-Opener-Policy header has been ignored"


def test_clipboard_over_plain_http(browser: Any, server: RunningServer) -> None:
    """A key is shown once: "copied" means that it can be pasted, else the key is shown selected."""
    with opened(browser, server, signed_in=False, expected=UNTRUSTED) as page:
        page.goto(f"{by_name(server)}/#/system?tab=keys")
        page.get_by_role("textbox", name="API key").fill(server.key)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Create key").click()
        assert page.evaluate("[isSecureContext, Boolean(navigator.clipboard)]") == [False, False]
        page.get_by_label("Name").fill("colleague")
        page.get_by_role("button", name="Create", exact=True).click()
        key = page.locator("dialog pre").inner_text()
        copy = page.get_by_role("button", name="Copy")
        copy.click()
        page.get_by_role("dialog").get_by_text("Key copied").wait_for()  # else it is dimmed, and not read out
        assert page.evaluate("document.activeElement.textContent") == "Copy"

        page.evaluate("document.execCommand = () => false")  # as browsers do without a recent action of the user
        copy.click()
        shown = page.get_by_role("dialog", name="Key: not copied").get_by_role("textbox", name="Key")
        assert shown.evaluate("(field) => field === document.activeElement") is True
        assert shown.evaluate("(field) => field.value.slice(field.selectionStart, field.selectionEnd)") == key
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")

        page.get_by_role("button", name="Create key").click()
        page.get_by_label("Name").press("Control+V")
        assert page.get_by_label("Name").input_value() == key


def test_refusing_clipboard_is_not_called_copied(browser: Any, server: RunningServer) -> None:
    """A clipboard that exists may refuse, for example without the permission; its error is not the user's matter."""
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/system?tab=keys")
        page.get_by_role("button", name="Create key").click()
        page.get_by_label("Name").fill("refused")
        page.get_by_role("button", name="Create", exact=True).click()
        page.evaluate(
            "navigator.clipboard.writeText = async () => { throw new DOMException('', 'NotAllowedError'); };"
            "document.execCommand = () => false"
        )
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("dialog", name="Key: not copied").wait_for()
        assert page.get_by_text("Key copied").count() == 0
