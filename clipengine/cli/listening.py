"""The HTTP server of `serve`: uvicorn on a socket of our own, stopped by signals within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import uvicorn

from clipengine.cli.receiving import Guarded
from clipengine.cli.stopping import guard_stop
from clipengine.errors import StartupError

log = logging.getLogger(__name__)

GRACE_SECONDS = 4  # for requests that are being answered when the stop comes
_LAST_SECONDS = 1  # then, for what their connections' end does not end
TAKE_SECONDS = 60.0  # a connection whose client takes nothing of what was sent ends after so long
# Far above what streams and waits of one box hold open; beyond it uvicorn answers 503 by itself.
_CONNECTIONS = 4096
REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where one reaches who listens on every interface

_OTHER_ADDRESS = "Choose another address with --host and --port; port 0 takes a free one."
_REMEDIES = {
    errno.EADDRINUSE: "Another program listens there, maybe a clipengine that runs already: `ss -ltnp` shows which. "
    "Stop it, or choose another port with --port; 0 takes a free one.",
    errno.EADDRNOTAVAIL: "No interface of this machine has this address: `ip address` lists those that there are; "
    "127.0.0.1 is this machine alone, 0.0.0.0 every interface (--host).",
    errno.EACCES: "Ports below 1024 are for privileged programs: choose another one with --port, behind a proxy.",
}


class Server(uvicorn.Server):
    """`on_listening` is called once it accepts requests, `on_stopping` before it waits for those it is answering.

    `handle_exit` is the process's handler of SIGTERM and SIGINT.
    """

    def __init__(self, app: Any, *, on_listening: Callable[[], None], on_stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Guarded,
                ws="none",
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS + _LAST_SECONDS,
            )
        )
        self._on_listening = on_listening
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        cutting = asyncio.create_task(self._cut_off())
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    async def _cut_off(self) -> None:
        """End the connections of those who take or send too slowly, as if they had gone: what answers them ends too.

        uvicorn would cancel it, and log that and what it was doing as errors.
        """
        await asyncio.sleep(GRACE_SECONDS)
        slow = list(self.server_state.connections)
        log.info("connections that are cut off, not done %d s after the stop: %d", GRACE_SECONDS, len(slow))
        for connection in slow:
            if connection.transport is not None:
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Ours are set for the whole process: uvicorn's would end it by the signal, and not with 0."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            guard_stop()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises StartupError that says why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it. asyncio sets it only on sockets made with IPPROTO_TCP, and without it every answer
        # waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Whatever is sent, and closing does not wait for a client that takes nothing: the kernel ends it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(TAKE_SECONDS * 1000))
        return listener
    except OverflowError:
        raise StartupError(f"there is no port {port}", hint=_OTHER_ADDRESS) from None
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StartupError(
            f"cannot listen on {host} port {port}: {reason}", hint=_REMEDIES.get(error.errno or 0, _OTHER_ADDRESS)
        ) from None


def url_of(listener: socket.socket) -> str:
    """Where this machine reaches the socket; an address of every interface is shown as loopback."""
    host, port = listener.getsockname()[:2]
    host = REACHED.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
