"""Fixtures for the API tests: a recording engine and a real server in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.forked_children import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401 - hooks


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    with recorded_engine(tmp_path / "data", webhooks={"allow_cidrs": ["127.0.0.0/8"]}) as engine:
        yield engine


@pytest.fixture
def server(engine: RecordedEngine) -> Iterator[ApiServer]:
    with api_server(engine) as server:
        yield server


@pytest.fixture
def http(server: ApiServer) -> Iterator[httpx.Client]:
    """Yield a client whose key has every scope."""
    with server.client() as client:
        yield client


@pytest.fixture
def recording(engine: RecordedEngine) -> Recording:
    return engine.make_recording()


@pytest.fixture
def clip(engine: RecordedEngine, recording: Recording) -> Clip:
    """Return a queued clip."""
    return engine.make_clip(recording)
