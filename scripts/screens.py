"""Screenshots of the page in both themes: `make screens` takes those of the documents.

With `--every FOLDER` (`make screens EVERY=folder`), takes every view and dialog into a folder: in four sizes, in two of
them in German too, with recordings of two hours in a library of 10,000 recordings and clips, and on an empty server.
Runs a real server on a temporary folder, and a real Chromium. The recordings are those of the given folder, by default
the ones beside the checkout.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from scripts.benchmarks.library import library_folder
from scripts.screenshots.camera import Camera
from scripts.screenshots.documented import take_documented
from scripts.screenshots.every import SIZES, TRANSLATED, take_empty, take_every
from scripts.screenshots.recordings import add_live, add_long, fill, live_recorder
from tests.support.player import chromium
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, running_server

ROOT = Path(__file__).parent.parent
SCREENS = ROOT / "clipengine" / "docs" / "screens"
THEMES = ("light", "dark")
ROWS = 10_000


def main() -> int:
    options = argparse.ArgumentParser(prog="make screens", description=__doc__)
    options.add_argument("media", type=Path, nargs="?", default=ROOT.parent / "shared" / "media")
    options.add_argument("--every", type=Path, metavar="FOLDER")
    given = options.parse_args()
    if not given.media.is_dir():
        print(f"no screenshots: the recordings in {given.media} are missing", file=sys.stderr)
        return 1
    taken = given.every or SCREENS
    taken.mkdir(parents=True, exist_ok=True)
    environ = {**LOOPBACK_ALLOWED, "CLIPENGINE_PROFILES__PROXY": "{max_height = 360, crf = 30}"}
    if given.every:  # links that others can open have a QR code
        environ["CLIPENGINE_SERVER__PUBLIC_URL"] = "https://clips.example.com"
    with tempfile.TemporaryDirectory() as name, Receiver() as receiver:
        folder = Path(name)
        if given.every:
            copy_library(folder / "data")
        with (
            running_server(folder / "data", env=environ, options=["--link"]) as server,
            chromium() as browser,
            live_recorder(server.data / "store", given.media) if given.every else nullcontext(),
        ):
            client = server.client(timeout=300)
            filled = fill(client, receiver, given.media, folder)
            if given.every:
                filled = add_live(client, add_long(client, given.media, folder, filled))
            for theme in THEMES:
                if not given.every:
                    take_documented(Camera(browser, server, taken, theme), filled.film)
                    continue
                for language, size in [("en", size) for size in SIZES] + [("de", size) for size in TRANSLATED]:
                    take_every(Camera(browser, server, taken, theme, language), filled, size)
        if given.every:
            with running_server(folder / "empty") as server, chromium() as browser:
                for theme, size in itertools.product(THEMES, SIZES):
                    take_empty(Camera(browser, server, taken, theme), size)
    return 0


def copy_library(folder: Path) -> None:
    """Copy the library of the benchmarks; objects of the store are links."""
    cache = ROOT / ".bench"
    cache.mkdir(exist_ok=True)
    made = library_folder(cache, ROWS)

    def copy(source: str, target: str) -> None:
        (os.link if Path(source).is_relative_to(made / "store") else shutil.copy2)(source, target)

    shutil.copytree(made, folder, copy_function=copy)


if __name__ == "__main__":
    sys.exit(main())
