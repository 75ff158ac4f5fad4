"""An engine that writes down what it is told, and the API over it in a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.clips.clip import Clip, Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine


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
    """A client whose key has every scope."""
    with server.client() as client:
        yield client


@pytest.fixture
def recording(engine: RecordedEngine) -> Recording:
    return engine.make_recording()


@pytest.fixture
def clip(engine: RecordedEngine, recording: Recording) -> Clip:
    """A clip that is queued."""
    return engine.make_clip(recording)
