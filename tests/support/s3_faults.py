"""An S3 store that fails as it is told to: a proxy on loopback before the real one.

Requests reach the store as the client signed them, with the Host that the client sees; the answers come back unless a
rule says otherwise. A rule takes the requests that it matches, as often as it was told, and is then spent.
"""

from __future__ import annotations

import http.client
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
    """One request on its way: what a fault can do with it."""

    def __init__(self, handler: Any, request: Request, upstream: str) -> None:
        self._handler = handler
        self.request = request
        self._upstream = urlsplit(upstream)

    def ask(self) -> Answer:
        """The store's own answer."""
        request = self.request
        connection = http.client.HTTPConnection(self._upstream.netloc, timeout=60)
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
        """Send the answer on; `body` and `length` replace its body and what is said of its length."""
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
        """An answer in XML, without asking the store."""
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
        """Do nothing for a while; False when the proxy stops meanwhile."""
        return not self._handler.server.stopping.wait(seconds)


Fault = Callable[[Exchange], None]


def cut_body(after: int) -> Fault:
    """Promise the whole body, send so many bytes of it, hang up."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(answer, body=answer.body[:after], length=len(answer.body))
        exchange.hang_up()

    return act


def ignore_range(whole: bytes) -> Fault:
    """Answer 200 with the whole object, as stores and caches do that know no ranges."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-range"]
        exchange.reply(Answer(200, headers, whole))

    return act


def overrun(exchange: Exchange) -> None:
    """More bytes than the range has, which would be taken for the next answer."""
    answer = exchange.ask()
    exchange.reply(answer, body=answer.body + b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000))


def without(name: str) -> Fault:
    """The store's answer, less one header."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(Answer(answer.status, [pair for pair in answer.headers if pair[0].lower() != name], answer.body))

    return act


def other_range(exchange: Exchange) -> None:
    """The right number of bytes, said to be of another place."""
    answer = exchange.ask()
    total = answer.header("content-range").rpartition("/")[2]
    said = f"bytes 0-{len(answer.body) - 1}/{total}"
    headers = [(name, said if name.lower() == "content-range" else value) for name, value in answer.headers]
    exchange.reply(Answer(answer.status, headers, answer.body))


def error_in_200(code: str) -> Fault:
    """Do nothing, and say so inside an answer of 200."""
    return lambda exchange: exchange.answer(200, ERROR_BODY.format(code=code).encode())


def pad(exchange: Exchange) -> None:
    """White space before the XML, as S3 sends it to keep a connection open while it puts parts together."""
    answer = exchange.ask()
    exchange.reply(answer, body=b" \n" * 500 + answer.body)


def swallow(exchange: Exchange) -> None:
    """Claim success and store nothing."""
    exchange.reply(Answer(200, [("ETag", '"00000000000000000000000000000000"')], b""))


def stall(after: int) -> Fault:
    """Send so many bytes of the body, then nothing more."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask()
        exchange.reply(answer, body=answer.body[:after], length=len(answer.body))
        exchange.wait(30)
        exchange.hang_up()

    return act


def drip(exchange: Exchange) -> None:
    """A byte every 50 ms: always in time, never done."""
    answer = exchange.ask()
    exchange.reply(answer, body=b"", length=len(answer.body))
    for position in range(len(answer.body)):
        exchange.send(answer.body[position : position + 1])
        if not exchange.wait(0.05):
            return


def cut_after_commit(exchange: Exchange) -> None:
    """Let the store do it, and hang up without an answer."""
    exchange.ask()
    exchange.hang_up()


def cut_before_commit(exchange: Exchange) -> None:
    exchange.hang_up()


def hold(released: threading.Event) -> Fault:
    """Keep the whole request until it is released, whatever became of its sender."""

    def act(exchange: Exchange) -> None:
        released.wait(60)
        exchange.ask()
        exchange.hang_up()

    return act


def refuse(status: int, code: str) -> Fault:
    return lambda exchange: exchange.answer(status, ERROR_BODY.format(code=code).encode())


def say(status: int, text: str) -> Fault:
    """An answer of something that is no S3 store, such as a gateway's page."""
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
        """Clients hang up on the faults that they meet: nothing to report."""


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
    """The proxy. `endpoint` is where clients find it, `seen` what they asked so far, where it is to `remember` that."""

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None, remember: bool = True) -> None:
        self._server = _Server(upstream, remember)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        scheme, port = ("https" if tls else "http"), self._server.server_address[1]
        self.endpoint = f"{scheme}://127.0.0.1:{port}"

    def fail(self, fault: Fault, *, method: str, query: str = "", times: int = 1) -> None:
        """Let the next `times` requests of the method, with this text in their query, meet the fault."""
        with self._server.lock:
            self._server.rules.append(_Rule(fault, method, query, times))

    def clear(self) -> None:
        """Forget the faults that nobody has met."""
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
