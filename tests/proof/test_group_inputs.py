"""Inputs of groups: a change selects the groups whose tests can see it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from tests.support.group_inputs import GroupInputs

ROOT = Path(__file__).parents[2]
VERSIONS = {"python": "3.11.7", "ffmpeg": "7.1.5", "store": "moto"}
MEDIA, API, PAGE, OUTAGE = (f"tests/{name}.py" for name in ("media/test_m", "api/test_a", "browser/test_b", "test_o"))
GROUPS = {MEDIA, API, PAGE, OUTAGE}

_TREE = {
    "setup.cfg": "",
    "requirements.lock": "",
    "README.md": "",
    "clipengine/__init__.py": "",
    "clipengine/errors.py": "",
    "clipengine/unused.py": "",
    "clipengine/media/__init__.py": "",
    "clipengine/media/cut.py": "def cut():\n    from clipengine import errors",
    "clipengine/media/worker/__init__.py": "",
    "clipengine/media/worker/maker.py": "import clipengine.media.cut",
    "clipengine/api/__init__.py": "",
    "clipengine/api/app.py": "import clipengine.api.routes",
    "clipengine/api/routes.py": "PROGRAM = f'clipengine.media.worker.{name}'",
    "clipengine/api/templates/form.html": "",
    "clipengine/cli/__init__.py": "",
    "clipengine/cli/main.py": "COMMANDS = {'serve': 'clipengine.api.app:serve'}",
    "clipengine/web/page.js": "",
    "clipengine/docs/start.md": "",
    "config/prometheus.yml": "",
    "scripts/sample.py": "",
    "tests/conftest.py": "import tests.support.s3",
    "tests/support/__init__.py": "",
    "tests/support/s3.py": "",
    "tests/support/server.py": "COMMAND = BIN / 'clipengine'",
    "tests/support/player.py": "from playwright.sync_api import Page",
    "tests/films/__init__.py": "",
    "tests/films/film.py": "",
    "tests/support/hook.mjs": "",
    "tests/api/events/made.json": "",
    "tests/media/conftest.py": "from tests.films.film import Film",
    "tests/proof/3.11.txt": "",
    "tests/releases/0.1.0.tar.xz": "",
    MEDIA: "from clipengine.media import cut\nMADE = TESTS / 'api' / 'events' / 'made.json'",
    API: "from clipengine.api.app import app\nfrom tests.support.s3 import S3",
    PAGE: "from tests.support import player, server\npage.goto('/docs/start')",
    OUTAGE: "@pytest.mark.outage\ndef test_o(): README = ROOT / 'README.md'",
}


@functools.cache
def _real() -> GroupInputs:
    return GroupInputs(ROOT, VERSIONS)


def _write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def _hashes(root: Path, versions: dict[str, str]) -> dict[str, str]:
    inputs = GroupInputs(root, versions)
    assert set(inputs.tests()) == GROUPS
    return {group: inputs.hash(group) for group in GROUPS}


@pytest.mark.parametrize(
    ("changed", "groups"),
    [
        ("setup.cfg", GROUPS),
        ("requirements.lock", GROUPS),
        ("clipengine/__init__.py", GROUPS),
        ("tests/conftest.py", GROUPS),
        ("tests/support/s3.py", GROUPS),
        ("clipengine/errors.py", GROUPS),
        ("clipengine/media/cut.py", GROUPS),
        ("clipengine/media/worker/maker.py", {API, PAGE, OUTAGE}),  # a child, named by the beginning of its name
        ("clipengine/api/routes.py", {API, PAGE, OUTAGE}),
        ("clipengine/api/templates/form.html", {API, PAGE, OUTAGE}),
        ("clipengine/cli/main.py", {PAGE, OUTAGE}),
        ("clipengine/unused.py", {OUTAGE}),
        ("clipengine/new.py", {OUTAGE}),
        ("clipengine/web/page.js", {PAGE}),
        ("clipengine/docs/start.md", {PAGE}),
        ("tests/films/film.py", {MEDIA}),
        ("tests/media/conftest.py", {MEDIA}),
        ("tests/support/hook.mjs", GROUPS),  # every conftest has modules beside it
        ("tests/api/events/made.json", {API, MEDIA}),
        (MEDIA, {MEDIA}),
        ("tests/releases/0.1.0.tar.xz", {OUTAGE}),
        ("tests/releases/0.3.0.tar.xz", {OUTAGE}),
        ("README.md", {OUTAGE}),
        ("config/prometheus.yml", set()),
        ("scripts/sample.py", set()),
        ("tests/proof/3.11.txt", set()),
    ],
)
def test_change_of_a_file_selects_the_groups_that_need_it(tmp_path: Path, changed: str, groups: set[str]) -> None:
    for name, text in _TREE.items():
        _write(tmp_path, name, text)
    before = _hashes(tmp_path, VERSIONS)
    _write(tmp_path, changed, _TREE.get(changed, "") + "\n# changed\n")
    after = _hashes(tmp_path, VERSIONS)
    assert {group for group in GROUPS if before[group] != after[group]} == groups


@pytest.mark.parametrize(
    ("changed", "groups"), [("python", GROUPS), ("ffmpeg", GROUPS), ("store", {API})], ids=["python", "ffmpeg", "store"]
)
def test_change_of_a_version_selects_the_groups_that_use_it(tmp_path: Path, changed: str, groups: set[str]) -> None:
    for name, text in _TREE.items():
        _write(tmp_path, name, text)
    before, after = _hashes(tmp_path, VERSIONS), _hashes(tmp_path, VERSIONS | {changed: "newer"})
    assert {group for group in GROUPS if before[group] != after[group]} == groups


def test_tests_that_are_deselected_are_not_proved() -> None:
    group = "tests/media/test_exact.py"
    assert _real().hash(group) != _real().hash(group, ["tests/media/test_exact.py::test_every_film_is_cut_exactly"])


_CUT, _EDITS, _REQUESTS = (
    "tests/media/test_exact.py",
    "tests/media/test_smart_render.py",
    "tests/api/test_openapi_conformance.py",
)
_TOPICS, _RACES, _LAYOUT = "tests/clips/test_topics.py", "tests/ledger/test_races.py", "tests/browser/test_layout.py"
_HOSTS, _COMMAND, _RECIPES = "tests/e2e/test_hosts.py", "tests/cli/test_process.py", "tests/cli/test_recipes.py"
_ALL = {_CUT, _EDITS, _REQUESTS, _TOPICS, _RACES, _LAYOUT, _HOSTS, _COMMAND, _RECIPES}
_SERVERS = {_REQUESTS, _LAYOUT, _HOSTS, _COMMAND, _RECIPES}


@pytest.mark.parametrize(
    ("changed", "groups"),
    [
        ("clipengine/media/cut.py", _SERVERS | {_CUT, _EDITS}),
        ("clipengine/media/worker/maker.py", _SERVERS | {_CUT, _EDITS}),
        ("clipengine/media/previews/frame.py", _SERVERS | {_CUT, _EDITS}),
        ("clipengine/api/routes/clips.py", _SERVERS),
        ("clipengine/cli/local/cut.py", _SERVERS - {_REQUESTS}),
        ("clipengine/ledger/database/migrations.py", _SERVERS | {_RACES}),
        ("clipengine/errors.py", _ALL),
        ("tests/films/makers_mp4.py", {_CUT, _EDITS, _LAYOUT}),
        ("clipengine/web/app.js", {_LAYOUT}),
        ("clipengine/docs/recipes/oidc.md", {_RECIPES}),
        ("tests/releases/0.2.0.tar.xz", {_HOSTS}),
        ("requirements.lock", _ALL),
        ("CHANGELOG.md", set()),
    ],
)
def test_change_of_the_project_selects_the_right_groups(changed: str, groups: set[str]) -> None:
    assert (ROOT / changed).exists()
    assert {group for group in _ALL if changed in _real().paths(group)} == groups
