"""Fuzzing of the HTTP server: raw requests on every route, of which none may be answered with 500 or grow the memory.

The same seed sends the same requests. Most requests have a key with every scope, so that handlers are reached.
"""

from __future__ import annotations

import json
import re
import socket
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import click
import httpx

from tests.support import events
from tests.support.server import RunningServer, running_server

_SOURCES = {f"CLIPENGINE_INGEST__{name.upper()}__SECRET": "secret-of-the-source" for name in ("generic", "s3")}
_SETTINGS = {"CLIPENGINE_MCP__ENABLED": "true", "CLIPENGINE_INGEST__S3__BUCKET": "recordings", **_SOURCES}
_OTHER: tuple[str, ...] = (
    "/",
    "/assets/{name}",
    "/docs",
    "/docs/{name}",
    "/livez",
    "/readyz",
    "/metrics",
    "/session",
    "/mcp",
    "/oembed",
)
_OTHER += ("/s/{token}", "/s/{token}/video", "/s/{token}/poster", "/s/{token}/download", "/embed/{token}")
_OTHER += ("/v1/ingest/generic", "/v1/ingest/s3", "/v1/ingest/zoom")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
_IDS = (
    "x",
    "..",
    "%2e%2e",
    "%00",
    "a%0d%0ab",
    "%ff",
    "%f0%9f%8e%ac",
    "-1",
    "9" * 400,
    "..%2f..%2fetc",
    "%ed%a0%80",
    "*",
)
_TEXTS = ("", "\0", "a\x1b[2J", "\ud800", "..", "9" * 5000, "é\u202e", "' OR 1=1 --", "[", "http://[", "1e999", "null")
_VALUES: tuple[object, ...] = (None, True, -1, 0, 1.5, 10**30, -(2**63), 1e308, [], {}, [[]], {"": None}, *_TEXTS)
_HEADERS: tuple[str, ...] = (
    "Host",
    "Range",
    "If-None-Match",
    "Idempotency-Key",
    "Last-Event-ID",
    "Content-Type",
    "Accept",
    "Origin",
)
_HEADERS += (
    "Host",
    "Host",
    "Cookie",
    "traceparent",
    "X-Request-Id",
    "Content-Length",
    "Expect",
    "Sec-Fetch-Site",
    "User-Agent",
)
_TIMEOUT = 3
_GROWTH_BYTES = 48 << 20  # after the first tenth of the requests, in which caches fill


def fuzz(requests: int, seed: int) -> bool:
    """Send the requests to a new server and report. Return True if something is wrong."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "data", env=_SETTINGS) as server:
        routes = _routes(server)
        random, statuses, bad, before = Random(seed), Counter[str](), [], 0
        for number in range(requests):
            sent = _request(routes[number % len(routes)], random, server.key if random.random() < 0.7 else None)
            status = _answer(server, sent)
            statuses[status] += 1
            if status == "500" or server.process.poll() is not None:
                bad.append(f"request {number}: {status}: {sent[:300]!r}")
            if number == requests // 10:
                before = _resident(server)
        growth = _resident(server) - before
    for line in bad[:20]:
        click.echo(line)
    click.echo(f"{requests} requests on {len(routes)} routes: {dict(sorted(statuses.items()))}; "
               f"{len(bad)} answered with 500; memory grew by {growth >> 20} MiB")  # fmt: skip
    return bool(bad) or growth > _GROWTH_BYTES


def _routes(server: RunningServer) -> list[tuple[str, str]]:
    paths = httpx.get(f"{server.url}/v1/openapi.json", trust_env=False).json()["paths"]
    described = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return [*described, *((method, path) for path in _OTHER for method in ("GET", "POST"))]


def _request(route: tuple[str, str], random: Random, key: str | None) -> bytes:
    method, path = route
    if random.random() < 0.05:
        method = random.choice(_METHODS)
    target = re.sub(r"\{[^}]*\}", lambda found: random.choice(_IDS), path)
    if random.random() < 0.3:
        names = ("q", "limit", "cursor", "wait", "at", "sort", "url", "metadata.a", "%00")
        target += "?" + "&".join(f"{random.choice(names)}={random.choice(_IDS)}" for _ in range(3))
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close"]
    if key is not None:
        lines += [f"Authorization: Bearer {key}".encode(), b"X-Clipengine-Page: 1"]
    for _ in range(random.randrange(5)):
        value = random.choice(_TEXTS).encode("utf-8", "surrogatepass").replace(b"\0", random.choice((b"", b"\0")))
        name = random.choice(_HEADERS)
        lines = [line for line in lines if not line.startswith(name.encode() + b":")]
        lines.append(name.encode() + b": " + value)
    body = _body(random) if method in ("POST", "PUT", "PATCH") else b""
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def _body(random: Random) -> bytes:
    """Return a body: an event, a JSON object with fields of the API, or any bytes."""
    kind = random.randrange(4)
    if kind == 0:
        return random.choice([path.read_bytes() for path in sorted(events.EVENTS.glob("*.json"))])
    if kind == 1:
        return random.randbytes(random.randrange(1, 2000))
    names = ("recording_id", "clip_ids", "label", "start_seconds", "end_seconds", "metadata", "tags", "output", "parts",
             "url", "events", "bucket_path", "expires_at", "snap", "name", "scopes", "key", "method")  # fmt: skip
    return json.dumps({random.choice(names): random.choice(_VALUES) for _ in range(random.randrange(8))}).encode()


def _answer(server: RunningServer, sent: bytes) -> str:
    """Return the status of the answer, or "none" if the connection was closed without one."""
    address = urlsplit(server.url)
    with suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=_TIMEOUT) as connection:
        connection.sendall(sent)
        head = connection.recv(64)
        return head.split(b" ")[1].decode("latin-1") if head.startswith(b"HTTP/1.1 ") else "none"
    return "none"


def _resident(server: RunningServer) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10
