"""Authentication, request bodies, methods, paths and internal errors."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from clipengine.api.http import validation
from clipengine.basis import tracing
from clipengine.errors import DiskFull, Internal, StorageUnavailable, Unauthorized
from clipengine.otel import OpenTelemetry
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.log_lines import logged_lines
from tests.support.raw_requests import answer_to, head

PROBLEM_KEYS = ["type", "title", "status", "detail", "code", "instance", "hint"]


def raw(server: ApiServer, request: bytes, *, hold: bool = False) -> bytes:
    """Send raw bytes and return the response."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=300) as connection:
        connection.sendall(request)
        if not hold:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


WRONG_KEY = "Copy the whole key again, or create another: it is incomplete, unknown or revoked."


class TestAuthentication:
    @pytest.mark.parametrize(
        ("header", "hint"),
        [
            (None, Unauthorized.default_hint),
            ("", Unauthorized.default_hint),
            ("Bearer", Unauthorized.default_hint),
            ("Basic dXNlcjpwdw==", Unauthorized.default_hint),
            ("Bearer relay_live_nothing", WRONG_KEY),
            ("bearer a b", WRONG_KEY),
            ("Bearer " + "x" * 400, WRONG_KEY),
            ("Bearer relay_live_01j9xz_" + "a" * 43 + "_aaaaaa", WRONG_KEY),
        ],
    )
    def test_missing_or_invalid_key_gets_the_documented_401(
        self, server: ApiServer, header: str | None, hint: str
    ) -> None:
        with server.client("") as http:
            answer = http.get("/v1/clips", headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "/docs/errors#unauthorized",
            "title": "Unauthorized",
            "status": 401,
            "detail": "Invalid or missing API key",
            "code": "unauthorized",
            "instance": "/v1/clips",
            "hint": hint,
        }

    def test_revoked_key_is_rejected(self, server: ApiServer, engine: RecordedEngine) -> None:
        key, text = engine.ledger.keys.create("short-lived")
        with server.client(text) as http:
            assert http.get("/v1/clips").status_code == 200
            engine.ledger.keys.revoke(key.key_id)
            assert http.get("/v1/clips").json()["detail"] == "Invalid or missing API key"

    def test_authentication_scheme_is_case_insensitive(self, server: ApiServer) -> None:
        with server.client("") as http:
            assert http.get("/v1/clips", headers={"Authorization": f"bearer  {server.key}"}).status_code == 200

    def test_missing_scope_is_named(self, server: ApiServer, engine: RecordedEngine) -> None:
        _, text = engine.ledger.keys.create("reader", ["read"])
        with server.client(text) as http:
            answer = http.post("/v1/recordings", json={"bucket_path": "a"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "`write`" in answer.json()["detail"]

    def test_key_is_checked_before_the_request(self, server: ApiServer, engine: RecordedEngine) -> None:
        """Body, query and id are not validated for a caller without access."""
        _, reader = engine.ledger.keys.create("reader", ["read"])
        for key, status in (("", 401), ("relay_live_x", 401), (reader, 403)):
            with server.client(key) as http:
                for answer in (
                    http.post("/v1/recordings/rec_nothing/clips?x=1", content=b"{{"),
                    http.post("/v1/recordings", content=b"x" * 2_000_000),
                    http.put("/v1/recordings/upload?x=1", content=b"x"),
                    http.delete("/v1/clips/clip_nothing"),
                    http.post("/v1/clips/clip_nothing/cancel"),
                    http.patch("/v1/webhooks/whk_nothing", json={"x": 1}),
                ):
                    assert answer.status_code == status, answer.text

    @pytest.mark.parametrize(
        "host",
        [
            b"",
            b"Host: evil.example\r\n",
            b"Host: x/livez?\r\n",
            b"Host: [::1\r\n",
            b"Host: a b\r\n",
            b"Host: \xff\xfe\r\n",
            b"Host: x\r\nHost: evil.example\r\n",
            b"Host: evil.example:99999999\r\n",
            b"Host: " + b"a" * 20_000 + b"\r\n",
        ],
    )
    def test_host_header_is_ignored(self, server: ApiServer, host: bytes) -> None:
        """It does not affect authentication and is not reflected in the response."""
        answer = raw(server, b"GET /v1/clips HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 40[01] ", answer), answer
        assert b"evil" not in answer
        key = b"Authorization: Bearer " + server.key.encode() + b"\r\n"
        answer = raw(server, b"GET /v1/clips HTTP/1.1\r\n" + host + key + b"Connection: close\r\n\r\n", hold=True)
        assert re.match(rb"HTTP/1\.1 (200|400) ", answer), answer
        assert b"evil" not in answer

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/clips/%2e%2e/%2e%2e/metrics",
            "/v1/clips/..%2f..%2fmetrics",
            "/docs/%2e%2e/%2e%2e/settings.py",
            "/docs/..%2f..%2fsettings.py",
            "/docs/screens/..%2f..%2f..%2fsettings.py",
            "/../../../../etc/passwd",
            "/%00",
            "/docs/start%00.md",
        ],
    )
    @pytest.mark.typical(2)
    def test_path_traversal_is_not_found(self, server: ApiServer, path: str) -> None:
        key = f"Authorization: Bearer {server.key}"
        answer = raw(
            server, f"GET {path} HTTP/1.1\r\nHost: x\r\n{key}\r\nConnection: close\r\n\r\n".encode(), hold=True
        )
        assert answer.startswith(b"HTTP/1.1 404 "), answer


