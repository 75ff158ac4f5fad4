"""Requests without a key cannot fill the memory of a server or of a worker, whose port serves health and metrics."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.hosts import Hosts
from tests.support.memory import memory_growth_below
from tests.support.postgres import database_url, postgres  # noqa: F401 - fixtures
from tests.support.raw_requests import CHUNKED, ENDLESS, PIECES, answer_to, head

pytestmark = pytest.mark.outage


def test_data_beside_the_chunks_of_a_body_uses_no_memory(hosts: Hosts) -> None:
    for engine in (hosts.server("server"), hosts.worker("worker")):
        port = urlsplit(engine.url).port
        assert port is not None
        with memory_growth_below(20, engine.process.pid):
            for start, piece in ENDLESS.values():
                answer_to(port, head("GET /livez", CHUNKED) + start, *[piece] * PIECES)
        assert httpx.get(f"{engine.url}/livez", trust_env=False).status_code == 200
