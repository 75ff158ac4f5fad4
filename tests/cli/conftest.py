"""Fixtures: a recording, and a server that is shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.sample import make_sample
from tests.support.forked_children import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401 - hooks
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of eight seconds, made like that of the demo."""
    path = tmp_path_factory.mktemp("film") / "meeting.mp4"
    make_sample(path, seconds=8)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that may send webhooks to loopback and has a slow profile."""
    slow = {"CLIPENGINE_PROFILES__SLOW__PRESET": "veryslow", "CLIPENGINE_PROFILES__SLOW__FPS": "240"}
    with running_server(tmp_path_factory.mktemp("server") / "data", env=LOOPBACK_ALLOWED | slow) as running:
        yield running
