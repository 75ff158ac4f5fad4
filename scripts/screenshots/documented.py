"""The screenshots of the documents."""

from __future__ import annotations

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

MAX_BYTES = 220_000


def take_documented(camera: Camera, film: str) -> None:
    """Take the screenshots; `film` is the id of the recording to show."""

    def take(page: object, name: str) -> None:
        camera.take(page, name, max_bytes=MAX_BYTES)

    with camera.page(DESK, signed_in=False) as page:
        show_sign_in(camera, page)
        take(page, "sign-in")
    with camera.page(DESK) as page:
        camera.show(page, "/recordings", ".poster img")
        take(page, "recordings")
        camera.show(page, f"/recordings/{film}", ".clip-row img")
        select(camera, page, "6.4", "9.6", "Bunny stretches")
        take(page, "recording")
        page.keyboard.press("?")
        take(page, "keys")
        page.keyboard.press("Escape")
        play(page, page.get_by_role("button", name="Play The reveal"))
        take(page, "clip")
        link = share(camera, page)
        page.keyboard.press("Escape")
        camera.show(page, "/clips", ".clip-row img")
        take(page, "clips")
        camera.show(page, "/webhooks", ".webhook")
        take(page, "webhooks")
        open_delivery(page)
        take(page, "deliveries")
    with camera.page(PHONE, signed_in=False) as page:
        show_shared(page, link)
        take(page, "phone-shared")
    with camera.page(PHONE) as page:
        camera.show(page, "/recordings", ".poster img")
        take(page, "phone-recordings")
        camera.show(page, f"/recordings/{film}", ".clip-row .name")
        select(camera, page, "6.4", "9.6", "Bunny stretches")
        take(page, "phone-recording")
