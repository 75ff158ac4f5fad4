"""Sign-in by a trusted proxy: headers of its peers only, sessions of users, and rights that change."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.concurrency import run_in_threadpool

from clipengine.api.http import operation, rights
from clipengine.api.routes import events
from clipengine.ledger.people import user_sessions
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine

PROXY = {"enabled": True, "peers": ["127.0.0.1", "10.0.0.0/8"], "operators": ["admins"], "editors": ["cutters"]}
ANNA = {"Remote-User": "anna", "Remote-Name": "Anna Łódź", "Remote-Groups": "people,cutters"}
PAGE = {"X-Clipengine-Page": b"1"}


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[RecordedEngine]:
    proxy = {**PROXY, "default_role": "viewer"}
    with recorded_engine(tmp_path / "data", auth={"proxy": proxy}) as engine:
        yield engine


@pytest.fixture
def page(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client("") as http:
        yield http


def headers(**changed: str) -> dict[str, bytes]:
    """Return the headers of the proxy in UTF-8."""
    given = ANNA | {f"Remote-{name.title()}": value for name, value in changed.items()}
    return {name: value.encode() for name, value in given.items()}


def get(http: httpx.Client, path: str, given: Any = None) -> httpx.Response:
    return http.get(path, headers=headers() if given is None else given)


def test_first_visit_creates_the_user_and_a_session(page: httpx.Client, engine: RecordedEngine) -> None:
    assert page.get("/session").status_code == 204
    assert get(page, "/v1/me").status_code == 401  # a session comes first, so that it can be ended
    answer = get(page, "/session")
    shown = answer.json()
    assert shown.pop("may")
    assert shown | {"id": ""} == {
        "id": "",
        "name": "Anna Łódź",
        "scopes": ["read", "write"],
        "role": "editor",
    }
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert get(page, "/session").headers.get("set-cookie") is None
    user = get(page, "/v1/me").json()["user"]
    assert (user["user_id"], user["subject"], user["source"]) == (shown["id"], "anna", "proxy")
    assert [each.user_id for each in engine.ledger.users.list(limit=9).data] == [shown["id"]]


def test_session_is_valid_only_with_the_headers_of_its_user(page: httpx.Client, engine: RecordedEngine) -> None:
    get(page, "/session")
    assert page.get("/v1/me").status_code == 401
    assert get(page, "/v1/me", headers(user="berta")).status_code == 401
    assert get(page, "/v1/me", headers(user="Anna")).status_code == 401
    assert get(page, "/v1/me", headers(user="")).status_code == 401
    assert get(page, "/v1/me").status_code == 200
    berta = get(page, "/session", headers(user="berta", groups="")).json()
    assert berta["role"] == "viewer"
    assert get(page, "/v1/me").status_code == 401


def test_groups_of_each_request_decide_its_role(page: httpx.Client) -> None:
    get(page, "/session")
    delete = {"clip_ids": ["x"]}
    assert page.post("/v1/clips/delete", json=delete, headers=headers() | PAGE).is_success
    lowered = headers(groups="people") | PAGE
    assert page.post("/v1/clips/delete", json=delete, headers=lowered).status_code == 403
    assert get(page, "/v1/me", lowered).json()["scopes"] == ["read"]
    raised = headers(groups="x, admins ,y")
    assert get(page, "/v1/users", raised).json()["data"][0]["role"] == "operator"
    assert get(page, "/v1/users", headers(groups="Admins,adminsx")).status_code == 403


@pytest.mark.parametrize("lowered_by", ["the proxy", "an operator"])
def test_role_that_is_lowered_while_a_body_arrives_counts_and_stays(
    page: httpx.Client, server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, lowered_by: str
) -> None:
    """The groups that the request stated before do not raise it again."""
    user_id = get(page, "/session").json()["id"]
    engine.put("a.mp4", b"media")
    recording = engine.ledger.recordings.register("a.mp4", etag="e", size=5)[0].recording_id
    monkeypatch.setattr(rights, "CHECK_SECONDS", 0)
    read_body, roles = operation.read_body, []

    def lower() -> None:
        if lowered_by == "an operator":
            engine.ledger.users.set_role(user_id, "viewer")
        else:
            with server.client("") as other:
                other.cookies.update(page.cookies)
                assert get(other, "/v1/me", headers(groups="people")).status_code == 200
        roles.append(engine.ledger.users.get(user_id).role)

    async def lowering(*given: Any, **named: Any) -> Any:
        text = await read_body(*given, **named)
        await run_in_threadpool(lower)
        return text

    monkeypatch.setattr(operation, "read_body", lowering)
    answer = page.patch(f"/v1/recordings/{recording}", json={"name": "b"}, headers=headers() | PAGE)
    assert (answer.status_code, roles) == (403, ["viewer"])
    assert engine.ledger.users.get(user_id).role == "viewer"
    monkeypatch.undo()
    assert page.patch(f"/v1/recordings/{recording}", json={"name": "b"}, headers=headers() | PAGE).is_success


def test_user_without_a_role_is_refused(tmp_path: Any) -> None:
    with (
        recorded_engine(tmp_path / "none", auth={"proxy": PROXY}) as engine,
        api_server(engine) as server,
        server.client("") as http,
    ):
        assert get(http, "/session", headers(groups="people")).status_code == 403
        assert engine.ledger.users.list(limit=9).data == []
        user_id = get(http, "/session").json()["id"]
        with server.client(engine.ledger.keys.create("mine", user_id=user_id)[1]) as keyed:
            assert keyed.get("/v1/me").status_code == 200
            assert get(http, "/v1/me", headers(groups="")).status_code == 403
            assert get(http, "/v1/me").status_code == 401  # its session has ended, and with it its event streams
            assert keyed.get("/v1/me").status_code == 403
            assert get(http, "/session", headers(groups="people")).status_code == 403
            assert get(http, "/session").status_code == 200
            assert keyed.get("/v1/me").status_code == 200


def test_operator_gives_a_role_where_groups_do_not(tmp_path: Any) -> None:
    without_groups = {"enabled": True, "peers": ["127.0.0.1"], "groups_header": ""}
    with (
        recorded_engine(tmp_path / "none", auth={"proxy": without_groups}) as engine,
        api_server(engine) as server,
        server.client("") as http,
        server.client() as admin,
    ):
        for _ in range(2):
            refused = get(http, "/session", headers(groups="admins"))
            assert (refused.status_code, refused.json()["hint"]) == (403, "Ask an operator for a role.")
        (user,) = admin.get("/v1/users").json()["data"]
        assert (user["name"], user["role"]) == ("Anna Łódź", "none")
        assert admin.get("/v1/sessions?all=true").json()["data"] == []
        created = admin.get("/v1/audit", params={"action": "user.create"}).json()["data"]
        assert [each["object_id"] for each in created] == [user["user_id"]]
        assert admin.patch(f"/v1/users/{user['user_id']}", json={"role": "editor"}).status_code == 200
        assert get(http, "/session").json()["role"] == "editor"
        with server.client("") as another:
            assert get(another, "/session").json()["role"] == "editor"
        engine.ledger.users.set_role(user["user_id"], "none")
        assert get(http, "/v1/me").status_code == 403
        with server.client("") as another:
            assert get(another, "/session").status_code == 403


def test_event_stream_of_a_key_ends_when_its_user_has_no_role_any_more(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RIGHTS_SECONDS", 0.2)
    with (
        recorded_engine(tmp_path / "none", auth={"proxy": PROXY}) as engine,
        api_server(engine) as server,
        server.client("") as http,
    ):
        user_id = get(http, "/session").json()["id"]
        keyed = server.client(engine.ledger.keys.create("mine", user_id=user_id)[1])
        with keyed, keyed.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            assert get(http, "/v1/me", headers(groups="people")).status_code == 403
            assert not [each for each in lines if each.startswith("event:")]


@pytest.mark.parametrize(
    ("name", "sent", "fault"),
    [
        ("twice", [("Remote-User", b"anna"), ("remote-user", b"anna")], "comes twice"),
        (
            "groups twice",
            [("Remote-User", b"anna"), ("Remote-Groups", b"a"), ("Remote-Groups", b"admins")],
            "comes twice",
        ),
        ("no UTF-8", [("Remote-User", b"ann\xe4")], "is not UTF-8"),
        ("control character", [("Remote-User", "ann\u0085a".encode())], "has control characters"),
        ("no-break space", [("Remote-User", "\u00a0anna".encode())], "begins or ends with spaces"),
        ("hidden character", [("Remote-User", "anna\u200b".encode())], "has control characters"),
        ("long", [("Remote-User", b"a" * 201)], "is too long"),
        ("many groups", [("Remote-User", b"anna"), ("Remote-Groups", b"a," * 1001)], "has more than 1000 groups"),
    ],
)
def test_unclear_headers_are_refused_and_logged(
    page: httpx.Client, name: str, sent: list[tuple[str, bytes]], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = page.get("/session", headers=sent)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert fault in answer.json()["detail"]
    assert any("127.0.0.1 is refused: the header remote-" in each and fault in each for each in caplog.messages)


def test_header_of_a_megabyte_is_refused_by_the_server(page: httpx.Client) -> None:
    assert page.get("/session", headers={"Remote-User": "a" * 1_000_000}).status_code == 431


def test_headers_of_another_peer_are_refused_also_with_a_session_or_a_key(
    server: ApiServer, page: httpx.Client, engine: RecordedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    get(page, "/session")
    cookie = {"Cookie": f"clipengine_session={page.cookies['clipengine_session']}".encode()}
    forwarded = {"X-Forwarded-For": b"127.0.0.1", "X-Real-IP": b"127.0.0.1", "Forwarded": b"for=127.0.0.1"}
    key = {"Authorization": f"Bearer {server.key}".encode()}
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=server.url, transport=transport, timeout=300) as other:
        for extra in ({}, forwarded, cookie, cookie | forwarded, key):
            for path in ("/session", "/v1/me"):
                assert get(other, path, headers() | extra).status_code == 403, (path, extra)
        assert other.get("/v1/me", headers={"Remote-Groups": "admins"}).status_code == 403
        assert other.get("/v1/me", headers=key).status_code == 200
        assert other.get("/v1/me", headers=cookie).status_code == 401
    assert any("127.0.0.2 is refused" in each for each in caplog.messages)
    assert len(engine.ledger.users.list(limit=9).data) == 1


def test_headers_mean_nothing_while_the_proxy_is_not_enabled(tmp_path: Any) -> None:
    with recorded_engine(tmp_path / "off") as engine, api_server(engine) as server, server.client("") as http:
        user = engine.ledger.users.sign_in("anna", source="proxy", name="Anna", role="operator")
        _, token = engine.ledger.user_sessions.begin(user.user_id)
        assert get(http, "/session").status_code == 204
        given = headers() | {"Cookie": f"clipengine_session={token}".encode()}
        assert get(http, "/v1/me", given).status_code == 401


def test_other_sites_neither_sign_in_nor_use_a_session(page: httpx.Client, engine: RecordedEngine) -> None:
    cross = headers() | {"Sec-Fetch-Site": b"cross-site"}
    assert get(page, "/session", cross).status_code == 403
    assert engine.ledger.users.list(limit=9).data == []
    get(page, "/session")
    assert get(page, "/v1/me", cross).status_code == 403
    assert page.post("/v1/clips/delete", json={"clip_ids": ["x"]}, headers=headers()).status_code == 403


def test_disabled_user_is_kept_out_and_a_deleted_one_is_new(
    page: httpx.Client, http: httpx.Client, engine: RecordedEngine
) -> None:
    one = f"/v1/users/{get(page, '/session').json()['id']}"
    assert http.patch(one, json={"disabled": True}).is_success
    assert get(page, "/v1/me").status_code == 401
    assert get(page, "/session").status_code == 403
    assert http.patch(one, json={"disabled": False}).is_success
    assert get(page, "/v1/me").status_code == 401  # its session has ended
    assert get(page, "/session").status_code == 200
    assert http.delete(one).status_code == 204
    assert get(page, "/v1/me").status_code == 401
    assert get(page, "/session").json()["id"] not in one


@pytest.mark.parametrize("how", ["disabled", "session ended", "deleted"])
def test_open_event_stream_ends_with_the_right_to_read(
    page: httpx.Client, http: httpx.Client, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RIGHTS_SECONDS", 0.2)
    user_id = get(page, "/session").json()["id"]
    (session,) = get(page, "/v1/sessions").json()["data"]
    with page.stream("GET", "/v1/events", headers=headers()) as stream:
        lines = stream.iter_lines()
        next(lines)
        if how == "disabled":
            http.patch(f"/v1/users/{user_id}", json={"disabled": True}).raise_for_status()
        elif how == "deleted":
            http.delete(f"/v1/users/{user_id}").raise_for_status()
        else:
            http.delete(f"/v1/sessions/{session['session_id']}").raise_for_status()
        assert not [each for each in lines if each.startswith("event:")]


def test_user_has_a_bounded_number_of_sessions(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_sessions, "MAX_SESSIONS", 3)
    pages = [server.client("") for _ in range(4)]
    for each in pages:
        get(each, "/session")
    assert [get(each, "/v1/me").status_code for each in pages] == [401, 200, 200, 200]
    for each in pages:
        each.close()
