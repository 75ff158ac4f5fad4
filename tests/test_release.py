"""The release: what it builds is accepted by the indexes, and its workflow publishes by trusted publishing alone."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import clipengine
from scripts.dist import build, metadata_of, problems

ROOT = Path(__file__).parent.parent
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sdist, wheel = build(tmp_path_factory.mktemp("dist"))
    assert sdist.stat().st_size > 100_000
    return wheel


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW)["jobs"]
    return found


@pytest.mark.exhaustive
def test_built_wheel_has_no_problems(wheel: Path) -> None:
    assert problems(wheel, CHANGELOG) == []
    assert metadata_of(wheel)["Version"] == clipengine.__version__


@pytest.mark.exhaustive
def test_release_without_a_dated_section_in_the_changelog_is_rejected(wheel: Path) -> None:
    assert problems(wheel, "## [Unreleased]\n") == ["the changelog has no dated section"]


@pytest.mark.exhaustive
def test_wheel_without_a_description_is_rejected(wheel: Path, tmp_path: Path) -> None:
    changed = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, text.partition(b"\n\n")[0] + b"\n\n" if name.endswith("METADATA") else text)
    assert problems(changed, CHANGELOG) == ["the description is empty"]


@pytest.mark.parametrize("job", ["pypi", "npm"])
def test_each_index_has_a_job_with_an_identity_and_no_token(job: str) -> None:
    publishing = jobs()[job]
    assert publishing["permissions"]["id-token"] == "write"
    assert publishing["environment"] == job
    assert "secrets." not in WORKFLOW
    assert "TOKEN" not in str(publishing)


def test_jobs_that_build_have_no_identity() -> None:
    for name, job in jobs().items():
        if name not in ("pypi", "npm"):
            assert "id-token" not in job.get("permissions", {}), name


def test_every_action_is_pinned_by_commit() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    used = re.findall(r"uses: (\S+)", "".join(texts))
    assert len(texts) > 1
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []


def test_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((ROOT / "config" / "helm" / "clipengine" / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (clipengine.__version__, clipengine.__version__)
