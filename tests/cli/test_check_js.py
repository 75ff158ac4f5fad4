"""`make check-js`: when it is skipped, and what the types of the page reject."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.openapi import document

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "scripts" / "typescript"
PROGRAMS = SOURCES / "node_modules" / ".bin"
NEEDED = ("bash", "cat", "find", "make", "sh")  # by make itself

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with the programs that make needs, without node and npm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def check(tmp_path: Path, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `make check-js` with the programs of a folder, in a checkout without npm packages."""
    (tmp_path / ".installed").touch()
    variables = (f"VENV={tmp_path}", f"NPM_MODULES={tmp_path / 'none'}")
    command = ["make", "--silent", "check-js", *variables]
    env = {"PATH": str(path), "HOME": str(tmp_path), **env}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


def fail_npm(programs: Path) -> None:
    (programs / "node").symlink_to(str(shutil.which("node")))
    (programs / "npm").write_text("#!/bin/sh\necho npm error network >&2\nexit 1\n")
    (programs / "npm").chmod(0o755)


def test_javascript_is_skipped_with_one_line_without_node(tmp_path: Path, programs: Path) -> None:
    done = check(tmp_path, programs)
    expected = "skipped: checks of the JavaScript, which need Node 18 or newer, with npm\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@needs_node
def test_javascript_is_skipped_with_one_line_if_packages_cannot_be_installed(tmp_path: Path, programs: Path) -> None:
    fail_npm(programs)
    done = check(tmp_path, programs)
    expected = f"skipped: checks of the JavaScript, because npm ci failed; see {tmp_path}/npm.log\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    assert "npm error network" in (tmp_path / "npm.log").read_text()


@needs_node
def test_javascript_check_fails_in_ci_if_packages_cannot_be_installed(tmp_path: Path, programs: Path) -> None:
    fail_npm(programs)
    done = check(tmp_path, programs, CI="true")
    assert done.returncode == 2
    assert "npm error network" in done.stderr


PROBE = """import {get, patch, post} from "./lib/api.js";
import {h} from "./lib/dom.js";
const id = String(1);
await get("/v1/clps");
(await get(`/v1/clips/${id}`)).labl;
(await get(`/v1/clips/${id}/deliveries?limit=5`)).data[0].attempts[0].status_code?.toFixed();
await patch(`/v1/clips/${id}`, {label: 1});
await post("/v1/clips/delete", {clip_ids: [id]});
(await get("/v1/recordings")).data[0].media.container;
h("button", {onclik: () => {}});
"""


@pytest.mark.exhaustive
@needs_node
@pytest.mark.skipif(not PROGRAMS.is_dir(), reason="run `make check-js` first; it needs node and npm")
def test_types_of_the_page_come_from_the_openapi_document(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(document())
    (tmp_path / "generated").mkdir()
    generate = [PROGRAMS / "openapi-typescript", "openapi.json", "--output", "generated/api.d.ts"]
    subprocess.run(generate, cwd=tmp_path, capture_output=True, timeout=300, check=True)
    shutil.copytree(SOURCES / "page", tmp_path / "page")
    shutil.copytree(ROOT / "clipengine" / "web", tmp_path / "web")
    (tmp_path / "web" / "probe.js").write_text(PROBE)
    include = '"include": ["web/probe.js", "web/**/*.d.ts", "page/*.ts"]'  # `make check` checks the other modules
    options = f'"compilerOptions": {{"tsBuildInfoFile": "{tmp_path}/info"}}'
    (tmp_path / "tsconfig.json").write_text(f'{{"extends": "{ROOT / "tsconfig.json"}", {options}, {include}}}')
    done = subprocess.run(
        [PROGRAMS / "tsc", "--pretty", "false"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    found = re.findall(r"^(\S+)\((\d+),\d+\): error (TS\d+)", done.stdout, re.MULTILINE)
    assert [(name, int(line)) for name, line, _ in found] == [("web/probe.js", line) for line in (4, 5, 7, 9, 10)]
