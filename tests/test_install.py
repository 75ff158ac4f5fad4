"""Installation of the locked packages: extras and progress."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.install import CONTAINED, extra_locks, state

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


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "0 of at most 71 packages"),
        (["Collecting av==19.0.0 (from -r requirements.lock (line 1))\n"], "1 of at most 71 packages: av"),
        (
            ["Collecting av==1\n", "  Downloading av-1.whl (36 MB)\n", "Collecting idna==3\n"],
            "2 of at most 71 packages: idna",
        ),
        (["Collecting av==1\n", "Installing collected packages: av\n"], "unpacking the packages"),
    ],
)
def test_progress_names_the_package(lines: list[str], expected: str) -> None:
    assert state(lines, 71) == expected
