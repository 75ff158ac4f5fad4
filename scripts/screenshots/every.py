"""Every view and dialog on a desk and a phone, to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.screenshots.camera import (
    DESK,
    PHONE,
    Camera,
    open_delivery,
    play,
    select,
    share,
    show_shared,
    show_sign_in,
)
from scripts.screenshots.recordings import Filled

Take = Callable[[Any, str], None]


def take_every(camera: Camera, filled: Filled) -> None:
    for size, prefix in ((DESK, "desk"), (PHONE, "phone")):

        def take(page: Any, name: str, prefix: str = prefix) -> None:
            camera.take(page, f"{prefix}-{name}")

        with camera.page(size, signed_in=False) as page:
            show_sign_in(camera, page)
            take(page, "sign-in")
        with camera.page(size) as page:
            page.set_default_timeout(60_000)
            _lists(camera, page, take)
            _long(camera, page, take, filled.long)
            _kinds(camera, page, take, filled)
            link = _dialogs(camera, page, take, filled.film)
            _operators(camera, page, take)
        with camera.page(size, signed_in=False) as page:
            show_shared(page, link)
            take(page, "shared")


def _lists(camera: Camera, page: Any, take: Take) -> None:
    camera.show(page, "/recordings", ".poster img:not(.coming)")
    take(page, "recordings")
    page.get_by_role("button", name="More actions for this recording").first.click()
    take(page, "recordings-menu")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("searchbox").fill("harbour office")
    page.locator(".hit").first.wait_for()
    take(page, "recordings-search")
    camera.show(page, "/clips", ".clip-row img:not(.coming)")
    take(page, "clips")
    page.get_by_role("searchbox").fill("nothing like it")
    page.get_by_role("heading", name="No matches").wait_for()
    take(page, "clips-nothing")


def _long(camera: Camera, page: Any, take: Take, long: str) -> None:
    camera.show(page, f"/recordings/{long}", ".clip-row .name")
    take(page, "long")
    select(page, "1:17:41.2", "1:17:55.2", "Harbour office")
    take(page, "long-selection")
    page.keyboard.press("t")
    page.get_by_role("searchbox", name="Search the transcript").fill("harbour")
    page.get_by_label("Matches").locator("mark").first.wait_for()
    page.get_by_role("tab", name="Transcript").scroll_into_view_if_needed()
    take(page, "long-transcript")


def _kinds(camera: Camera, page: Any, take: Take, filled: Filled) -> None:
    camera.show(page, f"/recordings/{filled.audio}", ".clip-row .name")
    select(page, "1:05.2", "1:19.2", "Before the fire")
    take(page, "audio")
    page.get_by_role("tab", name="Look").click()
    page.locator(".look").scroll_into_view_if_needed()
    take(page, "audio-look")
    camera.show(page, f"/recordings/{filled.hevc}", ".transport")
    page.wait_for_timeout(3000)
    take(page, "hevc")
    camera.show(page, f"/recordings/{filled.failed}", ".empty")
    take(page, "failed")


def _dialogs(camera: Camera, page: Any, take: Take, film: str) -> str:
    """Show the views of the short film. Return the link of a shared clip."""
    camera.show(page, f"/recordings/{film}", ".clip-row .name")
    for start, end, label in (("1", "2", "One"), ("3", "4.5", "Two, with a much longer name than the others have")):
        select(page, start, end, label)
        page.keyboard.press("a")
    select(page, "6.4", "9.6", "Bunny stretches")
    take(page, "film")
    page.get_by_role("tab", name="Segments").click()
    page.locator(".segments-panel").scroll_into_view_if_needed()
    take(page, "film-segments")
    page.locator(".shapes button").nth(1).click()
    page.locator(".crop").wait_for()
    page.evaluate("scrollTo(0, 0)")
    take(page, "film-vertical")
    page.locator(".shapes button").first.click()
    page.get_by_role("tab", name="Clips").click()
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("?")
    take(page, "shortcuts")
    page.keyboard.press("Escape")
    clip = page.locator(".clip-row").filter(has_text="The reveal")
    clip.get_by_role("button", name="More").click()
    take(page, "clip-menu")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    take(page, "clip-delete")
    page.keyboard.press("Escape")
    play(page, clip.get_by_role("button", name="Play"))
    take(page, "clip")
    link = share(page)
    take(page, "share")
    page.keyboard.press("Escape")
    return link


def _operators(camera: Camera, page: Any, take: Take) -> None:
    camera.show(page, "/webhooks", ".webhook")
    take(page, "webhooks")
    page.get_by_role("button", name="Add webhook").click()
    take(page, "webhook-dialog")
    page.keyboard.press("Escape")
    open_delivery(page)
    take(page, "deliveries")
    camera.show(page, "/system", ".space")
    take(page, "system")
    page.get_by_role("tab", name="Work").click()
    take(page, "system-work")
