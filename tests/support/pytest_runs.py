"""Runs of pytest in a small project, with the plugins of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

_ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = """\
[tool:pytest]
testpaths = tests
addopts = -q -ra --strict-markers --import-mode=importlib -p xdist -p tests.support.hung_tests
markers =
    exhaustive:
    outage:
    proof:
    typical:
"""


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write the files of the project, with the settings of pytest."""
    for name, text in {"setup.cfg": _SETTINGS, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


def run_pytest(folder: Path, *arguments: str, plugin: str = "") -> subprocess.CompletedProcess[str]:
    """Return what pytest printed. The tests find their folder in the environment variable FOLDER."""
    plugins = ["-p", f"tests.support.{plugin}"] if plugin else []
    outer = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    # The installed plugins take most of the time of a start; the settings name the one that is needed.
    env = outer | {"PYTHONPATH": str(_ROOT), "FOLDER": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


def closing_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the counts of the last line, without the time."""
    return done.stdout.rstrip().rpartition("\n")[2].partition(" in ")[0]
