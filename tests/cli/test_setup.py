"""Preflight checks and the Makefile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PREFLIGHT = ROOT / "scripts" / "preflight.py"


def preflight(pretend: str = "") -> subprocess.CompletedProcess[str]:
    """Run the preflight in an interpreter that is modified by `pretend` first."""
    program = f"import runpy, sys\n{pretend}\nrunpy.run_path({str(PREFLIGHT)!r})"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | variables
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)


def test_preflight_passes_on_this_machine() -> None:
    assert preflight().returncode == 0


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_missing_venv_module_is_reported(module: str) -> None:
    done = preflight(f"sys.modules[{module!r}] = None")
    assert done.returncode == 1
    assert done.stderr == "missing: Python's venv module (ensurepip). On Debian: apt install python3-venv\n"


def test_old_python_is_reported() -> None:
    done = preflight("sys.version_info = (3, 10, 2, 'final', 0)")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: Python 3.11 or newer; this is 3.10.2.")


def test_missing_python_is_reported_before_anything_is_created(tmp_path: Path) -> None:
    done = make("install", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 2
    assert "missing: no-such-python. On Debian: apt install python3 python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_demo_receives_quoted_file_names() -> None:
    shown = make("--dry-run", "demo", "RECORDING=/tmp/it's a film.mp4", "START=1:02", "END=20").stdout
    assert r"scripts.demo --recording '/tmp/it'\''s a film.mp4' --start '1:02' --end '20'" in shown


def test_demo_ignores_variables_of_the_shell() -> None:
    shown = make("--dry-run", "demo", RECORDING="rec_1", START="5").stdout
    assert shown.rstrip().endswith("scripts.demo")


def test_make_without_target_lists_the_targets() -> None:
    shown = make().stdout
    (targets,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in shown.splitlines()] == targets.split()
