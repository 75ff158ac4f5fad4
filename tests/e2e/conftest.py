"""Fixtures for the end-to-end tests: a recording made on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipengine.client import Client
from scripts.sample import make_sample
from tests.support.forked_children import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401 - hooks
from tests.support.hosts import hosts  # noqa: F401 - fixture
from tests.support.moments_film import make_moments_film
from tests.support.outage import Outage
from tests.support.s3 import S3Server, faulty_s3  # noqa: F401 - fixture
from tests.support.s3_faults import FaultyS3
from tests.support.server import RunningServer, running_server


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of twelve seconds of moving picture and tone."""
    path = tmp_path_factory.mktemp("film") / "meeting.mp4"
    make_sample(path, seconds=12)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    return server.client()


@pytest.fixture(scope="module")
def moments_id(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the id of a film with keyframes, changes of scene and silences at known times."""
    film = make_moments_film(tmp_path_factory.mktemp("film") / "film.mp4")
    return client.recordings.wait(client.recordings.upload(film).recording_id, timeout=300).recording_id


@pytest.fixture
def outage(s3: S3Server, bucket: str, faulty_s3: FaultyS3, tmp_path: Path) -> Outage:  # noqa: F811
    return Outage(s3, bucket, faulty_s3, tmp_path / "data")
