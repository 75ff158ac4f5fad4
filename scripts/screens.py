"""Screenshots of every screen of the page in both themes, for the documents: `make screens`.

Runs a real server on a temporary folder, uploads recordings, makes clips, and uses a real Chromium. The recordings are
those of the given folder, by default the ones beside the checkout.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipengine.client import Client
from tests.support.page import PICTURED, sign_in, until
from tests.support.player import chromium
from tests.support.receiver import Answer, Receiver, Request
from tests.support.server import LOOPBACK_ALLOWED, QUICK, RunningServer, running_server

ROOT = Path(__file__).parent.parent
MEDIA = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "media"
SCREENS = ROOT / "clipengine" / "docs" / "screens"
WIDE, PHONE = {"width": 1280, "height": 820}, {"width": 390, "height": 844}
MAX_BYTES = 220_000

# Recordings as (file, name); the first is joined from several files and is the one to cut.
FILM = "Product launch, main stage.mp4"
OTHERS = (
    ("hevc_1080p_fullrange_icc.mp4", "Backstage interview.mp4"),
    ("voices_fire.mp3", "Campfire voices.mp3"),
    ("lecture_slides_vfr_av.mov", "Lecture 4, slides.mov"),
    ("truncated_vfr_screencast.mp4", "Screencast, broken off.mp4"),
    ("nasa_multitrack_2v2a_subs.mp4", "Antenna test, two tracks.mp4"),
)
CLIPS = (("The reveal", 0.4, 3.2), ("Waking up", 5.6, 9.2), ("Flower, close", 11.2, 13.6))


def main() -> int:
    if not MEDIA.is_dir():
        print(f"no screenshots: the recordings in {MEDIA} are missing", file=sys.stderr)
        return 1
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver:
        environ = {**LOOPBACK_ALLOWED, **QUICK, "CLIPENGINE_PROFILES__PROXY": "{max_height = 360, crf = 30}"}
        with running_server(Path(folder) / "data", env=environ, options=["--link"]) as server, chromium() as browser:
            recording_id = fill(server, receiver, Path(folder))
            for theme in ("light", "dark"):
                Photographer(browser, server, theme).all(recording_id)
    return 0


def fill(server: RunningServer, receiver: Receiver, folder: Path) -> str:
    """Create recordings, clips and deliveries as after a day of work; return the id of the recording to show."""
    refused: list[bool] = []

    def answer(request: Request) -> Answer:
        """Accept the webhook of the first clip at the second attempt."""
        if request.path.endswith("/clips") and not refused:
            refused.append(True)
            return Answer(503)
        return Answer()

    receiver.answer = answer
    client = server.client()
    client.webhooks.create(f"{receiver.url}/hooks/clips")
    client.webhooks.create(f"{receiver.url}/archive", events=["recording.complete"])
    for file, name in OTHERS:
        upload(client, MEDIA / file, name)
    film = folder / "film.mp4"
    join_films(film)
    recording_id = upload(client, film, FILM)
    client.recordings.wait(recording_id)
    for label, start, end in CLIPS:
        client.clips.create(recording_id, label, start, end).wait()
    client.clips.cancel(client.clips.create(recording_id, "Too long", 0, 15, priority=-10).clip_id)
    return recording_id


def upload(client: Client, path: Path, name: str) -> str:
    return client.recordings.upload(path, name=name).recording_id


def join_films(path: Path) -> None:
    """Concatenate three free films: bbb is CC BY 3.0 (Blender Foundation), the flower is CC0."""
    names = ("flower_fragmented.mp4", "bbb_720p_aac51.mp4", "flower_fragmented.mp4")
    inputs = [argument for name in names for argument in ("-i", str(MEDIA / name))]
    shape = "scale=1280:720,setsar=1,fps=25"
    parts = "".join(f"[{at}:v]{shape}[v{at}];[{at}:a]aformat=channel_layouts=stereo[a{at}];" for at in range(3))
    joined = "".join(f"[v{at}][a{at}]" for at in range(3)) + "concat=n=3:v=1:a=1[v][a]"
    command = ["ffmpeg", "-v", "error", *inputs, "-filter_complex", parts + joined, "-map", "[v]", "-map", "[a]"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", "-g", "25", str(path)], check=True)


class Photographer:
    """A signed-in browser in one theme that takes screenshots."""

    def __init__(self, browser: Any, server: RunningServer, theme: str) -> None:
        self._browser = browser
        self._server = server
        self._theme = theme

    def all(self, recording_id: str) -> None:
        with self._page(WIDE, signed_in=False) as page:
            page.goto(self._server.url)
            page.get_by_label("API key").wait_for()
            self._take(page, "sign-in")
        with self._page(WIDE) as page:
            self._show(page, "/recordings", ".poster img")
            self._take(page, "recordings")
            self._show(page, f"/recordings/{recording_id}", ".clip-row img")
            pick(page)
            self._take(page, "recording")
            page.keyboard.press("?")
            self._take(page, "keys")
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Play The reveal").click()
            until(page, "document.querySelector('dialog video').readyState > 2")
            self._take(page, "clip")
            page.get_by_role("button", name="Share").click()
            page.get_by_role("button", name="Create link").click()
            link = page.get_by_label("Link", exact=True).input_value()
            page.keyboard.press("Escape")
            self._show(page, "/clips", ".clip-row img")
            self._take(page, "clips")
            self._show(page, "/webhooks", ".webhook")
            self._take(page, "webhooks")
            page.get_by_role("link", name="/hooks/clips").click()
            page.locator(".delivery summary").last.click()
            page.get_by_text('"clip.ready"').first.wait_for()
            self._take(page, "deliveries")
        with self._page(PHONE, signed_in=False) as page:
            page.goto(link)
            until(page, "document.querySelector('video').readyState > 2")
            self._take(page, "phone-shared")
        with self._page(PHONE) as page:
            self._show(page, "/recordings", ".poster img")
            self._take(page, "phone-recordings")
            self._show(page, f"/recordings/{recording_id}", ".clip-row .name")
            pick(page)
            self._take(page, "phone-recording")

    @contextmanager
    def _page(self, size: dict[str, int], *, signed_in: bool = True) -> Iterator[Any]:
        phone = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
        context = self._browser.new_context(viewport=size, color_scheme=self._theme, reduced_motion="reduce", **phone)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        try:
            if signed_in:
                sign_in(context, self._server)
            yield page
        finally:
            context.close()
        for fault in faults:
            print(f"{self._theme}: {fault}", file=sys.stderr)

    def _show(self, page: Any, address: str, selector: str) -> None:
        page.goto(f"{self._server.url}/#{address}")
        page.locator(selector).first.wait_for()

    def _take(self, page: Any, name: str) -> None:
        until(page, PICTURED, seconds=120)
        page.wait_for_timeout(700)
        path = SCREENS / f"{name}-{self._theme}.png"
        page.screenshot(path=str(path), animations="disabled", caret="hide")
        shrink(path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def pick(page: Any) -> None:
    """Select a range with the playhead inside it, and type a label."""
    until(page, "document.querySelector('video').readyState > 2")
    page.get_by_label("In point", exact=True).and_(page.locator("input")).fill("6.4")
    page.keyboard.press("Enter")
    page.get_by_label("Out point", exact=True).and_(page.locator("input")).fill("9.6")
    page.keyboard.press("Enter")
    page.locator("#label").fill("Bunny stretches")
    page.locator("#label").blur()
    page.locator("h1").click()  # leave the field
    page.keyboard.press("Shift+I")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)  # until the timeline has requested its previews
    until(page, "document.querySelector('.timeline').getAttribute('aria-busy') === 'false'", seconds=60)


def shrink(path: Path) -> None:
    """Quantize the colours, with a smaller palette if the file is still too large; documents need no full colour."""
    small = path.with_suffix(".small.png")
    for colours in (256, 192):
        if colours < 256 and path.stat().st_size < MAX_BYTES:
            return
        palette = f"[a]palettegen=max_colors={colours}:stats_mode=single[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
        command = ["ffmpeg", "-y", "-v", "error", "-i", str(path), "-vf", f"split[a][b];{palette}", str(small)]
        subprocess.run(command, check=True)
        small.replace(path)


if __name__ == "__main__":
    sys.exit(main())
