"""Pages of the manual whose settings and commands tests take as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "clipengine" / "docs"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.+?)```", page.read_text("utf-8"), re.DOTALL)


def settings(page: Path) -> dict[str, Any]:
    """Return the settings of all TOML blocks of a page."""
    found: dict[str, Any] = {}
    for block in blocks(page, "toml"):
        merge(found, tomllib.loads(block))
    return found


def merge(table: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict):
            merge(table.setdefault(name, {}), value)
        elif isinstance(value, list):
            table[name] = [*table.get(name, []), *value]
        else:
            table[name] = value


def variables(table: dict[str, Any], prefix: str = "CLIPENGINE") -> dict[str, str]:
    """Return settings as environment variables."""
    found: dict[str, str] = {}
    for name, value in table.items():
        path = f"{prefix}__{name.upper()}" if prefix != "CLIPENGINE" else f"CLIPENGINE_{name.upper()}"
        found |= variables(value, path) if isinstance(value, dict) else {path: _text(value)}
    return found


def _text(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return json.dumps(value).replace('": ', '" = ')  # tables of TOML
    return value if isinstance(value, str) else json.dumps(value)


def start(command: list[str], environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)


def run(command: list[str], environ: dict[str, str], folder: Path) -> str:
    done = start(command, environ, folder)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout
