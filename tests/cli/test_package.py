"""The wheel and the sdist, installed and used without the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support import server as support
from tests.support.server import clean_environ, running_server

ROOT = Path(__file__).parent.parent.parent
SOURCES = ("clipengine", "config", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md")
BACKEND = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(kind: str, source: Path, target: Path) -> Path:
    """Run the build backend on a source tree, as pip does, and return the file."""
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BACKEND, f"build_{kind}", str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return target / made.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from an sdist that is built from a copy of the checkout, to test both."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in (*SOURCES, "clipengine.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    sdist = build("sdist", source, folder)
    with tarfile.open(sdist) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    assert (unpacked / "config" / "docker" / "compose.yaml").exists()
    return build("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clipengine` in a new environment with the wheel and the dependencies of this environment."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(home / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, timeout=120)
    # .pth files in that directory are not read, so the editable install of clipengine is not visible.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin" / "clipengine"


def test_wheel_contains_exactly_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("py.typed", "docs/start.md", "docs/style.css", "docs/way.svg", "web/index.html"):
        assert f"clipengine/{part}" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"clipengine"}
    docs = {path.name for path in (ROOT / "clipengine" / "docs").iterdir() if path.is_file()}
    assert docs <= {name.rpartition("/")[2] for name in names}
    web = {str(path.relative_to(ROOT)) for path in (ROOT / "clipengine" / "web").rglob("*") if path.is_file()}
    assert web <= set(names)


def test_installed_wheel_runs_without_the_repository(
    command: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = subprocess.run(
        [command.with_name("python"), "-c", "import clipengine; print(clipengine.__file__)"],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert str(command.parent.parent) in where.stdout
    cut = [str(command), "cut", str(film), "clip.mp4", "--start", "1", "--end", "2"]
    done = subprocess.run(cut, env=clean_environ(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(support, "COMMAND", str(command))
    with running_server(tmp_path / "data") as server:
        for path in ("/", "/docs/start", "/docs/reference", "/docs/way.svg", "/v1/openapi.json"):
            assert httpx.get(f"{server.url}{path}").status_code == 200, path
        clip = server.client().clips
        recording = server.client().recordings.upload(film).wait().raise_for_error()
        clip.create(recording.recording_id, "packed", 0.0, 1.0).wait().raise_for_error()
    assert os.listdir(tmp_path)
