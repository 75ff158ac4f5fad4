"""The screenshots of the documents."""

from __future__ import annotations

from scripts.screenshots.camera import DESK, PHONE, Camera, select
from tests.support.page import until

MAX_BYTES = 220_000


def take_documented(camera: Camera, film: str) -> None:
    """Take the screenshots; `film` is the id of the recording to show."""

    def take(page: object, name: str) -> None:
        camera.take(page, name, max_bytes=MAX_BYTES)

    with camera.page(DESK, signed_in=False) as page:
        page.goto(camera.server.url)
        page.get_by_label("API key").wait_for()
        take(page, "sign-in")
    with camera.page(DESK) as page:
        camera.show(page, "/recordings", ".poster img")
        take(page, "recordings")
        camera.show(page, f"/recordings/{film}", ".clip-row img")
        select(page, "6.4", "9.6", "Bunny stretches")
        take(page, "recording")
        page.keyboard.press("?")
        take(page, "keys")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Play The reveal").click()
        until(page, "document.querySelector('dialog video').readyState > 2")
        take(page, "clip")
        page.get_by_role("button", name="Share").click()
        page.get_by_role("button", name="Create link").click()
        link = page.get_by_label("Link", exact=True).input_value()
        page.keyboard.press("Escape")
        camera.show(page, "/clips", ".clip-row img")
        take(page, "clips")
        camera.show(page, "/webhooks", ".webhook")
        take(page, "webhooks")
        page.get_by_role("link", name="/hooks/clips").click()
        page.locator(".delivery summary").last.click()
        page.get_by_text('"clip.ready"').first.wait_for()
        take(page, "deliveries")
    with camera.page(PHONE, signed_in=False) as page:
        page.goto(link)
        until(page, "document.querySelector('video').readyState > 2")
        take(page, "phone-shared")
    with camera.page(PHONE) as page:
        camera.show(page, "/recordings", ".poster img")
        take(page, "phone-recordings")
        camera.show(page, f"/recordings/{film}", ".clip-row .name")
        select(page, "6.4", "9.6", "Bunny stretches")
        take(page, "phone-recording")
