"""The lock files pin all dependencies of setup.cfg with hashes, and CI checks with the pinned tools."""

from __future__ import annotations

import ast
import configparser
import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def requirements(extra: str | None = None) -> list[Requirement]:
    """Return the requirements of the package, or of one of its extras."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    text = setup["options.extras_require"][extra] if extra else setup["options"]["install_requires"]
    return [Requirement(line) for line in text.split("\n") if line]


def pins(name: str) -> dict[str, list[str]]:
    """Return the pinned versions of each distribution in a lock file; there are several if Pythons differ."""
    found: dict[str, list[str]] = {}
    pin = re.compile(r"^([a-z0-9.-]+)(?:\[[^]]+\])?==([^\s;\\]+)", re.MULTILINE)
    for distribution, version in pin.findall((ROOT / name).read_text()):
        found.setdefault(distribution, []).append(version)
    return found


@pytest.mark.parametrize(
    ("name", "extras"),
    [("requirements.lock", ["mcp", "postgres"]), ("requirements-test.lock", ["mcp", "postgres", "test"])],
)
def test_every_requirement_is_pinned_at_an_allowed_version(name: str, extras: list[str]) -> None:
    pinned = pins(name)
    wanted = [*requirements(), *(each for extra in extras for each in requirements(extra))]
    for requirement in wanted:
        if requirement.name != "clipengine":
            versions = pinned[requirement.name.lower()]
            assert versions, requirement
            assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_both_lock_files_pin_the_same_versions() -> None:
    runtime, test = pins("requirements.lock"), pins("requirements-test.lock")
    assert runtime == {name: test[name] for name in runtime}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_every_pin_has_a_hash(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_required_extras_are_part_of_the_pins() -> None:
    """Without them, pip looks for the newest version that has the extra, and finds that it is not pinned."""
    locks = (ROOT / "requirements.lock").read_text() + (ROOT / "requirements-test.lock").read_text()
    assert re.search(r"^psycopg\[binary\]==", locks, re.MULTILINE)
    assert re.search(r"^coverage\[toml\]==", locks, re.MULTILINE)


def test_the_next_major_version_of_minio_is_excluded() -> None:
    """It drops the private methods that `clipengine/stores/s3_minio.py` calls."""
    (minio,) = (each for each in requirements() if each.name == "minio")
    assert minio.specifier.contains("7.9")
    assert not minio.specifier.contains("8.0")


@pytest.mark.exhaustive
def test_own_code_imports_one_http_client() -> None:
    """The extra mcp installs httpx2, and the tests requests: they are for these packages only."""
    others = {"aiohttp", "httpcore2", "httpx2", "niquests", "requests"}
    imported = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / "clipengine").rglob("*.py")
        for name in imported_packages(path)
    }
    assert any(name == "httpx" for _, name in imported)
    assert sorted((path, name) for path, name in imported if name in others) == []


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


def test_httpx2_is_required_by_extras_only() -> None:
    """Follow the requirements of the installed distributions from those of the package without extras."""
    found: set[str] = set()
    waiting = [(each.name, frozenset(each.extras)) for each in requirements()]
    while waiting:
        name, extras = waiting.pop()
        if name.lower() not in found:
            found.add(name.lower())
            waiting += required_by(name, extras)
    assert "httpx" in found
    assert found.isdisjoint({"httpcore2", "httpx2"})


def required_by(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Return what an installed distribution requires on this machine; nothing if it is not installed."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return []
    wanted = [Requirement(line) for line in lines]
    environments = [{"extra": extra} for extra in (*extras, "")]
    applied = [each for each in wanted if each.marker is None or any(each.marker.evaluate(env) for env in environments)]
    return [(each.name, frozenset(each.extras)) for each in applied]
