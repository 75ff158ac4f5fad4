"""The page in Firefox: sign in, play, select a range, make a clip, and play it as a share."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clipengine.client import Recording
from tests.films.catalogue import Shelf
from tests.support.server import RunningServer

_ROOT = Path(__file__).parents[2]
_MODULES = _ROOT / "scripts" / "typescript"
_SECONDS = 600


@pytest.mark.exhaustive
def test_recording_is_clipped_and_shared_in_firefox(server: RunningServer, recording: Recording, shelf: Shelf) -> None:
    firefox, node = shutil.which("firefox-esr") or shutil.which("firefox"), shutil.which("node")
    if firefox is None or node is None or not (_MODULES / "node_modules" / "puppeteer-core").exists():
        reason = "no Firefox: this test needs firefox-esr, Node and the package puppeteer-core (make check installs it)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    client = server.client()
    client.recordings.wait(client.recordings.upload(shelf.get("ts_hevc").path, name="camera.ts").recording_id)
    script = _ROOT / "tests" / "typescript" / "firefox.mjs"
    command = [node, str(script), str(_MODULES / "package.json"), firefox, server.url, server.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
