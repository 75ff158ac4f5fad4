"""Fixtures for the end-to-end tests: a recording made on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.sample import make_sample
from tests.support.hosts import hosts  # noqa: F401 - fixture
from tests.support.outage import Outage
from tests.support.s3 import S3Server, faulty_s3  # noqa: F401 - fixture
from tests.support.s3_faults import FaultyS3


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of twelve seconds of moving picture and tone."""
    path = tmp_path_factory.mktemp("film") / "meeting.mp4"
    make_sample(path, seconds=12)
    return path


@pytest.fixture
def outage(s3: S3Server, bucket: str, faulty_s3: FaultyS3, tmp_path: Path) -> Outage:  # noqa: F811
    return Outage(s3, bucket, faulty_s3, tmp_path / "data")
