"""Invalid API keys: the same response on every route, and no part of the key in the log."""

from __future__ import annotations

import hmac
import logging
import re
from typing import Any

import httpx
import pytest

from clipengine.ledger.people import keys as keys_module
from tests.support.api import ApiServer, RecordedEngine

SECRET = "x" * 43


def signed(start: str) -> str:
    return f"{start}_{keys_module._checksum(start)}"


@pytest.fixture
def wrong(engine: RecordedEngine) -> dict[str, str]:
    """Return invalid keys by kind. Ids in them, if any, are real."""
    known, _ = engine.ledger.keys.create("known")
    gone, revoked = engine.ledger.keys.create("gone")
    _, whole = engine.ledger.keys.create("whole")
    engine.ledger.keys.revoke(gone.key_id)
    return {
        "malformed": f"relay_live_{SECRET}",
        "mistyped": whole[:-1] + ("a" if whole[-1] != "a" else "b"),
        "unknown": signed(f"relay_live_{'0' * 26}_{SECRET}"),
        "another secret": signed(f"relay_live_{known.key_id.removeprefix('key_')}_{SECRET}"),
        "revoked": revoked,
    }


def routes(http: httpx.Client) -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = http.get("/v1/openapi.json").json()["paths"]
    found = [
        (method.upper(), re.sub(r"\{(\w+)_id\}", r"\1_x", path))
        for path, methods in paths.items()
        if path.startswith("/v1/") and not path.startswith("/v1/ingest/")  # verified by the scheme of each source
        for method in methods
    ]
    return [*found, ("GET", "/metrics"), ("HEAD", "/v1/events"), ("HEAD", "/v1/clips")]


@pytest.mark.exhaustive
def test_every_route_gives_the_same_response(
    server: ApiServer, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), server.client("") as http:
        called = routes(http)
        assert len(called) > 30
        for method, path in called:
            answers = [http.request(method, path, headers={"Authorization": f"Bearer {key}"}) for key in wrong.values()]
            assert {answer.status_code for answer in answers} == {401}, (method, path)
            assert len({answer.content for answer in answers}) == 1, (method, path)
            assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1, (method, path)
            assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    told = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]  # logged by the test client
    log = "\n".join(record.getMessage() + str(record.exc_info or "") for record in told)
    for key in wrong.values():
        assert key[-30:] not in log
    assert SECRET not in log


def test_public_routes_ignore_the_key(server: ApiServer, wrong: dict[str, str]) -> None:
    """A health check behind a proxy that adds an outdated key keeps working."""
    for path in ("/livez", "/v1/openapi.json", "/docs", "/"):
        with server.client(wrong["revoked"]) as http:
            assert http.get(path, follow_redirects=True).status_code == 200, path


def test_unknown_key_takes_the_same_steps_as_a_known_one(
    engine: RecordedEngine, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are hashed and compared in constant time with a value of equal length."""
    compared: list[tuple[str, str]] = []
    looked: list[str] = []
    compare, by_key = hmac.compare_digest, engine.ledger.keys._database.by_key

    def compare_digest(one: str, other: str) -> bool:
        if len(one) == 64:  # the checksum is compared too
            compared.append((one, other))
        return compare(one, other)

    def look(model: Any, value: str) -> Any:
        looked.append(value)
        return by_key(model, value)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", compare_digest)
    monkeypatch.setattr(engine.ledger.keys._database, "by_key", look)
    for name, key in wrong.items():
        compared.clear()
        looked.clear()
        assert engine.ledger.keys.verify(key) is None
        assert len(looked) == len(compared) == 1, name
        assert [len(each) for each in compared[0]] == [64, 64], name
        assert (compared[0][1] == keys_module._NO_DIGEST) == (name in ("malformed", "mistyped", "unknown")), name
