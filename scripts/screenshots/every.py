"""Every view and dialog on desks and a phone, to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.screenshots.camera import (
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

SIZES = {
    "1280": {"width": 1280, "height": 720},
    "1440": {"width": 1440, "height": 900},
    "1920": {"width": 1920, "height": 1080},
    "phone": PHONE,
}
TRANSLATED = ("1280", "phone")  # sizes in languages other than English

Take = Callable[[Any, str], None]


def take_every(camera: Camera, filled: Filled, size: str) -> None:
    """Take every view of a server that has recordings. The names of the pictures begin with the size."""

    def take(page: Any, name: str) -> None:
        camera.take(page, f"{size}-{name}")

    with camera.page(SIZES[size], signed_in=False) as page:
        show_sign_in(camera, page)
        take(page, "sign-in")
    with camera.page(SIZES[size]) as page:
        page.set_default_timeout(60_000)
        _lists(camera, page, take)
        _long(camera, page, take, filled.long)
        _kinds(camera, page, take, filled)
        _live(camera, page, take, filled.live)
        link = _dialogs(camera, page, take, filled.film)
        _operators(camera, page, take)
        _documents(camera, page, take)
    with camera.page(SIZES[size], signed_in=False) as page:
        show_shared(page, link)
        take(page, "shared")


def take_empty(camera: Camera, size: str) -> None:
    """Take the lists of a server without recordings."""
    with camera.page(SIZES[size]) as page:
        for name in ("recordings", "clips", "webhooks"):
            camera.show(page, f"/{name}", ".empty")
            camera.take(page, f"{size}-{name}-empty")
        camera.show(page, "/system", ".space")
        camera.take(page, f"{size}-system-empty")


def _lists(camera: Camera, page: Any, take: Take) -> None:
    camera.show(page, "/recordings", ".poster img:not(.coming)")
    take(page, "recordings")
    page.get_by_role("button", name=camera.text("More actions for this recording")).first.click()
    take(page, "recordings-menu")
    page.keyboard.press("Escape")
    for pick in page.locator(".recording .pick input").all()[:2]:
        pick.check(force=True)
    take(page, "recordings-picked")
    page.reload()
    page.locator(".recording .name").first.wait_for()
    page.get_by_role("button", name=camera.text("Filters")).click()
    page.get_by_role("searchbox").fill("harbour office")
    page.locator(".hit").first.wait_for()
    take(page, "recordings-search")
    camera.show(page, "/clips", ".clip-row img:not(.coming)")
    take(page, "clips")
    page.get_by_role("searchbox").fill("nothing like it")
    page.get_by_role("heading", name=camera.text("No matches")).wait_for()
    take(page, "clips-nothing")


def _long(camera: Camera, page: Any, take: Take, long: str) -> None:
    camera.show(page, f"/recordings/{long}", ".cues li")
    take(page, "long")
    select(camera, page, "1:17:41.2", "1:17:55.2", "Harbour office")
    take(page, "long-selection")
    page.keyboard.press("t")
    page.get_by_role("searchbox", name=camera.text("Search the transcript")).fill("harbour")
    page.get_by_label(camera.text("Matches")).locator("mark").first.wait_for()
    page.get_by_role("tab", name=camera.text("Transcript")).scroll_into_view_if_needed()
    take(page, "long-transcript")


def _kinds(camera: Camera, page: Any, take: Take, filled: Filled) -> None:
    camera.show(page, f"/recordings/{filled.audio}", ".clip-row .name")
    select(camera, page, "1:05.2", "1:19.2", "Before the fire")
    take(page, "audio")
    page.get_by_role("tab", name=camera.text("Look")).click()
    page.locator(".look").scroll_into_view_if_needed()
    take(page, "audio-look")
    camera.show(page, f"/recordings/{filled.hevc}", ".transport")
    page.wait_for_timeout(3000)
    page.get_by_role("tab", name=camera.text("Transcript")).click()
    take(page, "hevc")
    camera.show(page, f"/recordings/{filled.failed}", ".empty")
    take(page, "failed")


def _live(camera: Camera, page: Any, take: Take, live: str) -> None:
    camera.show(page, f"/recordings/{live}", ".transport")
    page.get_by_role("button", name=camera.text("Last {seconds} s").format(seconds=30)).click()
    take(page, "live")
    camera.show(page, "/recordings?status=recording", ".recording .live")
    take(page, "recordings-live")


def _dialogs(camera: Camera, page: Any, take: Take, film: str) -> str:
    """Show the views of the short film. Return the link of a shared clip."""
    camera.server.client().recordings.put_segments(film, [])  # those of the last size: frames load only in view
    camera.show(page, f"/recordings/{film}", ".clip-row .name")
    select(camera, page, "6.4", "9.6", "Bunny stretches")
    take(page, "film")
    for start, end, label in (("1", "2", "One"), ("3", "4.5", "Two, with a much longer name than the others have")):
        select(camera, page, start, end, label)
        page.keyboard.press("a")
    select(camera, page, "6.4", "9.6", "Bunny stretches")
    page.get_by_role("tab", name=camera.text("Segments")).click()
    page.locator(".segments-panel").scroll_into_view_if_needed()
    take(page, "film-segments")
    _vertical(camera, page, take)
    page.get_by_role("tab", name=camera.text("Clips")).click()
    page.evaluate("scrollTo(0, 0)")
    if page.locator(".panel-toggle").is_visible():  # not on a phone
        page.keyboard.press("]")
        take(page, "film-alone")
        page.keyboard.press("]")
    page.keyboard.press("?")
    take(page, "shortcuts")
    page.keyboard.press("Escape")
    clip = page.locator(".clip-row").filter(has_text="The reveal")
    clip.get_by_role("button", name=camera.text("More actions for this clip")).click()
    take(page, "clip-menu")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    take(page, "clip-delete")
    page.keyboard.press("Escape")
    play(page, clip.locator(".poster"))
    take(page, "clip")
    link = share(camera, page)
    take(page, "share")
    page.keyboard.press("Escape")
    return link


def _vertical(camera: Camera, page: Any, take: Take) -> None:
    """Show an upright clip whose crop moves, with a blurred box, and take it back."""
    page.locator(".shapes button").nth(1).click()
    page.locator(".crop").wait_for()
    page.evaluate("scrollTo(0, 0)")
    take(page, "film-vertical")
    page.get_by_role("button", name=camera.text("Moves")).first.click()
    page.get_by_role("textbox", name=camera.text("Current time")).fill("9")
    page.keyboard.press("Enter")
    page.locator(".crop").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name=camera.text("Add a box")).click()
    take(page, "film-moves")
    page.get_by_role("button", name=camera.text("Result")).click()
    take(page, "film-result")
    page.get_by_role("button", name=camera.text("Reset")).click()


def _operators(camera: Camera, page: Any, take: Take) -> None:
    camera.show(page, "/webhooks", ".webhook")
    take(page, "webhooks")
    page.get_by_role("button", name=camera.text("Add webhook")).click()
    take(page, "webhook-dialog")
    page.keyboard.press("Escape")
    open_delivery(page)
    take(page, "deliveries")
    for tab in ("storage", "work", "keys", "settings"):
        camera.show(page, f"/system?tab={tab}", ".system:visible > *")
        take(page, f"system-{tab}")


def _documents(camera: Camera, page: Any, take: Take) -> None:
    for name in ("docs", "docs/page", "docs/reference"):
        page.goto(f"{camera.server.url}/{name}")
        page.locator("h1").first.wait_for()
        take(page, name.replace("/", "-"))
