"""Sign-in with an OpenID provider that lies: no session comes from an answer that is not right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from clipengine.api.http import provider_slots
from clipengine.api.routes import events
from clipengine.oidc import flow as flows
from clipengine.oidc import provider as providers
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.audit import Log
from tests.support.oidc_provider import CLIENT, SECRET, LyingProvider, lying_provider, new_key

CALLBACK = "/session/oidc/callback"
PAGE = {"X-Clipengine-Page": "1"}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingProvider]:
    """Run a provider for which the engine waits long, so that a busy machine ends no sign-in."""
    monkeypatch.setattr(providers, "SECONDS", 300.0)
    monkeypatch.setattr(provider_slots, "_WAIT_SECONDS", 300.0)
    with lying_provider() as provider:
        yield provider


@pytest.fixture
def log(engine: RecordedEngine) -> Log:
    return Log(engine)


def options(provider: LyingProvider, **changed: Any) -> dict[str, Any]:
    return {
        "enabled": True,
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "allow_cidrs": ["127.0.0.0/8"],
        "operators": ["admins"],
        "editors": ["cutters"],
    } | changed


@contextmanager
def an_engine(folder: Path, provider: LyingProvider, url: str = "http://localhost", **changed: Any) -> Iterator[Any]:
    settings = {"auth": {"oidc": options(provider, **changed)}, "server": {"public_url": url}}
    with recorded_engine(folder, **settings) as engine:
        yield engine
        engine.oidc.close()


@pytest.fixture
def engine(tmp_path: Path, provider: LyingProvider) -> Iterator[RecordedEngine]:
    with an_engine(tmp_path / "data", provider) as engine:
        yield engine


@pytest.fixture
def page(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client("") as http:
        yield http


def started(http: httpx.Client, provider: LyingProvider, **query: str) -> dict[str, str]:
    """Begin a sign-in, act as the provider, and return the parameters of its answer."""
    answer = http.get("/session/oidc", params=query)
    assert answer.status_code == 303, answer.text
    return provider.authorize(answer.headers["location"])


def sign_in(http: httpx.Client, provider: LyingProvider, **changed: str) -> httpx.Response:
    return http.get(CALLBACK, params=started(http, provider) | changed)


def sessions(engine: RecordedEngine) -> int:
    return len(engine.ledger.user_sessions.list(None, limit=100).data)


def test_first_sign_in_creates_the_user_and_a_session(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine
) -> None:
    given = started(page, provider, return_to="#/recordings/rec_1?t=5&x='a;b")
    answer = page.get(CALLBACK, params=given)
    assert answer.status_code == 200
    assert 'content="0; url=/#/recordings/rec_1?t=5&amp;x=&#39;a;b"' in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    first, second = answer.headers.get_list("set-cookie")
    assert first.startswith("clipengine_session=user-")
    assert "SameSite=strict" in first
    assert "Max-Age=43200" in first
    assert second.startswith('clipengine_flow="";')
    user = page.get("/v1/me").json()["user"]
    assert (user["source"], user["subject"], user["name"]) == ("oidc", f"{provider.issuer}#u-1", "Anna Łódź")
    assert user["role"] == "editor"
    (session,) = page.get("/v1/sessions").json()["data"]
    assert engine.ledger.user_sessions.get(session["session_id"]).expires_at - time.time() * 1000 < 43_200_000
    provider.claims = {"sub": "u-2", "groups": "admins", "name": "\u200banna\0", "preferred_username": "berta"}
    sign_in(page, provider)
    other = page.get("/v1/me").json()["user"]
    assert (other["user_id"] == user["user_id"], other["role"], other["name"]) == (False, "operator", "berta")
    assert provider.requests.count("/keys") == 1


def test_code_and_state_work_once(page: httpx.Client, provider: LyingProvider, engine: RecordedEngine) -> None:
    provider.once = False
    given = started(page, provider)
    cookie = {"Cookie": f"clipengine_flow={page.cookies['clipengine_flow']}"}
    assert page.get(CALLBACK, params=given).status_code == 200
    assert page.get(CALLBACK, params=given).status_code == 403  # the cookie is gone
    assert page.get(CALLBACK, params=given, headers=cookie).status_code == 403  # and works once
    assert sessions(engine) == 1
    provider.once = True
    given = started(page, provider)
    other = started(page, provider)
    assert page.get(CALLBACK, params=given).status_code == 403  # of an earlier flow of this browser
    assert other["code"] in provider.codes
    given = started(page, provider)
    del provider.codes[given["code"]]
    assert page.get(CALLBACK, params=given).status_code == 403  # the provider knows the code no more
    assert sessions(engine) == 1


def test_flow_belongs_to_its_browser_and_expires(
    server: ApiServer, page: httpx.Client, provider: LyingProvider, engine: RecordedEngine, monkeypatch: Any
) -> None:
    with server.client("") as attacker:
        given = started(attacker, provider)
        foreign = attacker.cookies["clipengine_flow"]
    assert page.get(CALLBACK, params=given).status_code == 403  # login CSRF: the browser has no flow
    started(page, provider)
    assert page.get(CALLBACK, params=given).status_code == 403  # nor this one
    started(page, provider)
    own = page.cookies["clipengine_flow"].split(".")
    mixed = ".".join([own[0], *foreign.split(".")[1:]])
    later = f"{int(foreign[:13]) + 1}{foreign[13:]}"
    for cookie in (mixed, later, foreign[:-1], f"{foreign}A", "x", ""):
        page.cookies.set("clipengine_flow", cookie)
        assert page.get(CALLBACK, params=given).status_code == 403, cookie
    page.cookies.clear()
    monkeypatch.setattr(flows, "FLOW_MS", -1)
    assert sign_in(page, provider).status_code == 403
    assert sessions(engine) == 0
    assert provider.requests == ["/.well-known/openid-configuration"]


def test_sign_in_returns_to_the_page_alone(page: httpx.Client, provider: LyingProvider) -> None:
    hostile = ("https://evil.example/", "//evil.example", "/\\evil.example", '#//evil" onload="x', "#/evil\nb")
    for return_to in (*hostile, "#/" + "a" * 501, "evil", "#/<evil>"):
        answer = page.get(CALLBACK, params=started(page, provider, return_to=return_to))
        assert 'content="0; url=/#/recordings"' in answer.text
        assert "evil" not in answer.text


def test_other_sites_start_no_sign_in(page: httpx.Client, provider: LyingProvider) -> None:
    assert page.get("/session/oidc", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    given = started(page, provider)
    assert page.get(CALLBACK, params=given, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def none_signed(claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def hmac_signed(provider: LyingProvider) -> Callable[[dict[str, Any]], str]:
    """Sign with the public key as the secret of an HMAC, which joserfc refuses to do."""

    def sign(claims: dict[str, Any]) -> str:
        head = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(claims)}"
        digest = hmac.new(provider.key.as_pem(private=False), head.encode(), hashlib.sha256).digest()
        return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    return sign


def test_token_with_a_wrong_claim_starts_no_session(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine
) -> None:
    now = int(time.time())
    wrong: tuple[dict[str, Any], ...] = (
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": ["a"]},
        {"aud": "other"},
        {"aud": ["other", "clips"]},
        {"aud": ["clips", "other"], "azp": "other"},
        {"azp": "other"},
        {"aud": None},
        {"iss": "https://other.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\0b"},
        {"sub": "a" * 256},
        {"sub": 7},
        {"exp": now - 3600},
        {"exp": None},
        {"exp": True},
        {"exp": 10**4000},
        {"exp": 10**30},
        {"exp": float("inf")},
        {"exp": 1 << 40},
        {"iat": -1},
        {"iat": -(10**4000)},
        {"iat": now + 3600},
        {"iat": float("nan")},
        {"nbf": 10**4200},
        {"x": [10**41]},
        {"iat": None},
        {"nbf": now + 3600},
        {"groups": {"admins": True}},
        {"groups": ["a"] * 1002},
    )
    for claims in wrong:
        provider.claims = claims
        answer = sign_in(page, provider)
        assert answer.status_code == 502, claims
        assert "clipengine_session" not in answer.headers["set-cookie"]
    assert sessions(engine) == 0
    assert page.get("/v1/me").status_code == 401


def test_clocks_may_differ_by_a_minute(page: httpx.Client, provider: LyingProvider) -> None:
    for claims, status in (
        ({"exp": -40}, 200),
        ({"exp": -80}, 502),
        ({"iat": 40, "nbf": 40}, 200),
        ({"iat": 120}, 502),
        ({"nbf": 120}, 502),
    ):
        provider.times = claims
        assert sign_in(page, provider).status_code == status, claims


def test_signatures_are_asymmetric_and_by_published_keys(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr(providers, "KEYS_INTERVAL_SECONDS", 0.0)
    good, stranger = provider.signed, new_key("first")
    for sign in (
        none_signed,
        hmac_signed(provider),
        lambda claims: jwt.encode({"alg": "ES256", "kid": "first"}, claims, stranger),
        lambda claims: jwt.encode({"alg": "ES256", "kid": "second"}, claims, stranger),
        lambda claims: f"{good(claims)[:-8]}AAAAAAAA",
        lambda claims: good(claims).rpartition(".")[0],
        lambda claims: f"{good(claims)}.{'A' * 10}.x",
        lambda claims: good(claims | {"x": "a" * 140_000}),
        lambda claims: good(claims | {"x": [[[[[[[[[1]]]]]]]]]}),
        lambda claims: "é.é.é",
    ):
        provider.sign = sign
        assert sign_in(page, provider).status_code == 502
    assert sessions(engine) == 0
    provider.sign = None
    provider.key = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "rsa"}, claims, provider.key)
    assert sign_in(page, provider).status_code == 200


def test_new_key_of_the_provider_is_requested_once(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr(providers, "KEYS_INTERVAL_SECONDS", 3600.0)
    monkeypatch.setattr(providers, "_KEYS_SECONDS", 3600.0)
    assert sign_in(page, provider).status_code == 200
    provider.key = new_key("second")
    assert sign_in(page, provider).status_code == 502  # the keys were requested a moment ago
    assert provider.requests.count("/keys") == 1
    monkeypatch.setattr(providers, "KEYS_INTERVAL_SECONDS", 0.0)
    assert sign_in(page, provider).status_code == 200
    assert provider.requests.count("/keys") == 2
    assert sessions(engine) == 2
    old, provider.key = provider.key, new_key("third")
    provider.published = [provider.key]
    provider.sign = lambda claims: jwt.encode({"alg": "ES256", "kid": "second"}, claims, old)
    monkeypatch.setattr(providers, "_KEYS_SECONDS", 0.0)
    assert sign_in(page, provider).status_code == 502  # the provider has withdrawn the key
    assert sessions(engine) == 2  # existing sessions do not depend on keys


def test_other_answers_of_the_provider_start_no_session(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine
) -> None:
    point = {"kty": "EC", "kid": "first", "crv": "P-256", "x": "A", "y": "A"}
    answers: tuple[tuple[str, bytes | tuple[int, bytes], int], ...] = (
        ("/token", b"x" * 1_000_000, 503),
        ("/token", b'{"id_token": "' + b"a" * 200_000 + b'"}', 502),
        ("/token", b"[" * 200_000, 502),
        ("/token", b"{}", 502),
        ("/token", b"\xff", 502),
        ("/token", (500, b"{}"), 503),
        ("/token", (302, b"{}"), 503),
        ("/token", (400, b'{"error": "invalid_grant", "error_description": "<script>x</script>"}'), 403),
        ("/keys", b"x" * 1_000_000, 503),
        ("/keys", b'{"keys": 5}', 502),
        ("/keys", json.dumps({"keys": [{"kty": "RSA"}] * 101}).encode(), 502),
    )
    for path, answer, status in answers:
        given = started(page, provider)
        provider.answers = {path: answer}
        engine.oidc._keys = None
        shown = page.get(CALLBACK, params=given)
        assert shown.status_code == status, (path, answer)
        assert "<script" not in shown.text
        provider.answers = {}
    for keys in ([point], [{"kty": "oct", "kid": "first", "k": "AAAA"}], [], [5]):
        given = started(page, provider)
        provider.answers = {"/keys": json.dumps({"keys": keys}).encode()}
        engine.oidc._keys = None
        assert page.get(CALLBACK, params=given).status_code == 502
        provider.answers = {}
    assert sessions(engine) == 0


def test_discovery_document_is_checked(
    page: httpx.Client, provider: LyingProvider, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(providers, "_DOCUMENT_SECONDS", 0.0)
    wrong: tuple[tuple[dict[str, Any], int], ...] = (
        ({"issuer": "https://other.example"}, 502),
        ({"issuer": None}, 502),
        ({"token_endpoint": "file:///etc/passwd"}, 502),
        ({"jwks_uri": ["x"]}, 502),
        ({"authorization_endpoint": "javascript:alert(1)"}, 502),
        ({"token_endpoint_auth_methods_supported": 5}, 502),
        ({"token_endpoint": "http://169.254.169.254/token"}, 503),
        ({"token_endpoint": "http://10.1.2.3/token"}, 503),
    )
    for document, status in wrong:
        provider.document = document
        answer = page.get("/session/oidc")
        if status == 503:  # the addresses of endpoints are checked when they are used
            caplog.clear()
            answer = page.get(CALLBACK, params=provider.authorize(answer.headers["location"]))
            assert "the URL is refused: it resolves to" in caplog.text
        assert answer.status_code == status, document
    provider.answers["/.well-known/openid-configuration"] = b"x" * 100_000
    assert page.get("/session/oidc").status_code == 503
    assert set(provider.requests) == {"/.well-known/openid-configuration"}


def test_answer_of_another_provider_is_refused(page: httpx.Client, provider: LyingProvider) -> None:
    assert sign_in(page, provider, iss="https://other.example").status_code == 502
    given = started(page, provider)
    del given["iss"]
    assert page.get(CALLBACK, params=given).status_code == 502
    assert "/token" not in provider.requests
    given = started(page, provider)
    hostile = {"state": given["state"], "error": "<b>x</b>", "error_description": "<script>alert(1)</script>"}
    shown = page.get(CALLBACK, params=hostile, headers={"Accept-Language": "de"})
    assert shown.status_code == 403
    assert "alert" not in shown.text
    assert "<b>" not in shown.text
    assert 'lang="de"' in shown.text


def test_addresses_with_too_much_are_refused(page: httpx.Client, provider: LyingProvider) -> None:
    given = started(page, provider)
    for query in (
        f"{urlencode(given)}&code=again",
        "&".join(f"a{number}=1" for number in range(21)),
        urlencode(given | {"state": "ä" * 43}),
        urlencode(given | {"code": "c" * 5000}),
        urlencode(given | {"code": ""}),
    ):
        cookie = {"Cookie": f"clipengine_flow={page.cookies.get('clipengine_flow', '')}"}
        assert page.get(f"{CALLBACK}?{query}", headers=cookie).status_code == 403
        given = started(page, provider)
    assert page.get(f"{CALLBACK}?{'a' * 30_000}").status_code in (403, 431)
    assert "/token" not in provider.requests


def test_slow_provider_holds_up_no_other_request(
    server: ApiServer, http: httpx.Client, provider: LyingProvider, engine: RecordedEngine, monkeypatch: Any
) -> None:
    provider.hold = threading.Event()
    browsers = [server.client("") for _ in range(10)]
    waiting = []
    for browser in browsers:
        given = started(browser, provider)
        waiting.append(threading.Thread(target=lambda b=browser, g=given: results.append(b.get(CALLBACK, params=g))))
    results: list[httpx.Response] = []
    for thread in waiting:
        thread.start()
    assert provider.arrived.wait(300)
    assert http.get("/v1/me").status_code == 200
    provider.hold.set()
    for thread in waiting:
        thread.join()
    assert [each.status_code for each in results] == [200] * 10
    monkeypatch.setattr(providers, "SECONDS", 0.2)
    provider.hold = threading.Event()
    late = sign_in(browsers[0], provider)
    assert (late.status_code, sessions(engine)) == (503, 10)
    for browser in browsers:
        browser.close()


def test_groups_of_a_sign_in_decide_the_role(
    server: ApiServer, page: httpx.Client, provider: LyingProvider, engine: RecordedEngine, log: Log
) -> None:
    sign_in(page, provider)
    provider.claims = {"groups": ["admins", "cutters"]}
    with server.client("") as second:
        assert sign_in(second, provider).status_code == 200
        assert page.get("/v1/me").json()["user"]["role"] == "operator"  # of the same user
        user_id = page.get("/v1/me").json()["id"]
        key = engine.ledger.keys.create("mine", user_id=user_id)[1]
        provider.claims = {"groups": ["people"]}
        answer = sign_in(second, provider)
        assert (answer.status_code, "This user has no role" in answer.text) == (403, True)
    assert sessions(engine) == 0  # the groups of this user allow nothing any more
    with server.client() as admin, server.client(key) as keyed:
        assert admin.get(f"/v1/users/{user_id}").json()["role"] == "none"
        refused = keyed.get("/v1/clips")
        assert (refused.status_code, "role `none`" in refused.json()["detail"]) == (403, True)
        provider.claims = {"groups": None}
        assert sign_in(page, provider).status_code == 403  # no groups, and no error of the provider
        provider.claims = {}
        assert sign_in(page, provider).status_code == 200
        assert keyed.get("/v1/clips").status_code == 200  # until a sign-in states a role again
    engine.ledger.users.set_disabled(user_id, True)
    assert page.get("/v1/me").status_code == 401
    assert sign_in(page, provider).status_code == 403
    stated = [each for each in log.new() if each.actor_kind == "source"]
    assert [each.action for each in stated] == [
        "user.create",
        "user.update",
        "session.end",
        "user.update",
        "user.update",
    ]
    assert {(each.actor_id, each.means, each.object_id) for each in stated} == {("oidc", "oidc", user_id)}


def test_operator_gives_a_role_where_the_provider_states_no_groups(tmp_path: Path, provider: LyingProvider) -> None:
    without_groups: dict[str, Any] = {"groups_claim": "", "operators": [], "editors": []}
    with (
        an_engine(tmp_path / "data", provider, **without_groups) as engine,
        api_server(engine) as server,
        server.client("") as http,
    ):
        given = started(http, provider)
        refused = http.get(CALLBACK, params=given)
        assert (refused.status_code, "Ask an operator for a role." in refused.text) == (403, True)
        assert http.get(CALLBACK, params=given).status_code != 200  # the code is spent
        (user,) = engine.ledger.users.list(limit=9).data
        assert (user.role, sessions(engine)) == ("none", 0)
        engine.ledger.users.set_role(user.user_id, "editor")
        for _ in range(2):
            assert sign_in(http, provider).status_code == 200
            assert http.get("/v1/me").json()["user"]["role"] == "editor"


def test_refused_sign_ins_are_counted_without_rows_of_users(
    page: httpx.Client, provider: LyingProvider, log: Log
) -> None:
    sign_in(page, provider)
    log.new()
    provider.claims = {"groups": ["admins"]}
    given = started(page, provider)
    cookie = {"Cookie": f"clipengine_flow={page.cookies['clipengine_flow']}"}
    assert page.get(CALLBACK, params=given).status_code == 200
    assert [each.action for each in log.new()] == ["user.update", "session.begin"]
    provider.claims, provider.once = {"groups": ["cutters"]}, False
    assert page.get(CALLBACK, params=given, headers=cookie).status_code == 403  # its role is undone with the flow
    assert page.get("/session/oidc", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.get("/session/oidc", params=[("a", "1"), ("a", "2")]).status_code == 403
    refused = [(each.action, each.outcome, each.means, each.count) for each in log.new()]
    assert sorted(refused, key=str) == [
        ("session.begin", "refused", "oidc", 2),
        ("session.begin", "refused", None, 1),
    ]
    assert page.get("/v1/me").json()["user"]["role"] == "operator"


def test_open_event_stream_ends_with_the_session(
    page: httpx.Client, http: httpx.Client, provider: LyingProvider, monkeypatch: Any
) -> None:
    monkeypatch.setattr(events, "RIGHTS_SECONDS", 0.2)
    sign_in(page, provider)
    (session,) = page.get("/v1/sessions").json()["data"]
    with page.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        http.delete(f"/v1/sessions/{session['session_id']}").raise_for_status()
        assert not [each for each in lines if each.startswith("event:")]
    assert page.get("/v1/me").status_code == 401


def test_signing_out_ends_the_session_and_names_the_page_of_the_provider(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine
) -> None:
    sign_in(page, provider)
    assert page.delete("/session").status_code == 403  # without the header of the page
    answer = page.delete("/session", headers=PAGE)
    url = urlsplit(answer.json()["continue_at"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{provider.issuer}/end"
    assert url.query == "theme=dark&client_id=clips&post_logout_redirect_uri=http%3A%2F%2Flocalhost%2F"
    assert sessions(engine) == 0
    assert page.get("/session").status_code == 204


def test_sessions_end_when_the_provider_is_not_configured_any_more(tmp_path: Path, provider: LyingProvider) -> None:
    with an_engine(tmp_path / "data", provider) as engine, api_server(engine) as server, server.client("") as page:
        sign_in(page, provider)
        token = {"Cookie": f"clipengine_session={page.cookies['clipengine_session']}"}
        assert page.get("/v1/me").status_code == 200
        server.app.state.oidc_issuer = "https://other.example"
        assert page.get("/v1/me").status_code == 401
        server.app.state.oidc_issuer = ""
        assert page.get("/v1/me", headers=token).status_code == 401
    with recorded_engine(tmp_path / "off") as off, api_server(off) as server, server.client("") as http:
        assert http.get("/session/oidc").status_code == 404


def test_cookies_over_https_belong_to_the_host_alone(tmp_path: Path, provider: LyingProvider) -> None:
    with (
        an_engine(tmp_path / "data", provider, "https://clips.example.org", default_role="viewer") as engine,
        api_server(engine) as server,
        server.client("") as http,
    ):
        begun = http.get("/session/oidc")
        flow = begun.headers["set-cookie"]
        assert flow.startswith("__Host-clipengine_flow=")
        assert {"Path=/", "SameSite=lax", "Secure", "HttpOnly"} <= set(flow.split("; "))
        given = provider.authorize(begun.headers["location"])
        value = flow.partition(";")[0]
        plain = {"Cookie": value.removeprefix("__Host-")}
        assert http.get(CALLBACK, params=given, headers=plain).status_code == 403
        answer = http.get(CALLBACK, params=given, headers={"Cookie": value})
        session, former, ended = answer.headers.get_list("set-cookie")
        assert session.startswith("__Host-clipengine_session=user-")
        assert {"Path=/", "SameSite=strict", "Secure", "HttpOnly"} <= set(session.split("; "))
        assert former.startswith('clipengine_session="";')
        assert ended.startswith('__Host-clipengine_flow="";')
        cookie = session.partition(";")[0]
        old = cookie.removeprefix("__Host-")
        for sent in (cookie, f"clipengine_session=planted; {cookie}", f"x=1;{cookie};clipengine_session=planted"):
            assert http.get("/v1/me", headers={"Cookie": sent}).status_code == 200, sent
        assert http.get("/v1/me", headers={"Cookie": old}).status_code == 401  # another host can set this name
        gone = http.delete("/session", headers={"Cookie": cookie, **PAGE}).headers.get_list("set-cookie")
        assert [each.partition("=")[0] for each in gone] == ["clipengine_session", "__Host-clipengine_session"]


def test_engine_of_the_release_before_keeps_users_out(
    page: httpx.Client, provider: LyingProvider, engine: RecordedEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr(engine.ledger.engines, "of_release_0_2", lambda: ["cutter-7 pid 42"])
    answer = sign_in(page, provider)
    assert (answer.status_code, "cutter-7 pid 42" in answer.text) == (409, True)
    assert sessions(engine) == 0
