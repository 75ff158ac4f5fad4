"""`may` decides every access: each route and each tool asks it, and today's rights are as documented."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from clipengine.api.http import access
from clipengine.api.http.access import PUBLIC, Action, Caller, Object, Sender, may
from clipengine.clips.clip import Clip
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.people.keys import ApiKey, Scope
from clipengine.ledger.people.principals import Principal
from clipengine.mcp.http import McpEndpoint
from clipengine.mcp.tools import TOOLS
from tests.support import events
from tests.support.api import ApiServer, api_server, recorded_engine

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REFUSED = (401, 403, 404)
# The routes that need no right.
OPEN = {
    "GET /livez",
    "GET /readyz",
    "GET /openapi.json",
    "GET /v1/openapi.json",
    "GET /docs",
    "GET /docs/{name:path}",
    "GET /",
    "GET /assets/{name:path}",
    "POST /session",
    "DELETE /session",
}
JSON_RPC = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
ID = "0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder: Path = tmp_path_factory.mktemp("access")
    ingest = {"generic": events.SETTINGS["generic"]}
    with recorded_engine(folder / "data", ingest=ingest) as engine, api_server(engine, [McpEndpoint(engine)]) as server:
        yield server


@pytest.fixture(scope="module")
def clip(server: ApiServer) -> Clip:
    engine = server.engine
    return engine.finish(engine.make_clip(engine.make_recording()))


@pytest.fixture(scope="module")
def token(server: ApiServer, clip: Clip) -> str:
    return server.engine.ledger.shares.create(clip.clip_id, expires_at=None, download=True, embed=True)[1]


Decide = Callable[[Caller, Action, Object], bool]


def decide(monkeypatch: pytest.MonkeyPatch, decision: Decide) -> None:
    """Replace `may` wherever it was imported."""
    original = may
    for module in list(sys.modules.values()):
        if getattr(module, "may", None) is original:
            monkeypatch.setattr(module, "may", decision)


def call(server: ApiServer, route: Route, method: str, clip: Clip, token: str) -> httpx.Response:
    """Send a request that a key with every scope, a valid link or a verified sender may make."""
    known = {"clip_id": clip.clip_id, "recording_id": clip.recording_id, "token": token, "source": "generic"}
    known |= {"name": "app.js" if "assets" in route.path else "start"}
    path = re.sub(r"\{(\w+)[^}]*\}", lambda found: known.get(found[1], ID), route.path)
    headers: dict[str, str] = {"Authorization": f"Bearer {server.key}"}
    content, query = b"{}", ""
    if route.path == "/oembed":
        query = f"?url={server.url}/s/{token}"
    elif route.path == "/v1/ingest/{source}":
        content = b'{"bucket_path": "a.mp4"}'
        headers = events.standard(content)
    elif route.path == "/session" and method == "POST":
        content = f'{{"key": "{server.key}"}}'.encode()
    elif route.path == "/mcp":
        headers |= JSON_RPC
        content = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    if method in ("POST", "PUT", "PATCH"):
        headers |= {"Content-Type": "application/json"}
    with (
        server.client("") as http,
        http.stream(
            method, path + query, headers=headers, content=content if method in ("POST", "PUT", "PATCH") else None
        ) as answer,
    ):  # not read: the stream of events does not end
        return answer


def walk(server: ApiServer, clip: Clip, token: str) -> dict[str, int]:
    """Return the status of every method of every route."""
    found: dict[str, int] = {}
    for route in server.app.routes:
        assert isinstance(route, Route)
        for method in METHODS:
            status = call(server, route, method, clip, token).status_code
            if status != 405:
                found[f"{method} {route.path}"] = status
    return found


def test_every_route_asks_whether_it_may_answer(
    server: ApiServer, clip: Clip, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(monkeypatch, lambda caller, action, object: False)
    answers = walk(server, clip, token)
    assert len(answers) > 60
    assert {name: status for name, status in answers.items() if status not in REFUSED} == {}


def test_only_public_routes_answer_a_caller_without_rights(
    server: ApiServer, clip: Clip, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(monkeypatch, lambda caller, action, object: object == PUBLIC)
    assert {name for name, status in walk(server, clip, token).items() if status not in REFUSED} == OPEN


def rpc(server: ApiServer, method: str, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    with server.client() as http:
        answer = http.post("/mcp", json=body, headers=JSON_RPC | {"MCP-Protocol-Version": "2025-06-18"})
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else _event(answer.text)


def _event(text: str) -> Any:
    (data,) = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return httpx.Response(200, text=data).json()


def test_every_tool_asks_whether_it_may_be_used(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [tool["name"] for tool in rpc(server, "tools/list")["result"]["tools"]]
    assert names == [tool.name for tool in TOOLS]
    decide(monkeypatch, lambda caller, action, object: object.kind == "tools")
    assert rpc(server, "tools/list")["result"]["tools"] == []
    for name in names:
        assert "may not use it" in rpc(server, "tools/call", name=name, arguments={})["error"]["message"]


def key(*scopes: Scope) -> Principal:
    return Principal.of_key(ApiKey("key_1", "test", scopes, 0))


def share(*, expires_at: int | None = None, download: bool = False, embed: bool = False) -> Share:
    return Share("shr_1", "clip_1", 0, expires_at, download, embed)


@pytest.mark.parametrize(
    ("caller", "action", "object", "allowed"),
    [
        (None, "read", PUBLIC, True),
        (None, "read", Object("clips"), False),
        (key("read"), "read", Object("clips", "clip_1"), True),
        (key("read"), "write", Object("clips", "clip_1"), False),
        (key("read", "write"), "read", Object("webhooks"), False),
        (key("write"), "read", Object("recordings"), False),
        (key("admin"), "read", Object("settings"), True),
        (key("admin"), "write", Object("keys", "key_2"), True),
        (key("admin"), "read", Object("clips"), False),
        (key("read", "write"), "read", Object("deliveries", "dlv_1"), False),
        (share(), "read", Object("clips", "clip_1"), True),
        (share(), "read", Object("clips", "clip_2"), False),
        (share(), "read", Object("clips"), False),
        (share(), "download", Object("clips", "clip_1"), False),
        (share(download=True), "download", Object("clips", "clip_1"), True),
        (share(), "embed", Object("clips", "clip_1"), False),
        (share(embed=True), "embed", Object("clips", "clip_1"), True),
        (share(download=True, embed=True), "write", Object("clips", "clip_1"), False),
        (share(), "read", Object("recordings", "clip_1"), False),
        (share(expires_at=1), "read", Object("clips", "clip_1"), False),
        (Sender("zoom"), "write", Object("recordings"), True),
        (Sender("zoom"), "read", Object("recordings"), False),
        (Sender("zoom"), "write", Object("clips"), False),
    ],
)
def test_rights(caller: Caller, action: Action, object: Object, allowed: bool) -> None:
    assert access.may(caller, action, object) is allowed
