"""Fault-injecting proxy on loopback in front of an S3 store.

Requests are forwarded as the client signed them, with the Host header that the client sent. A rule applies a fault to
the matching requests a given number of times.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

ERROR_BODY = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>{code}</Code><Message>told to fail</Message><Resource>/</Resource><RequestId>1</RequestId></Error>"
)
_XML = "application/xml"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


class Exchange:
    """One request, with the operations that a fault may use."""

    def __init__(self, handler: Any, request: Request, upstream: str) -> None:
        self._handler = handler
        self.request = request
        self._upstream = urlsplit(upstream)

    def ask(self) -> Answer:
        """Forward the request and return the store's response."""
        request = self.request
        connection = http.client.HTTPConnection(self._upstream.netloc, timeout=300)
        try:
            target = request.path + (f"?{request.query}" if request.query else "")
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name != "connection":
                    connection.putheader(name, value)
            connection.endheaders(request.body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def reply(self, answer: Answer, *, body: bytes | None = None, length: int | None = None) -> None:
        """Send a response to the client; `body` and `length` replace its body and Content-Length."""
        sent = answer.body if body is None else body
        self._handler.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self._handler.send_header(name, value)
        said = length if length is not None else answer.header("content-length") if not sent else len(sent)
        self._handler.send_header("Content-Length", str(said or 0))
        self._handler.end_headers()
        self.send(b"" if self.request.method == "HEAD" else sent)

    def answer(self, status: int, body: bytes) -> None:
        """Send an XML response without forwarding the request."""
        self.reply(Answer(status, [("Content-Type", _XML)], body))

    def redirect(self, place: str) -> None:
        self.reply(Answer(307, [("Location", place), ("Content-Type", _XML)], ERROR_BODY.format(code="Moved").encode()))

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> bool:
        """Sleep. Return False if the proxy stops meanwhile."""
        return not self._handler.server.stopping.wait(seconds)


Fault = Callable[[Exchange], None]


def cut_body(after: int) -> Fault:
    """Announce the whole body, send the first `after` bytes and disconnect."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(answer, body=answer.body[:after], length=len(answer.body))
        exchange.hang_up()

    return act


def ignore_range(whole: bytes) -> Fault:
    """Respond with 200 and the whole object, as caches without range support do."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-range"]
        exchange.reply(Answer(200, headers, whole))

    return act


def overrun(exchange: Exchange) -> None:
    """Send more bytes than the range has, which a client may take for the next response."""
    answer = exchange.ask()
    exchange.reply(answer, body=answer.body + b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000))


def without(name: str) -> Fault:
    """Remove a header from the response."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(Answer(answer.status, [pair for pair in answer.headers if pair[0].lower() != name], answer.body))

    return act


def other_range(exchange: Exchange) -> None:
    """Respond with a Content-Range at another offset."""
    answer = exchange.ask()
    total = answer.header("content-range").rpartition("/")[2]
    said = f"bytes 0-{len(answer.body) - 1}/{total}"
    headers = [(name, said if name.lower() == "content-range" else value) for name, value in answer.headers]
    exchange.reply(Answer(answer.status, headers, answer.body))


def error_in_200(code: str) -> Fault:
    """Respond with an error in the body of a 200 response."""
    return lambda exchange: exchange.answer(200, ERROR_BODY.format(code=code).encode())


def pad(exchange: Exchange) -> None:
    """Send white space before the XML, as S3 does while it assembles parts."""
    answer = exchange.ask()
    exchange.reply(answer, body=b" \n" * 500 + answer.body)


def swallow(exchange: Exchange) -> None:
    """Report success without forwarding the request."""
    exchange.reply(Answer(200, [("ETag", '"00000000000000000000000000000000"')], b""))


def stall(after: int) -> Fault:
    """Send the first `after` bytes of the body, then stall."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(answer, body=answer.body[:after], length=len(answer.body))
        exchange.wait(300)
        exchange.hang_up()

    return act


def drip(exchange: Exchange) -> None:
    """Send one byte every 50 ms."""
    answer = exchange.ask()
    exchange.reply(answer, body=b"", length=len(answer.body))
    for position in range(len(answer.body)):
        exchange.send(answer.body[position : position + 1])
        if not exchange.wait(0.05):
            return


def cut_after_commit(exchange: Exchange) -> None:
    """Forward the request and disconnect without a response."""
    exchange.ask()
    exchange.hang_up()


def cut_before_commit(exchange: Exchange) -> None:
    exchange.hang_up()


class Held:
    """A fault that delays requests until `release`, even if the client has disconnected."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def __call__(self, exchange: Exchange) -> None:
        self._released.wait(300)
        self._answers.put(exchange.ask())
        exchange.hang_up()

    def release(self) -> None:
        """Let the requests through."""
        self._released.set()

    def answer(self) -> Answer:
        """Wait for the store's answer to a request that was let through, and return it."""
        return self._answers.get(timeout=300)


def refuse(status: int, code: str) -> Fault:
    return lambda exchange: exchange.answer(status, ERROR_BODY.format(code=code).encode())


def say(status: int, text: str) -> Fault:
    """Respond with the given text, such as an error page of a gateway."""
    return lambda exchange: exchange.reply(Answer(status, [("Content-Type", "text/html")], text.encode()))


@dataclass
class _Rule:
    fault: Fault
    method: str
    query: str
    times: int

    def takes(self, request: Request) -> bool:
        return self.times > 0 and request.method == self.method and self.query in request.query


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str, remember: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.remember = remember
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.rules: list[_Rule] = []
        self.seen: list[Request] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path, url.query, headers, body)
        with self.server.lock:
            if self.server.remember:
                self.server.seen.append(request)
            rule = next((rule for rule in self.server.rules if rule.takes(request)), None)
            if rule:
                rule.times -= 1
        exchange = Exchange(self, request, self.server.upstream)
        if rule:
            rule.fault(exchange)
        else:
            exchange.reply(exchange.ask())

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FaultyS3:
    """The proxy. `endpoint` is its URL. `seen` has the requests so far if `remember` is set."""

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None, remember: bool = True) -> None:
        self._server = _Server(upstream, remember)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        scheme, port = ("https" if tls else "http"), self._server.server_address[1]
        self.endpoint = f"{scheme}://127.0.0.1:{port}"

    def fail(self, fault: Fault, *, method: str, query: str = "", times: int = 1) -> None:
        """Apply a fault to the next `times` requests with the method and with this text in the query."""
        with self._server.lock:
            self._server.rules.append(_Rule(fault, method, query, times))

    def clear(self) -> None:
        """Remove all rules."""
        with self._server.lock:
            self._server.rules.clear()

    @property
    def seen(self) -> list[Request]:
        with self._server.lock:
            return list(self._server.seen)

    def count(self, method: str, query: str = "") -> int:
        return sum(request.method == method and query in request.query for request in self.seen)

    def __enter__(self) -> FaultyS3:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
