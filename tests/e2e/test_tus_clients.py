"""Uploads by clients of tus that others maintain, which resume and end them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import RunningServer

SUPPORT = Path(__file__).parent.parent / "support"
MODULE = Path(__file__).parent.parent.parent / "scripts/typescript/node_modules/tus-js-client/lib.es5/node/index.js"
TUSPY = "tuspy==1.1.0"

pytestmark = pytest.mark.outage


@pytest.fixture(scope="module")
def talk(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of more than two chunks."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    path.write_bytes(film.read_bytes() + (2_000_008).to_bytes(4, "big") + b"free" + bytes(2_000_000))
    return path


@pytest.fixture
def tuspy(tmp_path: Path) -> Path:
    """Return a folder with tuspy and the packages that it needs, which no other test does."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "0", "--timeout", "20"]
    done = subprocess.run([*pip, "install", "--target", tmp_path / "tuspy", TUSPY], capture_output=True, timeout=300)
    if done.returncode:
        pytest.skip(f"pip cannot install {TUSPY}")
    return tmp_path / "tuspy"


def run(*command: str | Path, **env: str) -> list[str]:
    """Run a program and return the lines that it prints."""
    env = os.environ | {"NO_PROXY": "127.0.0.1"} | env
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def check(server: RunningServer, recording_id: str, talk: Path, got: Path) -> None:
    """Assert that the recording is complete, and is the file."""
    client = server.client()
    recording = client.recordings.wait(recording_id, timeout=300)
    assert (recording.status, recording.name) == ("complete", talk.name)
    client.recordings.download(recording_id, got)
    assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(talk.read_bytes()).digest()


def test_tuspy_continues_an_upload(server: RunningServer, talk: Path, tuspy: Path, tmp_path: Path) -> None:
    program = SUPPORT / "tuspy_client.py"
    [recording_id] = run(sys.executable, program, server.url, server.key, talk, "700000", PYTHONPATH=str(tuspy))
    check(server, recording_id, talk, tmp_path / "got.mp4")


@pytest.mark.skipif(
    not MODULE.exists() or shutil.which("node") is None,
    reason="tus-js-client is not installed: run `make check`; it needs node and npm",
)
def test_tus_js_client_continues_and_ends_uploads(server: RunningServer, talk: Path, tmp_path: Path) -> None:
    program = SUPPORT / "tus_js_client.mjs"
    lines = run("node", program, MODULE, server.url, server.key, talk, tmp_path / "addresses.json")
    assert (lines[0], lines[3]) == ("200 500000", "404 null")
    for number in (1, 2):
        check(server, lines[number], talk, tmp_path / f"{number}.mp4")
