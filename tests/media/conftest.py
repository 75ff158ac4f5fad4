"""Fixtures of the media tests: the shelf of synthetic films, shared by all workers of one run."""

from __future__ import annotations

import pytest

from tests.films.catalogue import Shelf
from tests.support.forked_children import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401 - hooks


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    """Films are made on first use, once per run, in the run's temporary folder."""
    folder = tmp_path_factory.getbasetemp()
    return Shelf(folder if worker_id == "master" else folder.parent)
