"""The audit log of users: what a proxy states of them, their sessions, and refusals at `/session` and `/mcp`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from clipengine.api.http.access import Object
from clipengine.client import AsyncClient
from clipengine.ledger.people import user_sessions
from clipengine.mcp.http import McpEndpoint
from clipengine.mcp.server import remote_caller
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.audit import Log

PROXY = {"enabled": True, "peers": ["127.0.0.1"], "operators": ["admins"], "editors": ["cutters"]}
PAGE = {"X-Clipengine-Page": "1"}
RPC = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    with recorded_engine(tmp_path / "data", auth={"proxy": PROXY}) as engine:
        yield engine


@pytest.fixture
def server(engine: RecordedEngine) -> Iterator[ApiServer]:
    with api_server(engine, [McpEndpoint(engine)]) as server:
        yield server


@pytest.fixture
def page(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client("") as http:
        yield http


@pytest.fixture
def log(server: ApiServer) -> Log:
    return Log(server.engine)


def stated(groups: str = "cutters", name: str = "Anna", **extra: str) -> dict[str, str]:
    return {"Remote-User": "anna", "Remote-Name": name, "Remote-Groups": groups, **extra}


def rows(log: Log) -> list[tuple[str, str, str | None, str | None, str | None, str | None]]:
    """Return who did what, sorted by the action."""
    found = [
        (each.action, each.actor_kind, each.actor_id, each.means, each.object_id, each.within_id) for each in log.new()
    ]
    return sorted(found, key=lambda row: row[0])


def refusals(log: Log) -> Counter[tuple[str, str | None, str | None]]:
    """Return how often what was refused to whom, and from where."""
    found = {(each.action, each.actor_id, each.peer): each.count for each in log.new() if each.outcome == "refused"}
    return Counter(found)


def test_changes_that_a_proxy_states_are_acts_of_the_proxy(page: httpx.Client, server: ApiServer, log: Log) -> None:
    user = page.get("/session", headers=stated(**{"X-Request-Id": "request-1"})).json()["id"]
    (session,) = page.get("/v1/sessions", headers=stated()).json()["data"]
    entries = log.new()
    assert {(each.peer, each.request_id) for each in entries} == {("127.0.0.1", "request-1")}
    assert sorted((each.action, each.actor_kind, each.actor_id, each.object_id) for each in entries) == [
        ("session.begin", "user", user, session["session_id"]),
        ("user.create", "source", "proxy", user),
    ]
    changed = ("user.update", "source", "proxy", "proxy", user, None)
    for _ in range(2):
        assert page.get("/v1/me", headers=stated("admins")).json()["user"]["role"] == "operator"
    assert rows(log) == [changed]

    assert page.get("/v1/me", headers=stated("people")).status_code == 403
    assert page.get("/v1/me", headers=stated("people")).status_code == 401
    ended = ("session.end", "source", "proxy", "proxy", session["session_id"], user)
    assert rows(log) == [ended, changed]  # the keys of the user lose the role as well

    assert page.get("/session", headers=stated(name="Anna B.")).status_code == 200  # with another name and role
    begun, updated = rows(log)
    assert (begun[:4], updated) == (("session.begin", "user", user, "proxy"), changed)
    with server.client("") as other:
        assert other.get("/session", headers=stated("people")).status_code == 403
        *lost, refused = log.new()
        assert {(each.action, each.actor_id, each.object_id) for each in lost} == {
            ("session.end", "proxy", user),
            ("user.update", "proxy", user),
        }
        assert (refused.action, refused.outcome, refused.actor_kind) == ("session.begin", "refused", "unknown")
        assert other.get("/session", headers=stated("people")).status_code == 403
        assert [each.outcome for each in log.new()] == ["refused"]

    page.get("/session", headers=stated(name="Anna B."))
    ((*_, session_id, _), _) = rows(log)
    assert page.delete("/session", headers=stated() | PAGE).status_code == 204
    assert rows(log) == [("session.end", "user", user, "proxy", session_id, None)]
    assert log.faults() == []


def test_request_that_changes_a_role_is_recorded_beside_it(page: httpx.Client, log: Log) -> None:
    user = page.get("/session", headers=stated()).json()["id"]
    log.new()
    body = {"url": "https://example.org/hook", "events": ["clip.ready"]}
    made = page.post("/v1/webhooks", json=body, headers=stated("admins") | PAGE).json()["webhook_id"]
    assert [(each[0], each[2], each[4]) for each in rows(log)] == [
        ("user.update", "proxy", user),
        ("webhook.create", user, made),
    ]


def test_session_that_another_one_replaces_has_a_row(
    page: httpx.Client, server: ApiServer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_sessions, "MAX_SESSIONS", 1)
    user = page.get("/session", headers=stated()).json()["id"]
    (first,) = [each for each in log.new() if each.action == "session.begin"]
    with server.client("") as other:
        other.get("/session", headers=stated())
    begun, ended = rows(log)
    assert begun[:4] == ("session.begin", "user", user, "proxy")
    assert ended == ("session.end", "user", user, "proxy", first.object_id, user)


def test_refused_sign_in_of_a_disabled_user_names_the_user(page: httpx.Client, server: ApiServer, log: Log) -> None:
    user = page.get("/session", headers=stated()).json()["id"]
    server.engine.ledger.users.set_disabled(user, True)
    log.new()
    for _ in range(2):
        assert page.get("/session", headers=stated()).status_code == 403
    assert refusals(log) == {("session.begin", user, "127.0.0.1"): 2}


def test_requests_at_the_same_time_record_a_role_once(page: httpx.Client, log: Log) -> None:
    page.get("/session", headers=stated())
    log.new()
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: page.get("/v1/me", headers=stated("admins")).status_code, range(16))
        assert {*answers} == {200}
    assert [each[0] for each in rows(log)] == ["user.update"]


def test_forged_identities_are_one_count_and_no_users(server: ApiServer, page: httpx.Client, log: Log) -> None:
    page.get("/session", headers=stated())
    log.new()
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    cookie = {"Cookie": f"clipengine_session={page.cookies['clipengine_session']}"}
    with httpx.Client(base_url=server.url, transport=transport, timeout=300) as other:
        for number in range(100):
            assert other.get("/session", headers={"Remote-User": f"user-{number}"}).status_code == 403
        assert other.get("/session", headers=stated() | cookie).status_code == 403
        assert other.delete("/session", headers=stated() | PAGE).status_code == 403
        assert other.post("/mcp", json={}, headers=stated()).status_code == 403
    for bad in ("a" * 201, "anna\u200b"):
        assert page.get("/session", headers={"Remote-User": bad.encode()}).status_code == 403
    assert page.get("/session", headers=stated(**{"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert page.get("/session", headers={"Remote-User": "a" * 1_000_000}).status_code == 431  # by the server itself
    assert refusals(log) == {
        ("session.begin", None, "127.0.0.2"): 101,
        ("session.end", None, "127.0.0.2"): 1,
        ("tool.call", None, "127.0.0.2"): 1,
        ("session.begin", None, "127.0.0.1"): 3,
    }
    assert len(server.engine.ledger.users.list(limit=9).data) == 1


def call(http: httpx.Client, method: str, **params: Any) -> httpx.Response:
    return http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=RPC)


def test_refused_calls_of_tools_are_counted(server: ApiServer, page: httpx.Client, log: Log) -> None:
    user = server.engine.ledger.users.sign_in("viewer", source="proxy", name="Viewer", role="viewer")
    key, text = server.engine.ledger.keys.create("k", user_id=user.user_id)
    page.get("/session", headers=stated())
    log.new()
    with server.client(text) as weak, server.client("wrong") as wrong:
        assert call(weak, "tools/list").status_code == 200
        for name in ("create_clip", "create_clip", "no_tool", "list_clips"):
            assert call(weak, "tools/call", name=name, arguments={}).status_code == 200
        entries = log.new()
        assert [(each.action, each.outcome, each.count) for each in entries] == [("tool.call", "refused", 2)]
        assert (entries[0].actor_id, entries[0].means, entries[0].means_id) == (user.user_id, "key", key.key_id)
        for _ in range(2):
            assert call(wrong, "tools/list").status_code == 401
        assert weak.post("/mcp", json={}, headers=RPC | {"Origin": "https://evil.example"}).status_code == 403
    assert page.post("/mcp", json={}, headers=RPC | stated() | PAGE).status_code == 401  # a session has no tools
    assert refusals(log) == {("tool.call", None, "127.0.0.1"): 4}


def test_agent_that_asks_for_its_rights_is_not_refused(server: ApiServer, log: Log) -> None:
    _, text = server.engine.ledger.keys.create("k", scopes=["read"])

    async def rights() -> list[bool]:
        async with AsyncClient(server.url, text) as client:
            caller = remote_caller(client, read_only=False)
            return [await caller.may("write", Object("clips")), await caller.may("read", Object("rules"))]

    assert anyio.run(rights) == [False, False]
    assert log.new() == []
