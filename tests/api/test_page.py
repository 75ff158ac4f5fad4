"""Serving of the page: files and content security policy, sessions by key or link, and cross-site requests."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

import clipengine
from clipengine.api.http.auth import PAGE_HEADER
from clipengine.api.http.request_origin import OwnOrigin
from clipengine.api.http.session_cookies import SESSION_COOKIE
from clipengine.api.routes.page import page_headers
from clipengine.errors import Forbidden
from clipengine.ledger.people import sessions
from clipengine.settings.settings import Settings
from tests.support.api import ApiServer, RecordedEngine

WEB = Path(clipengine.__file__).parent / "web"
FONTS = WEB / "fonts"
FILES = [path for path in WEB.rglob("*") if path.is_file() and path.parent != FONTS]
PAGE = {PAGE_HEADER: "1"}
NODE = shutil.which("node")


@contextmanager
def sign_in(server: ApiServer, **body: str) -> Iterator[httpx.Client]:
    """Return a client with a session."""
    with server.client("") as client:
        answer = client.post("/session", json=body)
        assert answer.status_code == 200, answer.text
        yield client


class TestFiles:
    def test_document_links_to_existing_files(self, server: ApiServer) -> None:
        with server.client("") as http:
            answer = http.get("/")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert http.get("/", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
            for address in re.findall(r'(?:src|href)="(/[^"]*)"', answer.text):
                assert http.get(address, follow_redirects=True).status_code == 200, address

    def test_second_visit_asks_for_the_document_only(self, server: ApiServer) -> None:
        """Files are compressed, and named by the digest of all of them, so that browsers keep them."""
        with server.client("") as http:
            page = http.get("/")
            assert page.headers["cache-control"] == "no-cache"
            assert page.headers["content-encoding"] == "gzip"
            addresses = re.findall(r'(?:src|href)="(/assets/[^"]*)"', page.text)
            assert len(addresses) <= 12
            for address in addresses:
                answer = http.get(address)
                assert answer.headers["cache-control"] == "public, max-age=31536000, immutable", address
                assert re.match(r"/assets/[0-9a-f]{12}/", address)
                name = address.split("/", 3)[3]
                plain = http.get(f"/assets/{name}", headers={"Accept-Encoding": "identity"})
                assert (plain.headers["cache-control"], plain.content) == ("no-cache", answer.content), name
                old = http.get(f"/assets/0123456789ab/{name}")  # of a page that another version has sent
                assert (old.headers["cache-control"], old.content) == ("no-cache", answer.content), name
                tag = answer.headers["etag"]
                assert http.get(address, headers={"If-None-Match": tag}).status_code == 304

    def test_modules_are_joined_into_two_files(self, server: ApiServer) -> None:
        with server.client("") as http:
            joined = [http.get(f"/assets/{name}.js").text for name in ("joined", "later")]
        modules = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js")} | {"lib/limits.js"}
        apart = {name for name in modules if name.startswith("texts/")} | {"lib/theme.js", "lib/event_worker.js"}
        first, later = (re.findall(r'(?m)^\$\["([^"]+)"\] = ', text) for text in joined)
        found = [*first, *later]
        assert sorted(found) == sorted(set(found))
        assert modules - apart == set(found)
        assert not {name for name in first if "upload" in name} - {"lib/late_uploads.js", "store/upload_records.js"}
        assert not re.search(r'\bimport\("\./"\)', "".join(joined))
        for text in joined:
            if NODE:
                subprocess.run([NODE, "--input-type=module", "--check"], input=text, text=True, check=True)
            assert re.findall(r"(?m)^(?:import|export) .*$", text) in (
                ["export const $ = {};"],
                ['import {$} from "./joined.js"; export {$};'],
            )

    def test_unknown_files_are_not_found(self, server: ApiServer) -> None:
        with server.client("") as http:
            for name in (
                "nothing.js",
                "lib/nothing.js",
                "..%2F__init__.py",
                "../__init__.py",
                "lib%2F..%2Fapp.js",
                "%2e%2e",
                "lib",
                "",
            ):
                assert http.get(f"/assets/{name}").status_code == 404, name

    def test_policy_forbids_external_and_inline_scripts(self, server: ApiServer) -> None:
        with server.client("") as http:
            policy = http.get("/").headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "http" not in policy
        assert policy.startswith("default-src 'none'")
        for path in FILES:
            text = path.read_text("utf-8").replace("http://www.w3.org/", "").replace("https://example.org/", "")
            assert not re.search(r"https?://|\bstyle=|\son\w+=\"|innerHTML|eval\(", text), path.name

    def test_policy_allows_media_from_the_store(self) -> None:
        storage = {"kind": "s3", "endpoint": "http://store:9000", "bucket": "b", "access_key": "a", "secret_key": "s"}
        inside = page_headers(Settings.model_validate({"storage": storage}))["Content-Security-Policy"]
        assert "media-src 'self' http://store:9000 blob:;" in inside
        public = {**storage, "public_endpoint": "https://cdn.example.org", "path_style": False}
        outside = page_headers(Settings.model_validate({"storage": public}))["Content-Security-Policy"]
        assert "media-src 'self' https://b.cdn.example.org blob:;" in outside

    def test_typeface_comes_from_the_page_with_its_licence(self, server: ApiServer) -> None:
        fonts = list(FONTS.glob("*.woff2"))
        assert fonts
        assert sum(path.stat().st_size for path in fonts) <= 120_000
        with server.client("") as http:
            assert "font-src 'self'" in http.get("/").headers["content-security-policy"]
            for path in fonts:
                answer = http.get(f"/assets/fonts/{path.name}")
                assert (answer.headers["content-type"], answer.content) == ("font/woff2", path.read_bytes())
            assert "SIL OPEN FONT LICENSE" in http.get("/assets/fonts/geist-license.txt").text

    def test_no_module_exceeds_400_lines(self) -> None:
        for path in FILES:
            if path.parent.name != "texts":  # catalogues are data
                assert len(path.read_text("utf-8").splitlines()) <= 400, path.name


class TestSessions:
    def test_key_opens_and_ends_a_session(self, server: ApiServer) -> None:
        with sign_in(server, key=server.key) as page:
            shown = page.get("/session").json()
            assert shown.pop("id").startswith("key_")
            assert shown.pop("may")["keys"] == {"read": "all", "write": "all", "delete": "all"}
            assert shown == {"name": "all", "scopes": ["read", "write", "admin"]}
            assert page.get("/v1/clips").status_code == 200
            assert page.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"}, headers=PAGE).status_code == 201
            assert page.delete("/session", headers=PAGE).status_code == 204
            assert page.get("/v1/clips").status_code == 401
            assert page.get("/session").status_code == 204

    def test_missing_session_returns_204(self, server: ApiServer) -> None:
        with server.client("") as http:
            assert http.get("/session").status_code == 204
            http.cookies.set(SESSION_COOKIE, "ended")
            assert http.get("/session").status_code == 204

    def test_cookie_is_http_only_and_same_site(self, server: ApiServer) -> None:
        with server.client("") as http:
            cookie = http.post("/session", json={"key": server.key}).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert server.key not in cookie

    @pytest.mark.parametrize("body", [{"key": "relay_live_nothing"}, {"code": "nothing"}, {"code": "\u00fc"}, {}])
    def test_invalid_credentials_are_rejected(self, server: ApiServer, body: dict[str, str]) -> None:
        with server.client("") as http:
            answer = http.post("/session", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert "set-cookie" not in answer.headers

    def test_link_signs_in_once(self, server: ApiServer, engine: RecordedEngine) -> None:
        code = server.app.state.codes.issue()
        with sign_in(server, code=code) as page:
            assert page.get("/session").json()["name"] == "page"
            assert page.post("/session", json={"code": code}).status_code == 401
            with sign_in(server, code=server.app.state.codes.issue()):
                assert [key.name for key in engine.ledger.keys.list()] == ["all", "page"]
            engine.ledger.keys.revoke_named("page")
            assert page.get("/v1/clips").status_code == 401

    def test_expired_link_is_rejected(self, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clipengine.api.routes.sessions.CODE_SECONDS", -1)
        with server.client("") as http:
            assert http.post("/session", json={"code": server.app.state.codes.issue()}).status_code == 401

    def test_expired_session_is_rejected(self, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sessions, "LIFETIME_MS", -1)
        with sign_in(server, key=server.key) as page:
            assert page.get("/v1/clips").status_code == 401

    def test_session_has_the_scopes_of_its_key(self, server: ApiServer, engine: RecordedEngine) -> None:
        _, key = engine.ledger.keys.create("reader", ["read"])
        with sign_in(server, key=key) as page:
            assert page.get("/v1/clips").status_code == 200
            assert page.get("/v1/webhooks").status_code == 403


class TestCrossSiteRequests:
    """Browsers send the cookie with any request to the server, also with one caused by another site."""

    def test_changes_require_the_header_of_the_page(self, server: ApiServer) -> None:
        with sign_in(server, key=server.key) as page:
            for method, path in (("POST", "/v1/webhooks"), ("DELETE", "/v1/clips/clip_x"), ("DELETE", "/session")):
                assert page.request(method, path, json={}).status_code == 403
            assert page.get("/session").status_code == 200

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_cross_site_requests_are_rejected(self, server: ApiServer, site: str) -> None:
        with sign_in(server, key=server.key) as page:
            assert page.get("/v1/clips", headers={"Sec-Fetch-Site": site}).status_code == 403
            assert page.get("/v1/clips", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Origin": "{own}"}, 200),
            ({"Origin": "HTTP://{host}"}, 200),
            ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
            ({"Sec-Fetch-Site": "same-origin"}, 200),
            ({"Sec-Fetch-Site": "none"}, 200),
            ({"Origin": "http://clips.example.org", "Sec-Fetch-Site": "same-origin"}, 200),  # a proxy changed the Host
            ({"Origin": "null"}, 403),
            ({"Origin": "null", "Sec-Fetch-Site": "none"}, 403),
            ({"Origin": ""}, 403),
            ({"Origin": "http://127.0.0.1:1"}, 403),
            ({"Origin": "http://{host}.evil.example"}, 403),
            ({"Origin": "http://evil@{host}"}, 403),
            ({"Origin": "http://{host}/"}, 403),
            ({"Origin": "{own} {own}"}, 403),
            ({"Origin": "x" * 5000}, 403),
            ({"Origin": "chrome-extension://{host}"}, 403),
            ({"Origin": "{own}", "Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Origin": "https://evil.example", "Sec-Fetch-Site": "none"}, 403),
            ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
        ],
    )
    def test_writes_with_a_cookie_and_sign_ins_come_from_the_own_origin(
        self, server: ApiServer, headers: dict[str, str], status: int
    ) -> None:
        with sign_in(server, key=server.key) as page:
            host = page.base_url.netloc.decode()
            given = {name: each.format(own=f"http://{host}", host=host) for name, each in headers.items()}
            answers = [
                page.post("/session", json={"key": server.key}, headers=given),
                page.post("/v1/clips/delete", json={"clip_ids": ["clip_x"]}, headers=PAGE | given),
            ]
            assert [each.status_code for each in answers] == [status, status]
            if status == 403 and given.get("Sec-Fetch-Site") in (None, "none"):
                assert "server.public_url" in answers[0].json()["hint"]
            with server.client("") as http:
                by_key = {"Authorization": f"Bearer {server.key}"} | given
                assert http.post("/v1/clips/delete", json={"clip_ids": ["clip_x"]}, headers=by_key).status_code == 200
            assert page.get("/v1/clips", headers={"Origin": "https://evil.example"}).status_code == 200  # CORS hides it

    @pytest.mark.parametrize(
        ("public_url", "host", "origin", "is_own"),
        [
            ("https://clips.example.org", "10.0.0.7:8377", "https://clips.example.org", True),
            ("https://clips.example.org", "10.0.0.7:8377", "https://clips.example.org:443", True),
            ("https://Clips.example.org:443/", "engine", "https://clips.example.org", True),
            ("https://clips.example.org", "10.0.0.7:8377", "http://10.0.0.7:8377", True),
            ("https://clips.example.org", "engine", "http://clips.example.org", False),
            ("https://clips.example.org", "engine", "https://clips.example.org:8443", False),
            ("", "clips.example.org", "https://clips.example.org", True),
            ("", "clips.example.org:443", "https://clips.example.org", True),
            ("", "clips.example.org:80", "https://clips.example.org", False),
            ("", "clips.example.org", "https://clips.example.org:8443", False),
            ("", "[::1]:8377", "http://[::1]:8377", True),
            ("", "", "http://", False),
            ("", "", "null", False),
        ],
    )
    def test_own_origin_is_the_host_or_the_public_url(
        self, public_url: str, host: str, origin: str, is_own: bool
    ) -> None:
        headers = [(b"host", host.encode()), (b"origin", origin.encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers})
        with nullcontext() if is_own else pytest.raises(Forbidden):
            OwnOrigin(public_url).check(request)

    def test_request_with_two_origins_is_rejected(self) -> None:
        headers = [(b"host", b"a"), (b"origin", b"http://a"), (b"origin", b"http://evil")]
        with pytest.raises(Forbidden):
            OwnOrigin("").check(Request({"type": "http", "method": "POST", "headers": headers}))

    def test_form_cannot_sign_in(self, server: ApiServer) -> None:
        with server.client("") as http:
            answer = http.post("/session", content=f'{{"key":"{server.key}"}}', headers={"Content-Type": "text/plain"})
        assert answer.status_code == 415

    def test_key_takes_precedence_over_cookie(self, server: ApiServer) -> None:
        with sign_in(server, key=server.key) as page:
            assert page.get("/v1/clips", headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert SESSION_COOKIE in page.cookies
