"""Types that are generated from the OpenAPI document fit a first program under `tsc --strict`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

SOURCES = Path(__file__).parent.parent / "typescript"
MODULES = SOURCES / "node_modules"


@pytest.mark.skipif(not MODULES.is_dir(), reason="run `npm ci` in tests/typescript")
def test_first_program_compiles_under_strict(http: httpx.Client, tmp_path: Path) -> None:
    for name in ("first.ts", "package.json"):
        shutil.copy(SOURCES / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "openapi.json").write_text(json.dumps(http.get("/v1/openapi.json").json()))
    check = "tsc --strict --noEmit --skipLibCheck --target es2022 -m nodenext first.ts"
    for command in ("openapi-typescript openapi.json -o api.ts", check):
        program, *arguments = command.split()
        run = [str(MODULES / ".bin" / program), *arguments]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
