"""A scripted webhook receiver on loopback, with real sockets and HTTP, independent of the test framework.

    with Receiver() as receiver:
        receiver.script(Answer(500), Answer(200, delay=2))    # the first two requests; later ones get Answer()
        …                                                     # send something to receiver.url
        (request, *_) = receiver.wait_for(1)                  # recorded: request.body, request.headers

Once the script is used up, `receiver.answer = lambda request: Answer(…)` selects the response by the request.
Closing the receiver ends all its waits.
"""

from __future__ import annotations

import gzip
import io
import json
import socketserver
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Literal

GZIP_BOMB_BYTES = 200 * 1024 * 1024
_MEGABYTE = bytes(1024 * 1024)


@dataclass(frozen=True)
class Request:
    """A received request. `headers` has lower-case names; `raw_headers` has the original spelling and order."""

    method: str
    path: str
    headers: dict[str, str]
    raw_headers: list[tuple[str, str]]
    body: bytes
    at: float  # time.monotonic()


@dataclass(frozen=True)
class Answer:
    """A scripted response.

    `delay`: seconds before the first byte. `drip`: send the headers or the body at one byte per `drip_seconds`.
    `hang_up`: close without a response. `raw`: send these bytes instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    drip: Literal["headers", "body"] | None = None
    drip_seconds: float = 0.1
    hang_up: bool = False
    raw: bytes | None = None


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status, {"Location": location})


def json_answer(body: object, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def gzip_bomb() -> Answer:
    """Return 200 MB of zeros, compressed to about 200 kB."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as bomb:
        for _ in range(GZIP_BOMB_BYTES // len(_MEGABYTE)):
            bomb.write(_MEGABYTE)
    return Answer(200, {"Content-Encoding": "gzip"}, packed.getvalue())


class Receiver:
    """HTTP server that runs inside a `with` block. `requests` has the received requests in order of arrival."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Callable[[Request], Answer] = lambda request: Answer()
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self._script: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server((host, port), self, tls)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.host, self.port = host, int(self._server.server_address[1])
        self.scheme = "https" if tls else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook"

    def script(self, *answers: Answer) -> None:
        """Queue responses for the next requests."""
        with self._changed:
            self._script.extend(answers)

    def wait_for(self, count: int, timeout: float = 300) -> list[Request]:
        """Wait for at least `count` requests and return all. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came within {timeout:g} s")
            return list(self.requests)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if self._script:
                return self._script.popleft()
        return self.answer(request)

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise ConnectionAbortedError("the receiver is closing")


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = False  # server_close waits for the handler threads
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.tls = tls
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect, which tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def setup(self) -> None:
        if self.server.tls:
            self.request.settimeout(self.timeout)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if self.server.tls:  # the server closes only the underlying socket
            self.request.close()

    def handle(self) -> None:
        self.close_connection = True  # one request per connection
        self.handle_one_request()

    def _serve(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        raw_headers = list(self.headers.items())
        named = {name.lower(): value for name, value in raw_headers}
        answer = receiver._take(Request(self.command, self.path, named, raw_headers, body, time.monotonic()))
        if answer.delay:
            receiver._pause(answer.delay)
        if answer.hang_up:
            return
        if answer.raw is not None:
            self._write(answer.raw)
            return
        fields = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
        head = f"HTTP/1.1 {answer.status} Scripted\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        self._write(head.encode("latin-1"), answer.drip_seconds if answer.drip == "headers" else 0)
        self._write(answer.body, answer.drip_seconds if answer.drip == "body" else 0)

    do_POST = do_GET = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _write(self, data: bytes, drip_seconds: float = 0) -> None:
        step = 1 if drip_seconds else 16_384
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            self.server.receiver.bytes_sent += len(data[start : start + step])
            if drip_seconds:
                self.server.receiver._pause(drip_seconds)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
