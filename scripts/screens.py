"""Screenshots of the page in both themes: `make screens` takes those of the documents.

With `--every FOLDER` (`make screens EVERY=folder`), takes every view and dialog on a desk and a phone into a folder,
with recordings of two hours in a library of 10,000 recordings and clips. Runs a real server on a temporary folder, and
a real Chromium. The recordings are those of the given folder, by default the ones beside the checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from scripts.benchmarks.library import library_folder
from scripts.screenshots.camera import Camera
from scripts.screenshots.documented import take_documented
from scripts.screenshots.every import take_every
from scripts.screenshots.recordings import add_long, fill
from tests.support.player import chromium
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, running_server

ROOT = Path(__file__).parent.parent
SCREENS = ROOT / "clipengine" / "docs" / "screens"
THEMES = ("light", "dark")
ROWS = 10_000


def main() -> int:
    options = argparse.ArgumentParser(prog="make screens")
    options.add_argument("media", type=Path, nargs="?", default=ROOT.parent / "shared" / "media")
    options.add_argument("--every", type=Path, metavar="FOLDER")
    given = options.parse_args()
    if not given.media.is_dir():
        print(f"no screenshots: the recordings in {given.media} are missing", file=sys.stderr)
        return 1
    taken = given.every or SCREENS
    taken.mkdir(parents=True, exist_ok=True)
    environ = {**LOOPBACK_ALLOWED, "CLIPENGINE_PROFILES__PROXY": "{max_height = 360, crf = 30}"}
    with tempfile.TemporaryDirectory() as name, Receiver() as receiver:
        folder = Path(name)
        if given.every:
            copy_library(folder / "data")
        with running_server(folder / "data", env=environ, options=["--link"]) as server, chromium() as browser:
            client = server.client(timeout=300)
            filled = fill(client, receiver, given.media, folder)
            if given.every:
                filled = add_long(client, given.media, folder, filled)
            for theme in THEMES:
                camera = Camera(browser, server, taken, theme)
                if given.every:
                    take_every(camera, filled)
                else:
                    take_documented(camera, filled.film)
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
