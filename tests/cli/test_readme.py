"""Runs the commands of the README with the URL of a test server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import RunningServer, clean_environ

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def run(command: str, server: RunningServer, folder: Path, **variables: str) -> Any:
    """Run a command of the README in a shell and return its JSON output."""
    script = command.replace("http://127.0.0.1:8377", server.url)
    environ = clean_environ({"KEY": server.key, **variables})
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout) if done.stdout else None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_commands_of_the_readme_work(server: RunningServer, film: Path) -> None:
    blocks = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)
    upload, read, post, made, download = [block for block in blocks if block.startswith("curl")]
    folder = film.parent
    recording = run(upload, server, folder)["recording_id"]
    assert run(read, server, folder, RECORDING_ID=recording)["status"] == "complete"
    clip = run(post.replace('"end_seconds": 12.5', '"end_seconds": 7.5'), server, folder, RECORDING_ID=recording)
    assert (clip["status"], clip["label"]) == ("processing", "key-moment")
    ended = run(made, server, folder, CLIP_ID=clip["clip_id"])
    assert ended["status"] == "complete"
    assert run(download, server, folder, CLIP_ID=clip["clip_id"]) is None
    assert (folder / "key-moment.mp4").stat().st_size == ended["result"]["size_bytes"]
    with pytest.raises(subprocess.CalledProcessError):
        run(download.replace("key-moment.mp4", "none.mp4"), server, folder, CLIP_ID="clip_none")
    assert not (folder / "none.mp4").exists()


def test_python_example_of_the_readme_works(server: RunningServer, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    monkeypatch.chdir(film.parent)
    names = {"api_key": server.key}
    exec(block.replace("http://127.0.0.1:8377", server.url).replace("12.5", "7.5"), names)
    names["client"].close()  # type: ignore[attr-defined]