class TestBodies:
    @pytest.fixture
    def path(self, recording: Recording) -> str:
        return f"/v1/recordings/{recording.recording_id}/clips"

    def send(self, http: httpx.Client, path: str, content: Any, **headers: str) -> httpx.Response:
        return http.post(path, content=content, headers={"Content-Type": "application/json", **headers})

    @pytest.mark.parametrize(
        ("content", "detail"),
        [
            (b"", "not JSON"),
            (b"{", "not JSON"),
            (b"null", "not a JSON object"),
            (b"[]", "not a JSON object"),
            (b'"text"', "not a JSON object"),
            (b"NaN", "not a JSON object"),
            (b"\xff\xfe{}", "not UTF-8"),
            (b'{"label": "\xc3\x28"}', "not UTF-8"),
            (b"\xef\xbb\xbf{}", "not JSON"),
            (b'{"label": "a", "label": "b"}', "'label' twice"),
            (b'{"metadata": {"a": "1", "a": "2"}}', "'a' twice"),
            (b'{"label": "a\nb"}', "not JSON"),
            (b'{"start_seconds": ' + b"1" * 5000 + b"}", "too many digits"),
            (b"{'label': 1}", "not JSON"),
            (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32"),
            (b"[" * 100_000, "deeper than 32"),
            (b'{"a":' * 100_000, "deeper than 32"),
            (b"{" + b",".join(b'"%d":1' % number for number in range(5001)) + b"}", "more than 5000 members"),
            (b'{"a":[' + b"1," * 5000 + b"1]}", "more than 5000 members"),
            (b'{"a":[[' + b"],[".join([b"1," * 500 + b"1"] * 500) + b"]]}", " strings, brackets and commas"),
        ],
    )
    def test_body_that_is_no_json_object_is_rejected(
        self, http: httpx.Client, path: str, content: bytes, detail: str
    ) -> None:
        answer = self.send(http, path, content)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
        assert detail in answer.json()["detail"]

    def test_brackets_in_a_string_do_not_count_as_nesting(self, http: httpx.Client, path: str) -> None:
        label = '[{"\\' * 40
        answer = http.post(path, json={"label": label, "start_seconds": 1, "end_seconds": 2})
        assert answer.json()["label"] == label

    def test_commas_in_a_string_do_not_count_as_members(self, http: httpx.Client, path: str) -> None:
        label = ',"' * 100
        answer = http.post(path, json={"label": label, "start_seconds": 1, "end_seconds": 2, "metadata": {"a": label}})
        assert answer.json()["label"] == answer.json()["metadata"]["a"] == label

    @pytest.mark.parametrize(
        ("method", "path", "limit"),
        [
            ("POST", "/session", 4096),
            ("POST", "/v1/webhooks", 16_384),
            ("PATCH", "/v1/webhooks/whk_x", 16_384),
            ("POST", "/v1/recordings", 1_048_576),
        ],
    )
    def test_body_limit_depends_on_the_route(self, http: httpx.Client, method: str, path: str, limit: int) -> None:
        headers = {"Content-Type": "application/json"}
        answer = http.request(method, path, content=b" " * (limit + 1), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert f"larger than {limit} bytes" in answer.json()["detail"]
        assert http.request(method, path, content=b" " * limit, headers=headers).status_code == 400

    def test_no_route_exceeds_the_configured_body_limit(self, tmp_path: Path) -> None:
        with (
            recorded_engine(tmp_path / "data", server={"max_body_bytes": 2048}) as engine,
            api_server(engine) as server,
            server.client() as http,
        ):
            for path in ("/session", "/v1/webhooks", "/v1/recordings"):
                assert self.send(http, path, b" " * 2049).status_code == 413

    @pytest.mark.parametrize(
        "content", [b'"' * 1_000_000, b'"\\"' * 300_000, b"[]" * 500_000, b"1" * 1_000_000, b"1." + b"0" * 1_000_000]
    )
    def test_hostile_body_is_rejected_quickly(self, http: httpx.Client, path: str, content: bytes) -> None:
        began = time.process_time()
        assert self.send(http, path, content).status_code == 400
        assert time.process_time() - began < 3

    def test_oversized_body_is_rejected(self, http: httpx.Client, path: str, server: ApiServer) -> None:
        answer = self.send(http, path, b" " * 1_048_577)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert "1048576" in answer.json()["detail"]
        chunked = self.send(http, path, iter([b" " * 600_000, b" " * 600_000]))
        assert chunked.status_code == 413
        declared = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n".encode()
        declared += b"Content-Type: application/json\r\nContent-Length: 1000000000000\r\nConnection: close\r\n\r\n"
        assert raw(server, declared, hold=True).startswith(b"HTTP/1.1 413 ")  # without waiting for the rest

    def test_body_of_the_maximum_size_is_accepted(self, http: httpx.Client, path: str) -> None:
        content = json.dumps({"label": "x", "start_seconds": 1, "end_seconds": 2}).encode()
        assert self.send(http, path, content.ljust(1_048_576)).status_code == 202

    @pytest.mark.parametrize("pieces", [[b"{"], [b" "] * 20], ids=["stalled", "dripping"])
    def test_slow_body_is_rejected(
        self, server: ApiServer, path: str, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
    ) -> None:
        monkeypatch.setattr(validation, "READ_SECONDS", 0.2)
        fields = ("Content-Type: application/json", "Content-Length: 1000", f"Authorization: Bearer {server.key}")
        answer = answer_to(server.port, head(f"POST {path}", *fields), *pieces, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"malformed_request" in answer

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin-1",
            "application/jsonp",
            "",
        ],
    )
    def test_unsupported_content_type_is_rejected(self, http: httpx.Client, path: str, content_type: str) -> None:
        answer = http.post(path, content=b"{}", headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_type")

    def test_missing_content_type_and_compression_are_rejected(self, http: httpx.Client, path: str) -> None:
        assert http.post(path, content=b"{}").status_code == 415
        assert self.send(http, path, b"{}", **{"Content-Encoding": "gzip"}).status_code == 415

    @pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
    def test_content_type_is_case_insensitive_and_may_have_parameters(
        self, http: httpx.Client, path: str, content_type: str
    ) -> None:
        answer = http.post(path, content=b"{}", headers={"Content-Type": content_type})
        assert answer.status_code == 422

    def test_metadata_accepts_only_strings(self, http: httpx.Client, path: str) -> None:
        def post(metadata: object) -> httpx.Response:
            fields = {"label": "x", "start_seconds": 1, "end_seconds": 2, "metadata": metadata}
            return self.send(http, path, json.dumps(fields))

        refused: list[object] = [
            {"a\0": "b"},
            {"a": "b\0c"},
            {"a": {"b": "c"}},
            {"a": None},
            {"": "x"},
            {"a": "\ud800"},
            {"\ud800": "a"},
            [],
            "x",
            {"k" * 101: ""},
        ]
        for wrong in refused:
            assert post(wrong).status_code == 422, wrong
        assert post({str(number): "" for number in range(101)}).status_code == 422
        assert post({"a": "x" * 2001}).status_code == 422
        assert post({"a\n": "b\x01c"}).json()["metadata"] == {"a\n": "b\x01c"}

    @pytest.mark.parametrize("query", ["metadata.a=%00", "metadata.a%00=b", "label=%00", "tag=%00"])
    def test_nul_in_a_filter_is_rejected(self, http: httpx.Client, query: str) -> None:
        """Row 84 of the faults."""
        assert http.get(f"/v1/clips?{query}").status_code == 422


class TestResponses:
    def test_every_response_has_the_security_headers(self, http: httpx.Client) -> None:
        for answer in (http.get("/v1/clips"), http.get("/v1/nothing"), http.get("/livez"), http.options("/v1/clips")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
            assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_valid_request_id_of_the_client_is_kept(self, http: httpx.Client) -> None:
        assert http.get("/livez", headers={"X-Request-Id": "proxy-1234"}).headers["x-request-id"] == "proxy-1234"
        for wrong in ("short", "x" * 65, "with blanks in it", "ä" * 10):
            given = http.get("/livez", headers=[(b"X-Request-Id", wrong.encode())]).headers["x-request-id"]
            assert re.fullmatch(r"[0-9a-f]{32}", given)

    @pytest.mark.parametrize(
        "path",
        [
            "/v1",
            "/v1/",
            "/v1/clips/",
            "/v1/clips/a/b/c",
            "/V1/clips",
            "/v1/clips/a%2Fcancel/x",
            "//v1/clips",
            "/favicon.ico",
        ],
    )
    def test_unknown_path_is_not_found(self, http: httpx.Client, path: str) -> None:
        answer = http.get(path, follow_redirects=False)
        assert answer.status_code == 404
        assert list(answer.json()) == PROBLEM_KEYS
        assert answer.json()["code"] == "not_found"

    def test_hostile_path_is_escaped_in_the_problem(self, http: httpx.Client) -> None:
        answer = http.get("/v1/%0d%0aSet-Cookie:a=b/%ff/%F0%9F%8E%AC/<script>")
        assert answer.status_code == 404
        assert answer.json()["instance"].isascii()
        assert not set("\r\n<>") & set(answer.json()["instance"])

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("PUT", "/v1/clips", "GET, HEAD, OPTIONS"),
            ("POST", "/v1/clips/clip_x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
            ("GET", "/v1/clips/clip_x/cancel", "OPTIONS, POST"),
            ("GET", "/v1/recordings/upload", "OPTIONS, PUT"),
            ("TRACE", "/v1/webhooks/whk_x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
            ("PURGE", "/v1/events", "GET, HEAD, OPTIONS"),
        ],
    )
    def test_unsupported_method_names_the_allowed_ones(
        self, http: httpx.Client, method: str, path: str, allow: str
    ) -> None:
        answer = http.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"] == allow
        options = http.options(path)
        assert (options.status_code, options.headers["allow"], options.content) == (204, allow, b"")

    @pytest.mark.parametrize(
        ("method", "path", "hint"),
        [
            ("POST", "/v1/clips", "Use GET or HEAD here. Did you mean POST /v1/recordings/{recording_id}/clips?"),
            ("PUT", "/v1/recordings", "Use GET, HEAD or POST here. Did you mean PUT /v1/recordings/upload?"),
            ("DELETE", "/v1/clips", "Use GET or HEAD here. Did you mean DELETE /v1/clips/{clip_id}?"),
            ("POST", "/v1/recordings/upload", "Use PUT."),
        ],
    )
    def test_unsupported_method_names_the_probable_path(
        self, http: httpx.Client, method: str, path: str, hint: str
    ) -> None:
        problem = http.request(method, path).json()
        assert (problem["hint"], problem["detail"]) == (hint, f"{method} is not allowed at this path. {hint}")

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/openapi.json"])
    def test_public_routes_reject_unsupported_methods(self, http: httpx.Client, path: str) -> None:
        answer = http.post(path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert http.head(path).status_code == 200

    def test_head_returns_the_headers_of_get(self, http: httpx.Client) -> None:
        headed, got = http.head("/v1/clips"), http.get("/v1/clips")
        assert (headed.status_code, headed.content) == (200, b"")
        assert headed.headers["content-length"] == got.headers["content-length"]


class TestInternalErrors:
    @pytest.mark.parametrize("fault", [RuntimeError("secret detail"), Internal("secret detail")])
    def test_internal_error_reveals_only_its_request_id(
        self,
        http: httpx.Client,
        engine: RecordedEngine,
        monkeypatch: pytest.MonkeyPatch,
        fault: Exception,
    ) -> None:
        def broken(**_: object) -> None:
            raise fault

        monkeypatch.setattr(engine.ledger.clips, "list", broken)
        with logged_lines() as lines:
            answer = http.get("/v1/clips")
        assert answer.status_code == 500
        problem = answer.json()
        assert list(problem) == [*PROBLEM_KEYS, "request_id"]
        assert (problem["code"], problem["request_id"]) == ("internal", answer.headers["x-request-id"])
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        (line,) = [each for each in lines if each.has_traceback]
        assert line.message == "GET /v1/clips failed"
        assert line.fields == {"request_id": problem["request_id"], "engine": engine.instance_id}
        assert http.get("/livez").status_code == 200

    def test_storage_errors_have_their_status(
        self, http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for fault, status, code in (
            (StorageUnavailable("away"), 503, "storage_unavailable"),
            (DiskFull("full"), 507, "disk_full"),
        ):

            def broken(*_: object, error: Exception = fault) -> None:
                raise error

            monkeypatch.setattr(engine.store, "head", broken)
            answer = http.post("/v1/recordings", json={"bucket_path": "a"})
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert int(answer.headers["retry-after"]) > 0
            assert len(answer.json()["detail"]) > len("away.")


def test_span_of_a_request_has_its_route_and_status(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", OpenTelemetry(provider))
    http.get("/v1/clips/clip_x", headers={"X-Request-Id": "order-4711"})
    http.get("/livez")
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /v1/clips/{clip_id}"
    assert dict(span.attributes or {}) == {
        "request_id": "order-4711",
        "engine": "inst_test",
        "http.request.method": "GET",
        "http.route": "/v1/clips/{clip_id}",
        "http.response.status_code": 404,
    }
    assert span.status.status_code is StatusCode.UNSET
