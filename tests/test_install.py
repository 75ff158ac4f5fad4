"""Installation of the locked packages: extras and progress."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from scripts.install import CONTAINED, extra_locks, names_index, run

ROOT = Path(__file__).parents[1]


def test_each_extra_of_users_is_locked_or_contained() -> None:
    declared = re.findall(r"^(\w+) =$", (ROOT / "setup.cfg").read_text().partition("extras_require")[2], re.MULTILINE)
    users = declared[: declared.index("test")]
    locks = extra_locks(users, ROOT)
    assert {path.stem.removeprefix("requirements-") for path in locks} == {*users} - CONTAINED


def test_packages_of_extras_have_the_tested_versions() -> None:
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE))

    tested = versions("requirements-test.lock")
    for extra in ("otel", "transcribe"):
        assert versions(f"requirements-{extra}.lock").items() <= tested.items()


def test_unknown_extra_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="the extra 'speech' does not exist: EXTRAS takes mcp, otel, postgres, transcribe"
    ):
        extra_locks(["speech"], ROOT)


def test_progress_is_the_last_line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.install.INTERVAL_SECONDS", 0.01)
    waits = "import sys, time; print('Collecting av==19.0.0', flush=True); time.sleep(0.5); sys.exit(3)"
    assert run([sys.executable, "-c", waits]) == (3, "Collecting av==19.0.0\n")
    assert "  Collecting av==19.0.0 (0 s)\n" in capfd.readouterr().out


def test_index_of_pip_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from it, although uv does not read the configuration of pip."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert not names_index()
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    assert names_index()
