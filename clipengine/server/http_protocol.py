"""uvicorn's HTTP protocol with limits for what surrounds a request's body: headers, chunk extensions, trailers.

uvicorn waits indefinitely for headers of any length, and for the rest of a body that no handler reads. Bodies
that are read have their limits in `api.http.validation` and in the types of `api.http.requests`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from clipengine.api.http.problems import problem
from clipengine.api.http.send_timeout import CUT_OFF
from clipengine.errors import ClipEngineError, HeadersTooLarge, MalformedRequest

HEADER_SECONDS = 15.0  # from the connection, or the first byte of a further request, to the end of the headers
HEADER_BYTES = 64 * 1024  # the request line and the headers; also what may lie between two bytes of a body
TARGET_BYTES = 8 * 1024  # the path and the query
HEADERS = 100
# Headers that decide something and may occur once: of two, a proxy may have judged one and the engine another.
# Headers of users that a proxy states are refused as well, see `proxy_identity`.
ONCE = frozenset(
    {
        *(b"authorization", b"content-encoding", b"content-type", b"cookie", b"host", b"idempotency-key", b"if-range"),
        *(b"last-event-id", b"mcp-method", b"mcp-name", b"mcp-protocol-version", b"mcp-session-id"),
        *(b"origin", b"range", b"sec-fetch-site", b"tus-resumable", b"upload-checksum", b"upload-concat"),
        *(b"upload-defer-length", b"upload-length", b"upload-offset", b"webhook-id", b"webhook-signature"),
        *(b"webhook-timestamp", b"x-clipengine-page", b"x-webhook-signature", b"x-webhook-timestamp"),
        *(b"x-zm-request-timestamp", b"x-zm-signature"),
    }
)
PIPELINED = 16  # requests that wait for the response to an earlier one of their connection
LINGER_SECONDS = 2.0  # after a response sent before the end of the body; an earlier close could discard it


class LimitedProtocol(HttpToolsProtocol):
    """One connection. If it exceeds a limit, it is closed after an error response, if one can still be sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._framing_bytes = 0  # since the request began, or since the last bytes of its body
        self._request_complete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        self._drop_body()

    def data_received(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._request_complete and self._framing_bytes > HEADER_BYTES:
            part = "headers" if self._in_headers else "chunk extensions or trailers"
            self._reject(HeadersTooLarge(f"The request {part} exceed {HEADER_BYTES} bytes"))
        elif not self._in_headers and not self._busy and self._timer is None:
            self._start_timer(HEADER_SECONDS)  # data has stopped uvicorn's keep-alive timer

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT_OFF: {"call": self._cut_off}}
        self._in_headers, self._framing_bytes, self._request_complete = True, 0, False
        if self._timer is None:
            self._start_timer(HEADER_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:
            super().on_header(name, value)
        else:  # httptools reports trailers here too, after the limits of the headers were checked
            self._reject(MalformedRequest("The request has trailers", hint="Send the chunked body without trailers."))

    def on_headers_complete(self) -> None:
        self._in_headers, self._framing_bytes = False, 0
        self._stop_timer()
        if (exceeded := self._exceeded_limit()) is not None:
            self._reject(HeadersTooLarge(exceeded))
        elif (repeated := self._repeated_header()) is not None:
            hint = "Send the header once; a proxy that adds it must replace the one of the client."
            self._reject(MalformedRequest(f"The request has the header {repeated} twice", hint=hint))
        elif len(self.pipeline) >= PIPELINED:
            self.transport.close()
        elif not self.transport.is_closing():
            super().on_headers_complete()

    def _exceeded_limit(self) -> str | None:
        """Return which limit the request line and the headers exceed, None if they are within all of them."""
        if len(self.headers) > HEADERS:
            return f"The request has more than {HEADERS} headers"
        if len(self.url) > TARGET_BYTES:
            return f"The path and query exceed {TARGET_BYTES} bytes"
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEADER_BYTES:
            return f"The request headers exceed {HEADER_BYTES} bytes"
        return None

    def _repeated_header(self) -> str | None:
        """Return the name of a header that may occur once and is repeated, or None."""
        found = set()
        for name, _ in self.headers:
            if name in found:
                return name.decode()
            if name in ONCE:
                found.add(name)
        return None

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._request_complete = True
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._drop_body()
        if not self._request_complete and not self._in_headers:
            self._start_timer(LINGER_SECONDS)

    def send_400_response(self, msg: str) -> None:
        self._reject(MalformedRequest("The request is not valid HTTP/1.1", hint="Send HTTP/1.1."))

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self._busy:  # with an earlier request of this connection
            self._start_timer(HEADER_SECONDS)
        elif self._in_headers:
            self._reject(MalformedRequest(f"The request headers were not complete after {HEADER_SECONDS:g} seconds"))
        else:
            self.transport.close()

    def _drop_body(self) -> None:
        """Free the body that no handler will read: the objects of a connection live until a garbage collection."""
        if self.cycle is not None and (self.cycle.response_complete or self.cycle.disconnected):
            self.cycle.body = bytearray()

    def _cut_off(self) -> None:
        """Abort the connection and discard unsent data."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # now, so that the aborted response is not logged as an error
        self.transport.abort()

    def _reject(self, error: ClipEngineError) -> None:
        """Send an error response in place of the application and close the connection."""
        if self.transport.is_closing():
            return
        if not self._busy or self._take_response():
            response = problem({"path": "/"}, error)
            fields = [*response.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
            head = STATUS_LINE[error.status] + b"".join(b"%s: %s\r\n" % field for field in fields)
            self.transport.write(head + b"\r\n" + bytes(response.body))
        self.transport.close()

    def _take_response(self) -> bool:
        """Stop the application from responding to the current request. Return False if another response comes first."""
        if self._in_headers or self.pipeline or self.cycle.response_started:
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return True
