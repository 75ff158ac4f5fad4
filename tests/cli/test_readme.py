"""The commands of the README, run as they are written; only the address and the length of the clip differ."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import RunningServer, clean_environ

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def adapted(block: str, server: RunningServer) -> str:
    """Return a block of the README for this server and for a recording of ten seconds."""
    return block.replace("http://127.0.0.1:8377", server.url).replace("12.5", "7.5")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: the README's commands are not run")
def test_curl_commands_of_the_readme_make_a_clip(server: RunningServer, film: Path) -> None:
    (block,) = [block for block in re.findall(r"```sh\n(.+?)```", README, re.DOTALL) if "curl" in block]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", adapted(block, server)],
        cwd=film.parent,
        env=clean_environ({"API": f"{server.url}/v1", "KEY": server.key}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (clip,) = server.client().clips.list().data
    assert (clip.label, clip.status) == ("key-moment", "complete")
    assert clip.result is not None
    assert (film.parent / "key-moment.mp4").stat().st_size == clip.result.size_bytes


def test_python_of_the_readme_makes_a_clip(server: RunningServer, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    monkeypatch.chdir(film.parent)
    names = {"api_key": server.key}
    exec(adapted(block, server), names)
    names["client"].close()  # type: ignore[attr-defined]
