"""The wheel and the sdist, installed and used without the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from tests.support import server as support
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, clean_environ, running_server

pytestmark = pytest.mark.exhaustive

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
        timeout=300,
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


def environment(wheel: Path, home: Path) -> Path:
    """Create an environment that contains the wheel alone, and return its site-packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=300)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(home / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, timeout=300)
    (site,) = home.glob("lib/python*/site-packages")
    return site


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clipengine` in a new environment with the wheel and the dependencies of this environment."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    # .pth files in that directory are not read, so the editable install of clipengine is not visible.
    (environment(wheel, home) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin" / "clipengine"


def with_dependencies(*names: str) -> Iterator[Distribution]:
    """Yield the installed distributions and all that they require."""
    pending, found = list(names), set[str]()
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name not in found:
            found.add(name)
            installed = distribution(name)
            yield installed
            wanted = [Requirement(each) for each in installed.requires or ()]
            pending += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]


@pytest.fixture
def client_python(wheel: Path, tmp_path: Path) -> Path:
    """Return the Python of an environment with the wheel, httpx, pydantic and what these two require."""
    site = environment(wheel, tmp_path / "venv")
    for installed in with_dependencies("httpx", "pydantic"):
        for top in {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (site / top).symlink_to(installed.locate_file(top))  # type: ignore[arg-type]
    return tmp_path / "venv" / "bin" / "python"


def test_wheel_contains_exactly_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "py.typed",
        "docs/start.md",
        "docs/manual.js",
        "docs/recipes/obs.md",
        "docs/style.css",
        "docs/way.svg",
        "web/index.html",
    ):
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
        timeout=300,
    )
    assert str(command.parent.parent) in where.stdout
    cut = [str(command), "cut", str(film), "clip.mp4", "--start", "1", "--end", "2"]
    done = subprocess.run(cut, env=clean_environ(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(support, "COMMAND", str(command))
    with running_server(tmp_path / "data") as server:
        for path in ("/", "/docs/start", "/docs/reference", "/docs/way.svg", "/v1/openapi.json"):
            assert httpx.get(f"{server.url}{path}").status_code == 200, path
        clip = server.client().clips
        recording = server.client().recordings.upload(film).wait().raise_for_error()
        clip.create(recording.recording_id, "packed", 0.0, 1.0).wait().raise_for_error()
    assert os.listdir(tmp_path)


CLIENT_PROGRAM = """
import asyncio, sys
from importlib.util import find_spec
from clipengine.client import ApiError, AsyncClient, Client, SignatureInvalid
from clipengine.client.webhooks import verify

url, key, film, hook = sys.argv[1:]
missing = ("av", "click", "huey", "minio", "peewee", "starlette", "uvicorn")
assert not [name for name in missing if find_spec(name)]

with Client(url, key) as client:
    webhook = client.webhooks.create(hook)
    recording = client.recordings.upload(film).wait().raise_for_error()
    clip = client.clips.create(recording.recording_id, "alone", 1.0, 2.0, output={"aspect": "9:16"}).wait()
    assert clip.raise_for_error().download("alone.mp4") == clip.result.size_bytes
    assert [each.label for each in client.clips.each(status="complete")] == ["alone"]
    events = client.events(clip_id=clip.clip_id, last_event_id="0")
    assert next(events).event == "clip.ready"
    try:
        client.clips.create(recording.recording_id, "late", 3600.0, 3610.0)
    except ApiError as error:
        assert error.code == "invalid_time_range" and error.hint
assert next(events, None) is None


async def again():
    async with AsyncClient(url, key) as client:
        return (await client.clips.get(clip.clip_id)).result

assert asyncio.run(again()) == clip.result
try:
    verify(b"{}", {"X-Relay-Signature": "0" * 64}, webhook.secret)
except SignatureInvalid:
    print(webhook.secret)
"""


def test_client_needs_httpx_and_pydantic_only(client_python: Path, film: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", env=LOOPBACK_ALLOWED) as server, Receiver() as receiver:
        arguments = [server.url, server.key, str(film), receiver.url]
        done = subprocess.run(
            [client_python, "-I", "-c", CLIENT_PROGRAM, *arguments],
            env=clean_environ(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (request, *_) = receiver.wait_for(1, timeout=300)
    assert done.stdout.startswith("whsec_")
    check = "import sys; from clipengine.client.webhooks import verify; "
    check += "print(verify(sys.stdin.buffer.read(), {'x-relay-signature': sys.argv[1]}, sys.argv[2])['event'])"
    verified = subprocess.run(
        [client_python, "-I", "-c", check, request.headers["x-relay-signature"], done.stdout.strip()],
        input=request.body,
        capture_output=True,
        timeout=300,
        check=True,
    )
    assert verified.stdout == b"clip.ready\n"
