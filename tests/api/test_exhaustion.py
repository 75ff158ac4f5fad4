"""Requests made to exhaust the server: memory stays flat and other clients get responses.

The server runs in a separate process, so that /proc shows its memory and CPU time without the clients'.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.memory import resident_mebibytes
from tests.support.raw_requests import head
from tests.support.selection import cases
from tests.support.server import RunningServer, running_server

PARALLEL = 40
ANSWER_BYTES = 64_000
# At most 40 bodies of 1 MB are in memory, as bytes and as text; the objects parsed from them took 5.4 GB.
GROWTH_BYTES = 192 * 1024 * 1024
CPU_SECONDS = 0.5  # of one request on the average; 0.01 to 0.05 were measured

BODIES = {
    "unknown fields": b"{" + b",".join(b'"f%05d":1' % number for number in range(90_000)) + b"}",
    "list members": b'{"events": [' + b"1," * 480_000 + b"1]}",
    "empty lists": b'{"a": [' + b"[]," * 300_000 + b"1]}",
    "one long name": b'{"' + "\N{GRINNING FACE}".encode() * 240_000 + b'": 1}',
    "metadata": json.dumps(
        {"label": "x", "metadata": {f"\N{GRINNING FACE}{number}": 1 for number in range(150)}}
    ).encode(),
}
assert all(len(body) < 1_048_576 for body in BODIES.values())  # the default of `server.max_body_bytes`


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("exhausted") / "data") as server:
        yield server


@dataclass(frozen=True)
class Usage:
    peak_bytes: int
    cpu_seconds: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        status = Path(f"/proc/{pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return cls(int(peak[1]) * 1024, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))


def routes(server: RunningServer) -> list[tuple[str, str]]:
    """Return the methods and paths of the OpenAPI document and the routes outside it."""
    paths = httpx.get(f"{server.url}/v1/openapi.json", trust_env=False).json()["paths"]
    described = [
        (method.upper(), re.sub(r"\{(\w+)_id\}", r"\1_x", path))
        for path, methods in paths.items()
        for method in methods
    ]
    assert len(described) > 30
    return [*described, *(("POST", path) for path in ("/session", "/", "/docs/search", "/metrics", "/v1/nothing"))]


def exchange(server: RunningServer, method: str, path: str, body: bytes, header: str) -> tuple[int, int]:
    """Return the status and body of the response; for a success (a stream may not end) only the head.

    The server may close before it has read a body that it rejects: the response can still be read.
    """
    fields = [header, f"Content-Length: {len(body)}", "Connection: close"]
    if body:
        fields.append("Content-Type: application/json")
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *filter(None, fields), "", ""])
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), timeout=300) as connection:
        try:
            connection.sendall(head.encode() + body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
                if answer.startswith(b"HTTP/1.1 2"):
                    break
        except ConnectionResetError:
            pass
    # Nothing: the connection was closed with bytes unread, and its reset overtook the response.
    return int(answer.split(maxsplit=2)[1]) if answer else 0, len(answer)


@pytest.fixture
def probes(server: RunningServer) -> Iterator[list[int]]:
    """Yield the statuses that another client, with another connection and key, gets meanwhile."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=300, trust_env=False) as other:
            while not stop.wait(0.05):
                statuses.append(other.get("/v1/clips", headers={"Authorization": f"Bearer {server.key}"}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    yield statuses
    stop.set()
    asking.join()


@pytest.mark.parametrize("name", cases(BODIES, ("unknown fields", "metadata")))
@pytest.mark.exhaustive
def test_no_body_on_any_route_exhausts_the_server(server: RunningServer, probes: list[int], name: str) -> None:
    """Row 72 of the fault matrix: without a key, with a wrong one and with a valid one, 40 in parallel."""
    body, called = BODIES[name], routes(server)
    keys = itertools.cycle(["", "Authorization: Bearer relay_live_wrong", f"Authorization: Bearer {server.key}"])
    requests = [(method, path, key) for method, path in called for key, _ in zip(keys, range(PARALLEL), strict=False)]
    before = Usage.of(server.process.pid)
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda each: exchange(server, each[0], each[1], body, each[2]), requests))
    after = Usage.of(server.process.pid)
    for (method, path, key), (status, size) in zip(requests, answers, strict=True):
        assert status < 500, (method, path)
        assert size < ANSWER_BYTES, (method, path, status)
        if method in ("POST", "PATCH"):
            assert status == 0 or status >= 400 or path.endswith(("/cancel", "/retry")), (method, path, key)
    assert sum(status == 0 for status, _ in answers) < len(answers) / 10
    assert after.peak_bytes - before.peak_bytes < GROWTH_BYTES
    assert after.cpu_seconds - before.cpu_seconds < len(requests) * CPU_SECONDS
    assert probes
    assert set(probes) == {200}


@pytest.mark.parametrize(
    "header",
    [
        'Cookie: clipengine_session="' + "\\" * 60_000 + '"',
        'Cookie: clipengine_session="' + "\\1" * 30_000 + '"',
        "Cookie: " + ";" * 60_000,
        "Cookie: " + "clipengine_session=a " * 2900,
        "Range: bytes=" + "0-1," * 15_000,
        "If-None-Match: " + "," * 60_000,
        "Content-Type: application/json" + " " * 60_000 + "x",
        'Idempotency-Key: "' + '\\"' * 30_000,
        "Authorization: Bearer " + " " * 60_000 + "x",
    ],
    ids=lambda header: header[:24],
)
def test_hostile_header_is_handled_quickly(server: RunningServer, header: str) -> None:
    """Unquoting the first cookie took 6 s on the event loop."""
    requests = (("GET", "/v1/clips"), ("GET", "/readyz"), ("POST", "/session"), ("GET", "/docs/start"))
    for method, path in requests:  # the first request builds the manual
        exchange(server, method, path, b"", "X-Plain: x")
    before = Usage.of(server.process.pid)
    for method, path in requests:
        status, _ = exchange(server, method, path, b"", header)
        assert status in (200, 401, 415), path
    assert Usage.of(server.process.pid).cpu_seconds - before.cpu_seconds < 2


@pytest.mark.parametrize(
    "target",
    ["/v1/clips?" + "a&" * 4000, "/docs/search?q=" + "a+" * 4000, "/" + "%00" * 2700, "/v1/clips?limit=" + "1" * 8000],
    ids=lambda target: target[:20],
)
def test_long_target_gets_a_short_response(server: RunningServer, target: str) -> None:
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.get(f"{server.url}{target}", headers=headers, trust_env=False)
    assert answer.status_code in (200, 404, 422)
    assert len(answer.content) < ANSWER_BYTES


@pytest.mark.exhaustive
def test_closed_connections_keep_no_bodies(server: RunningServer) -> None:
    """Each kept what it had received of the body, 64 KiB, until a full garbage collection."""
    port = httpx.URL(server.url).port
    rejected = head("POST /v1/webhooks", "Content-Length: 262144", "Connection: close") + bytes(65_536)

    def send_together() -> None:
        with ExitStack() as stack:
            opened = [socket.create_connection(("127.0.0.1", port), timeout=300) for _ in range(200)]
            for each in opened:
                stack.enter_context(each).sendall(rejected)
            assert {each.recv(12)[9:] for each in opened} == {b"401"}

    send_together()
    before = resident_mebibytes(server.process.pid)
    for _ in range(5):
        send_together()
    assert resident_mebibytes(server.process.pid) - before < 20
