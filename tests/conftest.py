"""Fixtures of all tests: the recordings that were made elsewhere, and a film that is made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.s3 import bucket, s3  # noqa: F401 - fixtures

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings beside the checkout; tests that need it are skipped without it."""
    if not RECORDINGS.is_dir():
        pytest.skip("the real recordings are not here (../shared/media)")
    return RECORDINGS
