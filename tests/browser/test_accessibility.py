"""Accessibility and layout stability of the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.page import PICTURED, opened, row, studio, until
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.selection import cases
from tests.support.server import RunningServer, running_server

THEMES = pytest.mark.parametrize("theme", cases(["light", "dark"], ("light",)))
_JUMPS = (
    "window.jumped = 0; window.jumps = []; new PerformanceObserver((list) => list.getEntries().forEach((entry) => {"
    " if (entry.hadRecentInput) return; window.jumped += entry.value;"
    " window.jumps.push(entry.sources.map((source) => source.node?.className || source.node?.nodeName).join()); }))"
    ".observe({type: 'layout-shift', buffered: true});"
)


@THEMES
@pytest.mark.exhaustive
def test_every_screen_is_accessible(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge, theme: str
) -> None:
    server.client().clips.create(recording.recording_id, f"looked at in {theme}", 0.2, 0.8).wait()
    with opened(browser, server, signed_in=False, expected="401", color_scheme=theme) as page:
        page.goto(server.url)
        page.get_by_label("API key").fill("relay_live_wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").filter(has_text="does not know this key").wait_for()
        judge(page, "sign-in")
    with studio(browser, server, recording, color_scheme=theme, reduced_motion="reduce") as page:
        page.keyboard.press("i")
        page.get_by_text("In: the clip’s first frame").wait_for()
        page.get_by_role("button", name="Look: crop").click()
        judge(page, "look")
        page.get_by_role("tab", name="Clips").click()
        judge(page, "recording")
        page.keyboard.press("Escape")
        page.keyboard.press("a")
        page.get_by_role("button", name="Make 1 clip").wait_for()
        judge(page, "segments")
        page.keyboard.press("?")
        judge(page, "keys")
        page.keyboard.press("Escape")
        page.get_by_role("textbox", name="In point").fill("never")
        page.keyboard.press("Enter")
        judge(page, "a time that is none")
        page.get_by_role("tab", name="Clips").click()
        row(page, f"looked at in {theme}").get_by_role("button", name="More").click()
        judge(page, "menu")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Undo").wait_for()
        judge(page, "delete")
        page.get_by_role("button", name="Undo").click()
        row(page, f"looked at in {theme}").get_by_role("button", name="Play").click()
        until(page, "document.querySelector('dialog video').readyState > 2")
        judge(page, "clip")
        page.keyboard.press("Escape")
        for address, heading in (
            ("recordings", "Recordings"),
            ("clips", "Clips"),
            ("webhooks", "Webhooks"),
            ("rules", "Rules"),
            ("system", "System"),
            ("system?tab=audit", "Audit log"),
        ):
            page.goto(f"{server.url}/#/{address}")
            page.get_by_role("heading", name=heading, exact=True).wait_for()
            page.locator(".skeleton").first.wait_for(state="detached")
            if "audit" in address:
                page.locator(".audit tbody tr").first.wait_for()
            judge(page, address)
            if address in ("recordings", "clips"):
                page.get_by_role("searchbox").fill("nothing like it")
                judge(page, f"{address}, nothing found")


@pytest.mark.exhaustive
@THEMES
def test_every_dialog_is_accessible_by_keyboard(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge, theme: str
) -> None:
    """On a phone: a dialog takes the focus, Tab stays in it, and Escape closes it."""
    label = f"asked about in {theme}"
    server.client().clips.create(recording.recording_id, label, 0.2, 0.8).wait()
    phone = {"width": 390, "height": 844}
    with opened(browser, server, viewport=phone, color_scheme=theme, reduced_motion="reduce") as page:
        dialog = page.get_by_role("dialog")

        def check(opener: Any, name: str) -> None:
            opener.focus()
            page.keyboard.press("Enter")
            look(name)

        def look(name: str) -> None:
            dialog.get_by_role("heading", name=name).wait_for()
            for _ in range(2):
                assert page.evaluate("Boolean(document.activeElement.closest('dialog'))"), name
                page.keyboard.press("Shift+Tab")
                page.keyboard.press("Tab")
            judge(page, name)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            page.keyboard.press("Escape")
            dialog.wait_for(state="detached")

        def choose_last(menu: Any) -> None:
            menu.focus()
            for key in ("Enter", "End", "Enter"):
                page.keyboard.press(key)

        page.goto(f"{server.url}/#/recordings")
        choose_last(page.get_by_role("button", name="More actions for this recording").first)
        look("Remove 1 recording")
        page.locator(".recording .pick input").first.focus()
        page.keyboard.press("Space")
        check(page.get_by_role("button", name="Tags…"), "Tags of 1 item")
        check(page.get_by_role("button", name="Remove…"), "Remove 1 recording")
        page.goto(f"{server.url}/#/clips")
        clip = row(page, label)
        choose_last(clip.get_by_role("button", name="More actions for this clip"))
        undo = page.get_by_role("button", name="Undo")
        undo.wait_for()
        judge(page, "deleted clip")
        undo.focus()
        page.keyboard.press("Enter")
        clip.get_by_role("button", name="Play").focus()
        page.keyboard.press("Enter")
        until(page, "document.querySelector('dialog video').readyState > 2")
        check(dialog.get_by_role("button", name="Share"), "Share")
        page.goto(f"{server.url}/#/webhooks")
        check(page.get_by_role("button", name="Add webhook").first, "webhook")
        page.goto(f"{server.url}/#/rules")
        check(page.get_by_role("button", name="Add rule"), "Add rule")
        page.goto(f"{server.url}/#/system?tab=keys")
        check(page.get_by_role("button", name="Create key"), "Create key")
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        page.get_by_role("button", name="Play (Space)").wait_for()
        page.keyboard.press("?")
        look("Shortcuts")


@pytest.mark.exhaustive
@THEMES
def test_transient_content_is_accessible(
    browser: Any, server: RunningServer, receiver: Receiver, film: Film, judge: Judge, theme: str
) -> None:
    """Running and interrupted uploads, a failed recording, webhooks, their secret and deliveries."""
    client = server.client()
    broken = client.recordings.upload(film.path, name="broken.mp4").recording_id
    refused = "422.*/v1/webhooks$|404.*/rec_nothing$"
    with opened(browser, server, expected=refused, color_scheme=theme, reduced_motion="reduce") as page:
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Add webhook").click()
        page.get_by_label("URL").fill("http://169.254.0.1/")
        page.keyboard.press("Enter")
        page.get_by_role("alert").filter(has_text="link-local").wait_for()
        judge(page, "a webhook that is refused")
        page.get_by_label("URL").fill(f"{receiver.url}/{theme}")
        page.keyboard.press("Enter")
        page.get_by_text("whsec_").wait_for()
        judge(page, "the secret")
        page.keyboard.press("Escape")
        page.get_by_role("link", name=f"{receiver.url}/{theme}").click()
        page.get_by_role("button", name="Send a test").click()
        page.locator(".delivery").get_by_text("Delivered").wait_for()
        page.locator(".delivery summary").click()
        page.get_by_text('"event": "clip.ready"').wait_for()
        judge(page, "deliveries")
        page.goto(f"{server.url}/#/recordings/{broken}")
        page.get_by_role("heading", name="broken.mp4").wait_for()
        page.goto(f"{server.url}/#/recordings/rec_nothing")
        page.get_by_role("alert").wait_for()
        judge(page, "no such recording")
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("heading", name="Recordings", exact=True).wait_for()
        with slow_line(page):
            choose(page, f"going up in {theme}.mp4", film.path.read_bytes())
            page.get_by_role("progressbar", name=f"Upload of going up in {theme}.mp4").wait_for()
            judge(page, "upload")


@pytest.mark.exhaustive
@THEMES
def test_page_without_a_server_is_accessible(
    browser: Any, tmp_path: Path, film: Film, judge: Judge, theme: str
) -> None:
    """Interrupted uploads are shown, and continue when the server is back; so does the list."""
    away, port = "net::ERR_|503", ("--port", str(free_port()))
    with (
        running_server(tmp_path / "data", options=port) as server,
        opened(browser, server, expected=away, color_scheme=theme) as page,
    ):
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("heading", name="Drop a recording here").wait_for()
        judge(page, "nothing yet")
        with slow_line(page):
            choose(page, "meeting.mp4", film.path.read_bytes())
            page.get_by_role("progressbar", name="Upload of meeting.mp4").wait_for()
            server.stop()
            page.get_by_text("Server unreachable").wait_for()
            page.get_by_text("The upload continues by itself.").wait_for()
            judge(page, "broken off")
            page.get_by_role("link", name="Clips").click()
            page.get_by_role("heading", name="The server cannot be reached").wait_for()
            judge(page, "out of reach")
        with running_server(tmp_path / "data", options=port):
            page.get_by_role("heading", name="No clips yet").wait_for()
            page.get_by_role("link", name="Recordings").first.click()
            page.locator(".recording").filter(has_text="meeting.mp4").locator(".poster .time").wait_for()
            page.get_by_text("Server unreachable").first.wait_for(state="detached")


def choose(page: Any, name: str, content: bytes) -> None:
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "video/mp4", "buffer": content})


@contextmanager
def slow_line(page: Any) -> Iterator[None]:
    """Throttle uploads with the network emulation of the browser."""
    devtools = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4000}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", slow)
    try:
        yield
    finally:
        devtools.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
        devtools.detach()


@pytest.mark.exhaustive
@pytest.mark.parametrize("size", [(1280, 820), (390, 844)], ids=["wide", "phone"])
def test_layout_does_not_shift(
    browser: Any, server: RunningServer, recording: Recording, size: tuple[int, int]
) -> None:
    """From the first paint of each screen until it is complete, no element moves."""
    client = server.client()
    for label in ("does not jump", "overlaps", "overlaps both"):
        client.clips.create(recording.recording_id, label, 0.2, 0.8).wait()
    jumped: dict[str, Any] = {}
    screens = {
        "recordings": ".poster img",
        f"recordings/{recording.recording_id}": ".clip-row .name",
        "clips": ".clip-row img",
        "webhooks": ".list > li",
    }
    with opened(browser, server, viewport={"width": size[0], "height": size[1]}) as page:
        page.add_init_script(_JUMPS)
        for address, there in screens.items():
            page.goto("about:blank")
            page.goto(f"{server.url}/#/{address}")
            page.locator(there).first.wait_for()
            until(page, PICTURED)
            until(
                page, "[null, 'false'].includes(document.querySelector('.timeline')?.getAttribute('aria-busy') ?? null)"
            )
            page.wait_for_timeout(200)
            moved = page.evaluate("[window.jumped, window.jumps]")
            if moved[0] > 0.01:
                jumped[address] = moved
    assert jumped == {}
