"""The npm packages that `make client-ts` builds, checked with `tsc --strict` and used by Node against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

import clipengine
from scripts.openapi import document
from tests.support.server import RunningServer

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "scripts" / "typescript"
PROGRAMS = ROOT / "tests" / "typescript"
DOCUMENT = ROOT / "clipengine" / "docs" / "typescript.md"
START = DOCUMENT.with_name("start.md")
MODULES = SOURCES / "node_modules"
CLIENT, N8N = "clipengine-client", "n8n-nodes-clipengine"

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(
        not MODULES.is_dir() or shutil.which("node") is None, reason="run `make client-ts` first; it needs node and npm"
    ),
]


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(package: str, folder: Path, *needed: str) -> Path:
    """Build a package and install it in `folder` as npm would, with the packages that it needs. Return its folder."""
    (folder / "openapi.json").write_bytes(document())
    run("node", SOURCES / "build.mjs", "openapi.json", "built", package, cwd=folder)
    run("npm", "pack", "--silent", "--offline", "--pack-destination", folder, f"./built/{package}", cwd=folder)
    installed = folder / "node_modules" / package
    installed.mkdir(parents=True)
    archive = folder / f"{package}-{clipengine.__version__}.tgz"
    run("tar", "--extract", "--strip-components=1", "--file", archive, cwd=installed)
    for name in needed:
        (folder / "node_modules" / name).symlink_to(MODULES / name)
    (folder / "package.json").write_text('{"type": "module"}')
    return installed


def compile_and_run(folder: Path, *arguments: str, key: str) -> dict[str, str]:
    """Compile all programs of a folder with `tsc --strict`, run each with Node, and return what they print."""
    programs = sorted(folder.glob("*.ts"))
    options = ("--strict", "--target", "es2022", "--module", "nodenext")
    run(MODULES / ".bin" / "tsc", *options, *(each.name for each in programs), cwd=folder)
    env = os.environ | {"CLIPENGINE_API_KEY": key}
    return {each.name: run("node", each.with_suffix(".js").name, *arguments, cwd=folder, env=env) for each in programs}


def test_client_works_against_a_real_server(server: RunningServer, film: Path, tmp_path: Path) -> None:
    installed = install(CLIENT, tmp_path, "openapi-fetch", "@types", "undici-types")
    described = json.loads((installed / "package.json").read_text())
    assert (described["name"], described["version"]) == (CLIENT, clipengine.__version__)
    assert list(described["dependencies"]) == ["openapi-fetch"]
    assert {each.name for each in installed.iterdir() if each.is_dir()} == {"client", "generated"}
    assert (installed / "README.md").stat().st_size > 500
    for target in described["exports"].values():
        assert all((installed / path).is_file() for path in target.values())

    shutil.copy(PROGRAMS / "client.ts", tmp_path)
    examples = re.findall(r"```ts\n(.+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (tmp_path / "document.ts").write_text("\n".join(examples).replace("http://127.0.0.1:8377", server.url))
    (tmp_path / "clip.mjs").write_text(examples[0].replace("http://127.0.0.1:8377", server.url))
    (start,) = re.findall(r"```ts TypeScript\n(.+?)```", START.read_text("utf-8"), re.DOTALL)
    (tmp_path / "start.ts").write_text(start.replace("http://127.0.0.1:8377", server.url).replace("12.5", "7.5"))
    (tmp_path / "meeting.mp4").symlink_to(film)
    printed = compile_and_run(tmp_path, server.url, str(film), key=server.key)
    assert printed["client.ts"] == "done\n"
    (tmp_path / "key-moment.mp4").unlink()
    as_javascript = run("node", "clip.mjs", cwd=tmp_path, env=os.environ | {"CLIPENGINE_API_KEY": server.key})
    assert re.fullmatch(r"\S+key-moment-clip_\w+\.mp4 \d+ [0-9a-f]{64}\n", as_javascript)
    lines = printed["document.ts"].splitlines()
    assert {"206 1024", "key-moment 2.5", "true"} <= set(lines)
    assert any(re.match(r"422 invalid_time_range \S", line) for line in lines)
    assert (tmp_path / "key-moment.mp4").stat().st_size > 1000


def test_document_is_enough_for_openapi_fetch(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(document())
    run(MODULES / ".bin" / "openapi-typescript", "openapi.json", "--output", "api.d.ts", cwd=tmp_path)
    (tmp_path / "node_modules").mkdir()
    for name in ("openapi-fetch", "openapi-typescript-helpers"):
        (tmp_path / "node_modules" / name).symlink_to(MODULES / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "fetch.ts", tmp_path)
    options = ("--strict", "--noEmit", "--target", "es2022", "--module", "nodenext")
    run(MODULES / ".bin" / "tsc", *options, "fetch.ts", cwd=tmp_path)


def test_n8n_nodes_work_against_a_real_server(server: RunningServer, film: Path, tmp_path: Path) -> None:
    installed = install(N8N, tmp_path, "n8n-workflow")
    described = json.loads((installed / "package.json").read_text())
    assert (described["name"], described["version"]) == (N8N, clipengine.__version__)
    assert "dependencies" not in described  # n8n's own modules are there
    npm = ("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", "--prefix", ".")
    empty = tmp_path / "nodes"  # a package to download would fail
    empty.mkdir()
    run(
        *npm,
        tmp_path / f"{N8N}-{clipengine.__version__}.tgz",
        cwd=empty,
        env=os.environ | {"npm_config_cache": str(empty)},
    )
    assert [each.name for each in (empty / "node_modules").glob("[!.]*")] == [N8N]
    assert (installed / "dist" / "n8n" / "clipengine.svg").is_file()
    shutil.copy(PROGRAMS / "n8n.mjs", tmp_path)
    env = os.environ | {"CLIPENGINE_API_KEY": server.key}
    assert run("node", "n8n.mjs", server.url, str(film), cwd=tmp_path, env=env) == "done\n"
