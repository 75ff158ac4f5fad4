"""A signed-in browser in one theme that takes screenshots."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.page import sign_in, until
from tests.support.page_texts import WEB, catalogue
from tests.support.server import RunningServer

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
LOCALES = {"en": "en-GB", "de": "de-DE"}
PREVIEWS_SECONDS = 180
_PICTURED = (  # every image on the screen has loaded
    "[...document.images].every((image) => { const {top, bottom} = image.getBoundingClientRect(); "
    "return !image.checkVisibility() || bottom < 0 || top > innerHeight "
    "|| (image.complete && !image.matches('.coming')); })"
)
_SETTLED = "[null, 'false'].includes(document.querySelector('.timeline')?.getAttribute('aria-busy') ?? null)"


class Camera:
    """Takes screenshots into `folder`, named after the view, the language and the theme."""

    def __init__(self, browser: Any, server: RunningServer, folder: Path, theme: str, language: str = "en") -> None:
        self.server = server
        self._browser = browser
        self._folder = folder
        self._theme = theme
        self._language = "" if language == "en" else f"-{language}"
        self._locale = LOCALES[language]
        self._texts = {} if language == "en" else catalogue(WEB / "texts" / f"{language}.js")

    def text(self, english: str) -> str:
        """Return a text of the page in the language of the pictures."""
        return str(self._texts.get(english, english))

    @contextmanager
    def page(self, size: dict[str, int], *, signed_in: bool = True) -> Iterator[Any]:
        """Yield a page of a new browser context; print its exceptions and errors."""
        phone = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
        context = self._browser.new_context(
            viewport=size, color_scheme=self._theme, reduced_motion="reduce", locale=self._locale, **phone
        )
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        try:
            if signed_in:
                sign_in(context, self.server)
            yield page
        finally:
            context.close()
        for fault in faults:
            print(f"{self._theme}: {fault}", file=sys.stderr)

    def show(self, page: Any, address: str, selector: str) -> None:
        page.goto(f"{self.server.url}/#{address}")
        page.locator(selector).first.wait_for()

    def take(self, page: Any, name: str, *, max_bytes: int | None = None) -> None:
        page.wait_for_timeout(300)  # until the timeline has requested its previews
        until(page, f"{_PICTURED} && {_SETTLED}", seconds=PREVIEWS_SECONDS)
        page.wait_for_timeout(400)
        path = self._folder / f"{name}{self._language}-{self._theme}.png"
        page.screenshot(path=str(path), animations="disabled", caret="hide")
        width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width > inner:
            print(f"{path.name}: scrolls sideways, {width} > {inner}", file=sys.stderr)
        if max_bytes is not None:
            shrink(path, max_bytes)
        print(f"{path}: {path.stat().st_size} bytes")


def select(camera: Camera, page: Any, start: str, end: str, label: str) -> None:
    """Select a range, move the playhead into it, and type a label."""
    until(page, "document.querySelector('.stage :is(video, audio)').readyState > 2")
    for name, time in (("In point", start), ("Out point", end)):
        page.get_by_role("textbox", name=camera.text(name)).fill(time)
        page.keyboard.press("Enter")
    if page.locator("#label").is_visible():  # not on a phone
        page.locator("#label").fill(label)
        page.locator("#label").blur()
    page.locator("h1").click()  # leave the field
    page.keyboard.press("Shift+I")
    for _ in range(3):
        page.keyboard.press("ArrowRight")


def show_sign_in(camera: Camera, page: Any) -> None:
    page.goto(camera.server.url)
    page.get_by_label(camera.text("API key")).wait_for()


def play(page: Any, button: Any) -> None:
    """Play a clip by its button, until its frames are there."""
    button.click()
    until(page, "document.querySelector('dialog video').readyState > 2")


def share(camera: Camera, page: Any) -> str:
    """Return a link of the clip that is playing, on the address of the server."""
    page.get_by_role("dialog").get_by_role("button", name=camera.text("Share")).click()
    page.get_by_role("button", name=camera.text("Create link")).click()
    link = str(page.get_by_label(camera.text("Link"), exact=True).input_value())
    return camera.server.url + urlsplit(link).path


def show_shared(page: Any, link: str) -> None:
    page.goto(link)
    until(page, "document.querySelector('video').readyState > 2")


def open_delivery(page: Any) -> None:
    """Open the last delivery of the webhook in the list that is shown."""
    page.get_by_role("link", name="/hooks/clips").click()
    page.locator(".delivery summary").last.click()
    page.get_by_text('"clip.ready"').first.wait_for()


def shrink(path: Path, max_bytes: int) -> None:
    """Quantize the colours, with a smaller palette if the file is still too large; documents need no full colour."""
    small = path.with_suffix(".small.png")
    for colours in (256, 192):
        if colours < 256 and path.stat().st_size < max_bytes:
            return
        palette = f"[a]palettegen=max_colors={colours}:stats_mode=single[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
        command = ["ffmpeg", "-y", "-v", "error", "-i", str(path), "-vf", f"split[a][b];{palette}", str(small)]
        subprocess.run(command, check=True)
        small.replace(path)
