"""What the end-to-end tests share: a recording that is made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.sample import make_sample
from tests.support.s3 import faulty_s3  # noqa: F401 - fixture


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of moving picture and tone."""
    path = tmp_path_factory.mktemp("film") / "meeting.mp4"
    make_sample(path, seconds=12)
    return path
