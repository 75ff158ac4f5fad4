"""How requests come in: uvicorn's HTTP protocol, with an end to what a client may send and how long it may take.

uvicorn waits for ever for a request's head, of any length, and for the rest of a body that nobody reads. Bodies that
are read have their limits where they are read.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from clipengine.api.problems import problem
from clipengine.api.sending import CUT_OFF
from clipengine.errors import ClipEngineError, HeadersTooLarge, MalformedRequest

HEAD_SECONDS = 15.0  # from the connection, or the first byte of a further request, to the end of the headers
HEAD_BYTES = 64 * 1024  # the request line and the headers
LINGER_SECONDS = 2.0  # after an answer that did not wait for the body: closing at once would take it from the client


class Guarded(HttpToolsProtocol):
    """One connection. It is closed, with a problem document where the client can still get one, when a limit is met."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._whole = True  # the last request has come to its end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HeadersTooLarge(f"The request's head is longer than {HEAD_BYTES} bytes"))
        elif not self._busy and self._timer is None:
            self._limit(HEAD_SECONDS)  # bytes before a request have ended the keep-alive's own deadline

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT_OFF: {"call": self._cut_off}}
        self._in_head, self._head_bytes, self._whole = True, 0, False
        if self._timer is None:
            self._limit(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unlimit()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES:
            self._refuse(HeadersTooLarge(f"The request's head is longer than {HEAD_BYTES} bytes"))
        elif not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole = True
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._whole and not self._in_head:
            self._limit(LINGER_SECONDS)

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequest("The request's method or form is not known", hint="Send HTTP/1.1."))

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _limit(self, seconds: float) -> None:
        self._unlimit()
        self._timer = self.loop.call_later(seconds, self._too_late)

    def _unlimit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._busy:  # an earlier request of this connection is being answered
            self._limit(HEAD_SECONDS)
        elif self._in_head:
            self._refuse(MalformedRequest(f"The request's head was not complete after {HEAD_SECONDS:g} seconds"))
        else:
            self.transport.close()

    def _cut_off(self) -> None:
        """End the connection with all that was not taken."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # the loop says so only later, and an answer that was given up is no fault
        self.transport.abort()

    def _refuse(self, error: ClipEngineError) -> None:
        """Answer in place of the application, and close."""
        if self.transport.is_closing():
            return
        if not self._busy:
            answer = problem({"path": "/"}, error)
            fields = [*answer.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
            head = STATUS_LINE[error.status] + b"".join(b"%s: %s\r\n" % field for field in fields)
            self.transport.write(head + b"\r\n" + bytes(answer.body))
        self.transport.close()
