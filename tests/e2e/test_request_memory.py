"""Requests to the port of a worker, which serves health and metrics without a key, cannot fill its memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.memory import memory_growth_below
from tests.support.postgres import database_url, postgres  # noqa: F401 - fixtures
from tests.support.raw_requests import answer_to, floods
from tests.support.server import running_worker, shared_folder


@pytest.mark.exhaustive
def test_requests_to_a_worker_cannot_fill_its_memory(database_url: str, tmp_path: Path) -> None:  # noqa: F811
    """Row 82 of the faults."""
    (tmp_path / "store").mkdir()
    with running_worker(tmp_path / "data", env=shared_folder(tmp_path, database_url)) as worker:
        port = urlsplit(worker.url).port
        assert port is not None
        requests = floods("GET /livez").values()
        with memory_growth_below(20, worker.process.pid), ThreadPoolExecutor(len(requests)) as clients:
            list(clients.map(lambda pieces: answer_to(port, *pieces), requests))
        assert httpx.get(f"{worker.url}/livez", trust_env=False).status_code == 200
