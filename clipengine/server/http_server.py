"""The HTTP server of `serve` and `worker`: uvicorn with its own socket options and a bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Generator
from typing import Any

import uvicorn

from clipengine.errors import StartupError
from clipengine.server.http_protocol import LimitedProtocol
from clipengine.server.shutdown import StopRequest

log = logging.getLogger(__name__)

GRACE_SECONDS = 4  # for running requests after a stop signal, before their connections are aborted
_ABORT_SECONDS = 1  # for handlers to end after that
SEND_TIMEOUT_SECONDS = 60.0  # for a client to acknowledge data
_MAX_CONNECTIONS = 4096  # beyond this, uvicorn answers 503
REACHABLE_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # for a server that listens on all interfaces

_DEFAULT_HINT = "Choose another address with --host and --port; port 0 selects a free one."
_HINTS = {
    errno.EADDRINUSE: "Another program uses the port, possibly another clipengine: `ss -ltnp` shows it. "
    "Stop it, or choose another port with --port; 0 selects a free one.",
    errno.EADDRNOTAVAIL: "No interface of this machine has this address: `ip address` lists the addresses. "
    "Use --host 127.0.0.1 for this machine only, or 0.0.0.0 for all interfaces.",
    errno.EACCES: "Ports below 1024 require privileges: choose another one with --port, behind a proxy.",
}


class Server(uvicorn.Server):
    """uvicorn server that runs until `stop`.

    `on_listening` is called when it accepts connections, `on_stopping` before it waits for running requests.
    """

    def __init__(
        self,
        app: Any,
        stop: StopRequest,
        *,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=LimitedProtocol,
                ws="none",
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS + _ABORT_SECONDS,
            )
        )
        self._on_listening = on_listening
        self._on_stopping = on_stopping
        stop.on_stop = self.handle_exit
        self.should_exit = stop.should_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        aborting = asyncio.create_task(self._abort_connections())
        try:
            await super().shutdown(sockets)
        finally:
            aborting.cancel()

    async def _abort_connections(self) -> None:
        """Abort connections that are still open after the grace period, so that their handlers end as for a disconnect.

        Otherwise uvicorn cancels the handlers and logs that as errors.
        """
        await asyncio.sleep(GRACE_SECONDS)
        slow = list(self.server_state.connections)
        log.info("aborting connections still open %d s after the stop signal: %d", GRACE_SECONDS, len(slow))
        for connection in slow:
            if connection.transport is not None:
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no handlers: uvicorn's would end the process by the signal instead of with exit status 0."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 selects a free port. Raises StartupError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit both options. asyncio sets TCP_NODELAY only on sockets created with IPPROTO_TCP; without
        # it, every response waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel ends connections whose client does not acknowledge data; closing does not wait for it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(SEND_TIMEOUT_SECONDS * 1000))
        return listener
    except OverflowError:
        raise StartupError(f"port {port} is out of range", hint=_DEFAULT_HINT) from None
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StartupError(
            f"cannot listen on {host} port {port}: {reason}", hint=_HINTS.get(error.errno or 0, _DEFAULT_HINT)
        ) from None


def url_of(listener: socket.socket) -> str:
    """Return the URL of the socket, with loopback in place of an address for all interfaces."""
    host, port = listener.getsockname()[:2]
    host = REACHABLE_HOST.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
