"""The page for everybody: nothing that assistive technology stumbles over, and nothing that jumps."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import opened, row, studio
from tests.support.server import RunningServer


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_anybody(
    browser: Any, server: RunningServer, recording: Recording, theme: str
) -> None:
    """axe-core finds nothing serious on any screen, in either theme, nor with a dialog or a menu open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found: list[str] = []

    def judge(page: Any, where: str) -> None:
        for fault in axe.run(page).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found.append(f"{where}: {fault['id']}: {[node['html'][:120] for node in fault['nodes']][:3]}")

    server.client().clips.create(recording.recording_id, f"looked at in {theme}", 0.2, 0.8).wait()
    with opened(browser, server, signed_in=False, color_scheme=theme) as page:
        page.goto(server.url)
        page.get_by_label("API key").wait_for()
        judge(page, "sign-in")
    with studio(browser, server, recording, color_scheme=theme, reduced_motion="reduce") as page:
        page.keyboard.press("i")
        judge(page, "recording")
        page.keyboard.press("?")
        judge(page, "keys")
        page.keyboard.press("Escape")
        row(page, f"looked at in {theme}").get_by_role("button", name="More").click()
        judge(page, "menu")
        page.keyboard.press("Escape")
        for address, heading in (("recordings", "Recordings"), ("clips", "Clips"), ("webhooks", "Webhooks")):
            page.goto(f"{server.url}/#/{address}")
            page.get_by_role("heading", name=heading, exact=True).wait_for()
            page.locator(".skeleton").first.wait_for(state="detached")
            judge(page, address)
        page.get_by_role("button", name="Add webhook").click()
        judge(page, "add a webhook")
    assert found == []
