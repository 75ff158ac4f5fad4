"""uvicorn's HTTP protocol with limits for the size and duration of a request's headers.

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
HEADER_BYTES = 64 * 1024  # the request line and the headers
TARGET_BYTES = 8 * 1024  # the path and the query
HEADERS = 100
LINGER_SECONDS = 2.0  # after a response sent before the end of the body; an earlier close could discard it


class LimitedProtocol(HttpToolsProtocol):
    """One connection. If it exceeds a limit, it is closed after an error response, if one can still be sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._header_bytes = 0
        self._request_complete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._reject(HeadersTooLarge(f"The request headers exceed {HEADER_BYTES} bytes"))
        elif not self._busy and self._timer is None:
            self._start_timer(HEADER_SECONDS)  # data has stopped uvicorn's keep-alive timer

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT_OFF: {"call": self._cut_off}}
        self._in_headers, self._header_bytes, self._request_complete = True, 0, False
        if self._timer is None:
            self._start_timer(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_timer()
        if (exceeded := self._exceeded_limit()) is not None:
            self._reject(HeadersTooLarge(exceeded))
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

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._request_complete = True
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
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

    def _cut_off(self) -> None:
        """Abort the connection and discard unsent data."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # now, so that the aborted response is not logged as an error
        self.transport.abort()

    def _reject(self, error: ClipEngineError) -> None:
        """Send an error response in place of the application and close the connection."""
        if self.transport.is_closing():
            return
        if not self._busy:
            response = problem({"path": "/"}, error)
            fields = [*response.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
            head = STATUS_LINE[error.status] + b"".join(b"%s: %s\r\n" % field for field in fields)
            self.transport.write(head + b"\r\n" + bytes(response.body))
        self.transport.close()
