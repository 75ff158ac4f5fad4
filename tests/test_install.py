"""Installation of the locked packages: extras and progress."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

import pytest

from scripts.install import CONTAINED, extra_locks, names_index, run, succeed
from scripts.progress import reported

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
        ValueError, match="the extra 'speech' does not exist: EXTRAS takes mcp, oidc, otel, postgres, transcribe"
    ):
        extra_locks(["speech"], ROOT)


def test_step_is_reported_again_until_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    left, enough = [1, 1], threading.Event()

    def line() -> str:
        if left:
            left.pop()
        else:
            enough.set()
        return "making a sample"

    with reported(line, interval=0.001):
        assert enough.wait(300)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= 3
    assert {re.sub(r"\d+ s", "N s", each) for each in printed} == {"making a sample (N s)"}


def test_output_of_a_failed_command_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "print('no network'); exit(3)"]
    assert run(command) == (3, "no network\n")
    assert succeed(command, "installing pip") == 3
    assert capsys.readouterr().err == "no network\n"


def test_index_of_pip_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from it, although uv does not read the configuration of pip."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/index")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert not names_index()
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    assert names_index()
