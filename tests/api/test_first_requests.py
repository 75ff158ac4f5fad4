"""The first requests after a start: what they build is built once, and not by the event loop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clipengine.api.reference import openapi
from clipengine.api.routes import documents
from tests.support.api import api_server, recorded_engine


def test_documents_of_first_requests_are_built_once_and_off_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders: dict[str, list[threading.Thread]] = {"describe": [], "_texts": [], "_assets": []}
    for module, name in ((openapi, "describe"), (documents, "_texts"), (documents, "_assets")):
        real = getattr(module, name)

        def noted(*given: Any, real: Any = real, name: str = name) -> Any:
            builders[name].append(threading.current_thread())
            return real(*given)

        monkeypatch.setattr(module, name, noted)
    paths = ["/v1/openapi.json", "/docs/start", "/docs/search?q=clip", "/docs/way.svg"] * 2
    with recorded_engine(tmp_path) as engine, api_server(engine) as server, server.client("") as http:
        with ThreadPoolExecutor(len(paths)) as threads:
            answers = list(threads.map(http.get, paths))
        assert [each.status_code for each in answers] == [200] * len(paths)
        assert {name: len(found) for name, found in builders.items()} == dict.fromkeys(builders, 1)
        assert server.thread not in [thread for found in builders.values() for thread in found]
