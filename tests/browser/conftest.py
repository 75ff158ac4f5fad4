"""Fixtures for the browser tests: Chromium, a folder of clips, a server with a recording, and axe-core."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.catalogue import Shelf
from tests.films.film import Film
from tests.support.file_server import serve_folder
from tests.support.page import until
from tests.support.player import CHROMIUM, Player, Stage, chromium, player_page
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    """Return the films, made once per run and shared with the media tests."""
    folder = tmp_path_factory.getbasetemp()
    return Shelf(folder if worker_id == "master" else folder.parent)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield a browser per module, not per session: an open browser occupies this thread's event loop."""
    if not Path(CHROMIUM).exists() or importlib.util.find_spec("playwright") is None:
        reason = f"no browser: these tests need {CHROMIUM} and the package playwright"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as opened:
        yield opened


@pytest.fixture
def stage(browser: Any, tmp_path: Path) -> Iterator[Stage]:
    """Yield a new page for each test."""
    (tmp_path / "player.html").write_text(player_page())
    with serve_folder(tmp_path) as address:
        context = browser.new_context()
        try:
            yield Stage(tmp_path, Player(context.new_page(), address))
        finally:
            context.close()


@pytest.fixture(scope="session")
def film(shelf: Shelf) -> Film:
    return shelf.get("mp4_25")


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("page")
    with running_server(folder / "data", env=LOOPBACK_ALLOWED) as server:
        yield server


@pytest.fixture(scope="session")
def recording(server: RunningServer, film: Film) -> Recording:
    client = server.client()
    return client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)


@pytest.fixture(autouse=True)
def _without_segments(request: pytest.FixtureRequest) -> None:
    """Empty the list of segments of the recording that the tests share, which is stored with it."""
    if "recording" in request.fixturenames:
        server, recording = request.getfixturevalue("server"), request.getfixturevalue("recording")
        server.client().recordings.put_segments(recording.recording_id, [])


_STILL = """!document.getAnimations().some(({playState, effect}) =>
    playState === "running" && effect.getComputedTiming().endTime !== Infinity)"""


class Judge:
    """Collects the findings of axe-core on a screen.

    Adds rules that axe-core does not apply by default: targets have 24 pixels, as WCAG 2.2 AA demands, and the name of
    a control contains its visible text, as those who speak to their browser need.
    """

    def __init__(self) -> None:
        self._rules = {name: {"enabled": True} for name in ("target-size", "label-content-name-mismatch")}
        self._axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        self.found: list[str] = []

    def __call__(self, page: Any, where: str, *, contrast: bool = True) -> None:
        """Judge a screen. The contrast of colours takes half of the time; pages of one stylesheet may leave it out."""
        until(page, _STILL)  # a colour of a transition has less contrast
        rules = {**self._rules, "color-contrast": {"enabled": contrast}}
        options = {"resultTypes": ["violations"], "rules": rules}
        for fault in self._axe.run(page, options=options).response["violations"]:
            nodes = [node["html"][:120] for node in fault["nodes"]][:3]
            self.found.append(f"{where}: {fault['impact']}: {fault['id']}: {nodes}")


@pytest.fixture
def judge() -> Iterator[Judge]:
    """Fail the test at its end if there are findings."""
    judge = Judge()
    yield judge
    assert judge.found == []
