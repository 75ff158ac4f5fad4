"""Limits on size, time and rate of requests: each gives a 4xx, and memory use stays flat."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from clipengine.api.http import body_pipe
from clipengine.api.http.open_streams import LARGE_BYTES, OpenStreams
from clipengine.errors import RateLimited
from clipengine.limits import shares
from clipengine.limits.rate import RateLimiter
from clipengine.server import http_protocol
from tests.support import raw_requests
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.memory import memory_growth_below
from tests.support.raw_requests import CHUNKED, ENDLESS, PIECES
from tests.support.tus import BYTES, begin, offset
from tests.support.waiting import until

ORIGIN = "https://app.example.org"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 0.2)


def answer_to(server: ApiServer, *pieces: bytes, pause: float = 0.0, times: int = 1) -> bytes:
    return raw_requests.answer_to(server.port, *pieces, pause=pause, times=times)


def head(server: ApiServer, line: str, *fields: str) -> bytes:
    return raw_requests.head(line, f"Authorization: Bearer {server.key}", *fields)


class TestHeads:
    def test_unfinished_head_times_out(self, server: ApiServer) -> None:
        for pieces, times in (
            ([b"GET /livez HTTP/1.1\r\nHost: x\r\n"], 1),
            ([b"GET /livez HTTP/1.1\r\n", b"X: y\r\n"], 8),
        ):
            began = time.monotonic()
            answer = answer_to(server, *pieces, pause=0.1, times=times)
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            assert b"application/problem+json" in answer
            assert time.monotonic() - began < 60

    def test_silent_connection_is_closed(self, server: ApiServer) -> None:
        assert answer_to(server) == b""
        assert answer_to(server, b"\r\n", pause=0.1, times=3) == b""

    def test_unfinished_second_head_times_out(self, server: ApiServer) -> None:
        answer = answer_to(server, head(server, "GET /livez"), b"GET /livez HTTP/1.1\r\nHost", pause=0.1)
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"400"]

    @pytest.mark.parametrize(
        "long",
        [
            b"GET /" + b"a" * 200_000,
            b"GET /livez HTTP/1.1\r\nX: " + b"a" * 10_000_000,
            b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
            b"GET /livez HTTP/1.1\r\nRange: bytes=" + b"0-1," * 100_000 + b"\r\n\r\n",
        ],
        ids=["address", "header", "headers", "ranges"],
    )
    def test_oversized_head_is_rejected(self, server: ApiServer, long: bytes) -> None:
        answer = answer_to(server, long)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")  # the response may be lost with the unread bytes
        with server.client() as http:
            assert http.get("/livez").status_code == 200

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            (b"GET /livez?" + b"a" * 8192 + b" HTTP/1.1\r\n", b"path and query exceed 8192 bytes"),
            (b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 100, b"more than 100 headers"),
        ],
    )
    def test_long_target_and_many_headers_are_rejected(self, server: ApiServer, lines: bytes, told: bytes) -> None:
        answer = answer_to(server, lines + b"Host: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 "), answer
        assert told in answer

    def test_head_of_the_maximum_size_is_accepted(self, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 300)  # a busy machine may take long to send it
        field = "X-Long: " + "a" * 60_000
        assert answer_to(server, head(server, "GET /livez", field, "Connection: close")).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS on a plain-text port
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /v1/clips HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /v1/recordings HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX\x00: y\r\n\r\n",
        ],
    )
    def test_malformed_request_is_rejected(self, server: ApiServer, garbage: bytes) -> None:
        answer = answer_to(server, garbage)
        assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
        assert b"malformed_request" in answer


class TestRepeatedHeaders:
    """Of two headers, a proxy may have judged the one and the engine the other."""

    @pytest.mark.parametrize("name", sorted(each.decode() for each in http_protocol.ONCE))
    def test_header_that_decides_something_may_occur_once(self, server: ApiServer, name: str) -> None:
        fields = [f"{name}: a", f"{name.title()}: a"]
        if name in ("authorization", "host"):  # which the head has already
            fields.pop()
        answer = answer_to(server, head(server, "GET /v1/clips", *fields))
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"the header %s twice" % name.encode() in answer

    def test_second_offset_changes_nothing(self, server: ApiServer, engine: RecordedEngine) -> None:
        with server.client() as http:
            path = begin(http, 10).headers["location"]
            fields = ["Upload-Offset: 0", "Upload-Offset: 5", f"Content-Type: {BYTES}", "Content-Length: 5"]
            answer = answer_to(server, head(server, f"PATCH {path}", *fields) + b"hello")
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            assert offset(http, path) == 0

    def test_lists_may_be_sent_in_several_headers(self, server: ApiServer) -> None:
        fields = ["Accept: a/b", "Accept: c/d", "If-Match: a", "If-Match: b", "Via: a", "Via: b"]
        answer = answer_to(server, head(server, "GET /livez", *fields, "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    def test_each_header_that_the_engine_reads_is_single_or_a_list(self) -> None:
        """A new header must be added to ONCE, or here if its values are a list or decide nothing."""
        several = {
            *("accept", "accept-encoding", "accept-language", "if-match", "if-none-match", "upload-metadata"),
            *("purpose", "sec-purpose", "user-agent", "x-request-id", "traceparent", "content-length"),
            "transfer-encoding",  # the parser refuses repeated ones of these two
        }
        read = re.compile(
            r"""headers\.get(?:list)?\("([A-Za-z-]+)"|request\.headers\["([a-z-]+)"\]"""
            r"""|"([a-z-]+)" (?:not )?in request\.headers|\b_?(?:header|number)\(request, "([A-Za-z-]+)\""""
        )
        package = Path(http_protocol.__file__).parents[1]
        found = {
            next(filter(None, match.groups())).lower()
            for folder in ("api/http", "api/routes", "ingest", "mcp", "server")
            for path in (package / folder).rglob("*.py")
            for match in read.finditer(path.read_text())
        }
        once = {name.decode() for name in http_protocol.ONCE}
        assert found - once - several == set()
        assert {"authorization", "x-zm-signature", "upload-offset", "webhook-signature"} <= found
        assert not once & several


class TestBodies:
    def test_unread_body_is_not_awaited(self, server: ApiServer) -> None:
        for line in ("GET /livez", "GET /v1/clips", "DELETE /v1/clips/clip_x"):
            began = time.monotonic()
            answer = answer_to(server, head(server, line, "Content-Length: 1000000000"), *[b"x"] * 50, pause=0.02)
            assert re.match(rb"HTTP/1\.1 (200|404) ", answer)
            assert time.monotonic() - began < 60

    def test_huge_body_uses_no_memory(self, server: ApiServer) -> None:
        """A declared gigabyte, and an undeclared body up to the limit of the server."""
        json = "Content-Type: application/json"
        declared = head(server, "POST /v1/recordings", json, "Content-Length: 1073741824")
        chunked = head(server, "POST /v1/recordings", json, "Transfer-Encoding: chunked")
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        with memory_growth_below(32):
            answer = answer_to(server, declared, bytes(1 << 20))
            assert answer.startswith(b"HTTP/1.1 413 ")
            answer = answer_to(server, chunked, *[chunk] * 1024)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")

    def test_dripping_upload_is_rejected(self, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(body_pipe, "STALL_SECONDS", 0.4)
        upload = head(server, "PUT /v1/recordings/upload?name=a.mp4", "Content-Length: 1000000")
        began = time.monotonic()
        answer = answer_to(server, upload, *[b"x"] * 40, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"too slowly" in answer
        assert time.monotonic() - began < 60


class TestChunkedBodies:
    """Row 82 of the faults: what the parser reports after the headers were checked has limits too."""

    def test_chunked_body_and_pipelined_requests_are_accepted(self, server: ApiServer) -> None:
        body = b'{"bucket_path": "x.mp4"}'
        chunks = b"".join(b"1;name=value\r\n%c\r\n" % byte for byte in body)
        post = head(server, "POST /v1/recordings", "Content-Type: application/json", CHUNKED) + chunks
        answer = answer_to(server, post + b"0\r\n\r\n" + head(server, "GET /livez", "Connection: close"))
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"404", b"200"], answer

    def test_trailers_are_rejected(self, server: ApiServer) -> None:
        post = head(server, "POST /v1/recordings", "Content-Type: application/json", CHUNKED)
        answer = answer_to(server, post, b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n", pause=0.2)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"The request has trailers" in answer

    @pytest.mark.parametrize("line", ["GET /livez", "POST /v1/recordings", "POST /v1/ingest/s3", "GET /v1/nothing"])
    @pytest.mark.parametrize("kind", ENDLESS)
    def test_data_beside_the_chunks_uses_no_memory(self, server: ApiServer, line: str, kind: str) -> None:
        start, piece = ENDLESS[kind]
        with memory_growth_below(20):
            answer = answer_to(server, head(server, line, CHUNKED) + start, *[piece] * PIECES)
        assert re.fullmatch(rb"|HTTP/1\.1 [24].*", answer, re.DOTALL), answer

    def test_million_chunks_of_one_byte_use_no_memory(self, server: ApiServer) -> None:
        fields = ("Content-Type: application/json", CHUNKED, "Connection: close")
        chunks = [b"1\r\n \r\n" * 10_000] * 100
        with memory_growth_below(20):
            answer = answer_to(server, head(server, "POST /v1/recordings", *fields), *chunks, b"0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 "), answer

    def test_pipelined_requests_are_limited(self, server: ApiServer) -> None:
        with memory_growth_below(20):
            answer_to(server, *[b"GET /livez HTTP/1.1\r\n\r\n" * 10_000] * 20)

    def test_expectations_and_upgrades_use_no_memory(self, server: ApiServer) -> None:
        expecting = head(server, "POST /v1/recordings", "Expect: 100-continue", "Content-Length: 1000000000")
        upgrade = head(server, "GET /livez", "Connection: Upgrade", "Upgrade: h2c")
        with memory_growth_below(20):
            assert re.match(rb"HTTP/1\.1 4\d\d ", answer_to(server, expecting))
            answer_to(server, upgrade, *[b"x" * 65_536] * 384)


class TestRateLimit:
    @pytest.fixture
    def limited(self, tmp_path: Path) -> Iterator[ApiServer]:
        with (
            recorded_engine(tmp_path / "data", limits={"requests_per_minute": 3}) as engine,
            api_server(engine) as server,
        ):
            yield server

    def test_requests_above_the_rate_limit_are_rejected(self, limited: ApiServer) -> None:
        _, other = limited.engine.ledger.keys.create("other")
        with limited.client() as http:
            assert [http.get("/v1/clips").status_code for _ in range(4)] == [200, 200, 200, 429]
            refused = http.get("/v1/clips")
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert 1 <= int(refused.headers["retry-after"]) <= 20
            assert http.get("/livez").status_code == 200
        with limited.client(other) as http:
            assert http.get("/v1/clips").status_code == 200

    def test_rate_limit_refills_continuously(self) -> None:
        now = [100.0]
        rates = RateLimiter(60, clock=lambda: now[0])
        for _ in range(60):
            rates.spend("key_a")
        with pytest.raises(RateLimited) as caught:
            rates.spend("key_a")
        assert caught.value.retry_after == 1
        now[0] += 2
        rates.spend("key_a")
        rates.spend("key_a")
        with pytest.raises(RateLimited):
            rates.spend("key_a")
        RateLimiter(0).spend("key_a")


class TestCors:
    def test_cors_is_off_by_default(self, http: httpx.Client) -> None:
        answer = http.get("/v1/clips", headers={"Origin": ORIGIN})
        preflight = http.options("/v1/clips", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"})
        for each in (answer, preflight):
            assert not [name for name in each.headers if name.startswith("access-control")]

    def test_configured_origins_are_allowed(self, tmp_path: Path) -> None:
        with (
            recorded_engine(tmp_path / "data", server={"cors_origins": [ORIGIN]}) as engine,
            api_server(engine) as server,
            server.client() as http,
        ):
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            preflight = http.options("/v1/clips", headers={"Origin": ORIGIN, **asked})
            assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ORIGIN)
            answer = http.get("/v1/clips/clip_x", headers={"Origin": ORIGIN})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, ORIGIN)
            assert "access-control-allow-credentials" not in answer.headers
            other = http.get("/v1/clips", headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers


def test_every_response_has_browser_security_headers(http: httpx.Client, engine: RecordedEngine) -> None:
    clip = engine.finish(engine.make_clip(engine.make_recording()))
    for path in ("/v1/clips", "/v1/nothing", "/livez", f"/v1/clips/{clip.clip_id}/download"):
        headers = http.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")


class TestLargeBodies:
    BODY = b"[" + b"1," * LARGE_BYTES  # it is not JSON, which only the parser notices

    @staticmethod
    def send(http: httpx.Client, body: bytes = BODY) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return http.post("/v1/recordings/rec_1/clips/plan", content=body, headers=headers)

    def test_too_many_at_once_are_refused_before_they_are_parsed(
        self, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.send(http).status_code == 400
        monkeypatch.setitem(shares.LIMITS, "large requests", shares.Limit(0))
        answer = self.send(http)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "rate_limited", "10")
        assert answer.json()["detail"].startswith("0 large requests of this key or link are open")
        assert self.send(http, b"[").status_code == 400

    @pytest.mark.parametrize("path", ["/v1/clips/variants", "/v1/rules/try", "/v1/rules/rul_1/try"])
    def test_small_bodies_that_stand_for_much_work_count(
        self, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        monkeypatch.setitem(shares.LIMITS, "large requests", shares.Limit(0))
        assert http.post(path, json={}).json()["detail"].startswith("0 large requests")

    def test_only_those_of_one_key_take_turns(self, server: ApiServer, http: httpx.Client) -> None:
        streams: OpenStreams = server.app.state.streams
        key, other = server.engine.ledger.keys.list()[0], server.engine.ledger.keys.create("other")[1]
        turn, loop = streams.turn(key.key_id), server.server.loop
        asyncio.run_coroutine_threadsafe(turn.acquire(), loop).result(60)
        with ThreadPoolExecutor(1) as threads:
            try:
                waiting = threads.submit(self.send, http)
                until(lambda: streams._held["large requests", key.key_id] == 1)
                assert self.send(http, b"[").status_code == 400
                with server.client(other) as client:
                    assert self.send(client).status_code == 400
                assert not waiting.done()
            finally:
                loop.call_soon_threadsafe(turn.release)
            assert waiting.result(60).status_code == 400
