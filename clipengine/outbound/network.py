"""httpcore network backend that connects only to checked addresses and enforces a total deadline.

It does not resolve names. Each wait (connect, TLS handshake, send, receive) is limited to the time that is left, so a
receiver that sends one byte a second is disconnected in time, without a watchdog thread.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import certifi
import httpcore

from clipengine.limits.pace import Pace
from clipengine.outbound.address import Url

MAX_HEAD_BYTES = 1 << 20  # of all responses before the body: redirects and 1xx as well
_MIN_CONNECT_SECONDS = 1.0


class Deadline:
    """A point on the monotonic clock, and what may arrive before it.

    Until `begin_body`, at most MAX_HEAD_BYTES may arrive. After it, the sender must keep a least throughput.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pace: Pace | None = None
        self._head_bytes = 0

    def left(self) -> float:
        """Return the seconds that a wait may take, more than 0. Raises TimeoutError if the deadline has passed."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left if self._pace is None else min(left, self._pace.left())

    def begin_body(self, seconds: float, *, stall_seconds: float) -> None:
        """Replace the deadline of the head by the deadline of the body."""
        self._end = time.monotonic() + seconds
        self._pace = Pace(stall_seconds)

    def received(self, size: int, *, waited: float) -> None:
        """Count bytes that arrived. Raises OSError if there are too many before the body, or too few in it."""
        if self._pace is not None:
            self._pace.add(waited=waited, received=size)
            return
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise OSError(errno.EMSGSIZE, "the head of the response is too long")

    def shorten(self, seconds: float) -> None:
        """Move the deadline to at most `seconds` from now."""
        self._end = min(self._end, time.monotonic() + seconds)


class CheckedNetwork(httpcore.NetworkBackend):
    """Network backend of one request. It tries the given addresses in order and ignores the host name.

    Failures raise OSError (TimeoutError, ssl.SSLError, …). Write failures raise httpcore's errors, after which httpcore
    still reads the response.
    """

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._handles: list[socket.socket] = []  # duplicates, because wrapping in TLS detaches the first socket
        self._aborted = False

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
            # An unreachable address must leave time for the others.
            wait = min(left, max(_MIN_CONNECT_SECONDS, left / (others + 1)))
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
            if self._aborted:
                raise ConnectionAbortedError("aborted")
            sock.settimeout(wait)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def abort(self) -> None:
        """End every wait at once. Thread-safe."""
        self._aborted = True
        for handle in list(self._handles):
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for handle in self._handles:
            handle.close()


class SenderClosed(Exception):
    """The engine stops and has ended the request, so the outcome is unknown."""


class OpenNetworks:
    """The networks of the current requests of one sender, so that they can be ended together. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[CheckedNetwork, str] = {}
        self.closed = False

    @contextlib.contextmanager
    def open(self, addresses: Sequence[str], deadline: Deadline, *, purpose: str = "") -> Iterator[CheckedNetwork]:
        """Yield the network of one request for `purpose`. Raises SenderClosed after `close`."""
        network = CheckedNetwork(addresses, deadline)
        with self._lock:
            if self.closed:
                raise SenderClosed
            self._open[network] = purpose
        try:
            yield network
        finally:
            with self._lock:
                del self._open[network]
            network.close()

    def abort(self, purpose: str) -> None:
        """End the requests that were opened for `purpose`."""
        with self._lock:
            for network, its in self._open.items():
                if its == purpose:
                    network.abort()

    def close(self) -> None:
        """End all requests."""
        with self._lock:
            self.closed = True
            for network in self._open:
                network.abort()


def reach(network: httpcore.NetworkBackend, url: Url, tls: ssl.SSLContext) -> None:
    """Open and close a connection to the host of a URL. Raises the errors of httpcore and OSError."""
    stream = network.connect_tcp(url.host, url.port)
    try:
        if url.scheme == "https":
            stream = stream.start_tls(tls, url.host)
    finally:
        stream.close()


def trust_store() -> ssl.SSLContext:
    """Trust the certificates of certifi and of the system, to which operators add their own."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def described(error: Exception) -> str | None:
    """Return one short line for an expected error of an exchange, or None for any other error."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {getattr(error, 'verify_message', '') or error.reason or 'handshake failed'}"
    if isinstance(error, OSError):
        return f"connection: {error.strerror or type(error).__name__}"
    if isinstance(error, httpcore.ProtocolError | httpcore.NetworkError):
        return "protocol: the response is not HTTP or is incomplete"
    return None


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
        began = time.monotonic()
        data = self._socket.recv(max_bytes)
        self._deadline.received(len(data), waited=time.monotonic() - began)
        return data

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
