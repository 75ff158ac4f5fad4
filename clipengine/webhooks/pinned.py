"""A connection that goes to addresses which were checked, and ends by its deadline whatever the other side does.

httpcore takes its network from outside; this one has no name resolution at all, and bounds every single wait by what
is left of one deadline for connecting, the TLS handshake, sending and receiving. So a receiver that drips a byte a
second is cut in time, without a watchdog thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

_LEAST_CONNECT_SECONDS = 1.0


class Deadline:
    """A point on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, more than 0. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def shorten(self, seconds: float) -> None:
        """At most so many seconds from now."""
        self._end = min(self._end, time.monotonic() + seconds)


class PinnedNetwork(httpcore.NetworkBackend):
    """The network of one exchange: it connects to the given addresses, in their order, ignoring the origin's name.

    Failures come out as OSError (TimeoutError, ssl.SSLError, …), of writing as httpcore's, which reads on after them.
    `cut` may be called from any thread and ends every wait at once.
    """

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._handles: list[socket.socket] = []  # duplicates: TLS takes the first socket's descriptor away
        self._cut = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        for position, address in enumerate(self._addresses):
            others = len(self._addresses) - position - 1
            left = self._deadline.left()
            # A name with an IPv6 address that leads nowhere must leave time for its IPv4 address.
            wait = min(left, max(_LEAST_CONNECT_SECONDS, left / (others + 1)))
            try:
                return _Stream(self._connect(address, port, wait), self._deadline)
            except OSError:
                if not others:
                    raise
        raise OSError("no address to connect to")

    def _connect(self, address: str, port: int, wait: float) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._handles.append(sock.dup())
            if self._cut:
                raise ConnectionAbortedError("cut")
            sock.settimeout(wait)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def cut(self) -> None:
        self._cut = True
        for handle in list(self._handles):
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for handle in self._handles:
            handle.close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket = sock
        self._deadline = deadline

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._socket.settimeout(self._deadline.left())
        try:
            return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname), self._deadline)
        except BaseException:
            self._socket.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._socket.settimeout(self._deadline.left())
                buffer = buffer[self._socket.send(buffer) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()
