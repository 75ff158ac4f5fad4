"""A loopback HTTP server from which recordings are fetched, with the faults that such servers have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

_SENT_AT_ONCE = 65_536


@dataclass
class OriginServer:
    """One resource, at every path, and how it is served. `requests` has the path and the headers of each request.

    A path `/redirect?to=URL` redirects there.
    """

    body: bytes
    url: str = ""
    etag: str | None = '"v1"'
    status: int = 200
    content_type: str = "video/mp4"
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    chunked: bool = False
    cut_after: int | None = None  # bytes of the next response after which the connection ends, once
    pause_after: int | None = None  # bytes of each response after which it waits for `go`
    go: Event = field(default_factory=Event)
    paused: Event = field(default_factory=Event)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def asked_ranges(self) -> list[str | None]:
        return [headers.get("range") for _, headers in self.requests]


@contextmanager
def origin_server(body: bytes, **options: Any) -> Iterator[OriginServer]:
    origin = OriginServer(body, **options)

    class Handler(_Handler):
        served = origin

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    origin.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield origin
    finally:
        origin.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: OriginServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        origin = self.served
        origin.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.close_connection = True
        if self.path.startswith("/redirect?to="):
            self.send_response(302)
            self.send_header("Location", self.path.partition("to=")[2])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = self._first()
        if first > len(origin.body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(origin, first)

    def _first(self) -> int:
        """Return the first byte to send. A range of another version is not served."""
        origin = self.served
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, origin.etag)
        return int(asked[1]) if asked and origin.ranges and same else 0

    def _send(self, origin: OriginServer, first: int) -> None:
        data = origin.body[first:]
        self.send_response(206 if first else origin.status)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(origin.body) - 1}/{len(origin.body)}")
        if origin.etag is not None:
            self.send_header("ETag", origin.etag)
        self.send_header("Content-Type", origin.content_type)
        self.send_header(*(("Transfer-Encoding", "chunked") if origin.chunked else ("Content-Length", str(len(data)))))
        for name, value in origin.headers.items():
            self.send_header(name, value)
        self.end_headers()
        end, origin.cut_after = origin.cut_after, None
        try:
            self._write(origin, data if end is None else data[:end])
            if origin.chunked and end is None:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass  # the client was killed, or has enough

    def _write(self, origin: OriginServer, data: bytes) -> None:
        for start in range(0, len(data), _SENT_AT_ONCE):
            if origin.pause_after is not None and start >= origin.pause_after:
                self.wfile.flush()
                origin.paused.set()
                origin.go.wait(300)
            part = data[start : start + _SENT_AT_ONCE]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if origin.chunked else part)

    def log_message(self, format: str, *args: object) -> None:
        pass
