"""Sending one webhook: one POST on a connection of its own, to an address that was checked, within one deadline.

httpcore, httpx's own transport, is used directly: proxies and .netrc from the environment, redirects, cookies and
decompression do not exist at this level, and the request line is written from the URL as `address` took it apart.
What was meant for a receiver's ears only (headers, secrets, the URL's path and query) never gets into an `Outcome`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import certifi
import httpcore

from clipengine import __version__
from clipengine.errors import InvalidWebhookUrl
from clipengine.webhooks.address import Lookup, NameUnresolved, Rules, Target, parse, resolve
from clipengine.webhooks.pinned import Deadline, PinnedNetwork
from clipengine.webhooks.schedule import MAX_RETRY_AFTER_SECONDS

MAX_ANSWER_BYTES = 4096
# The status decides; what is left of the answer is read for politeness, so that the receiver can finish writing.
_POLITE_SECONDS = 1.0
_MAX_ERROR_CHARACTERS = 200


class SenderClosed(Exception):
    """The sender was closed while it sent: nothing is known of this attempt."""


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt. `ok` only for 2xx. `error` is None where it is ok, else one short line, safe to show.

    `gone` (410) means: never send there again. `retry_after_seconds` is what a 429 or 503 asked for, at most a day.
    """

    ok: bool
    status_code: int | None
    error: str | None
    retry_after_seconds: float | None
    gone: bool
    duration_ms: int


class Sender:
    """Sends webhooks from any number of threads. `timeout_seconds` holds for all of an attempt, look-up to answer.

    `own_port` is where this engine listens; `tls` and `lookup` replace the trust store and the system's resolver.
    """

    def __init__(
        self,
        allow_cidrs: Iterable[str] = (),
        timeout_seconds: float = 10,
        *,
        own_port: int | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.rules = Rules.of(allow_cidrs, own_port=own_port)
        self._timeout = timeout_seconds
        self._lookup = lookup
        self._tls = tls or _trust_store()
        self._lock = threading.Lock()
        self._networks: set[PinnedNetwork] = set()
        self._closed = False

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, trusted: bool = False) -> Outcome:
        """POST the body once. Whatever the receiver, the network or the URL does becomes an Outcome.

        `trusted` for URLs that the operator wrote into the settings; see `address`. Raises SenderClosed alone.
        """
        started = time.monotonic()
        deadline = Deadline(self._timeout)
        status: int | None = None
        error: str | None = None
        retry_after: float | None = None
        try:
            target = resolve(url, rules=self.rules, trusted=trusted, timeout=deadline.left(), lookup=self._lookup)
            status, retry_after_text = self._exchange(target, body, headers, deadline)
            error = _status_error(status)
            if status in (429, 503):
                retry_after = _retry_after(retry_after_text)
        except Exception as fault:
            error = self._error(fault)
        if self._closed and status is None:
            raise SenderClosed
        return Outcome(
            ok=error is None,
            status_code=status,
            error=error and error[:_MAX_ERROR_CHARACTERS],
            retry_after_seconds=retry_after,
            gone=status == 410,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    def host(self, url: str) -> str:
        """Whom a URL leads to: its host and port, without what only the receiver is to know."""
        try:
            return parse(url).authority
        except InvalidWebhookUrl:
            return "an address that cannot be read"

    def reach(self, url: str, *, trusted: bool = False) -> str | None:
        """What keeps the receiver from being sent to, None where nothing does: a connection is opened and closed."""
        deadline = Deadline(self._timeout)
        try:
            target = resolve(url, rules=self.rules, trusted=trusted, timeout=deadline.left(), lookup=self._lookup)
            with self._network(target, deadline) as network:
                stream = network.connect_tcp(target.url.host, target.url.port)
                try:
                    if target.url.scheme == "https":
                        stream = stream.start_tls(self._tls, target.url.host)
                finally:
                    stream.close()
        except Exception as fault:
            return self._error(fault)
        return None

    def _error(self, fault: Exception) -> str:
        """One short line that says what went wrong on the way to a receiver. What it does not know, it raises."""
        if isinstance(fault, InvalidWebhookUrl):
            return f"refused: {fault.message}"
        if isinstance(fault, NameUnresolved):
            return f"dns: {fault}"
        if isinstance(fault, TimeoutError | httpcore.TimeoutException):
            return f"timeout: no whole answer within {self._timeout:g} s"
        if isinstance(fault, ssl.SSLError):
            return f"tls: {getattr(fault, 'verify_message', '') or fault.reason or 'handshake failed'}"
        if isinstance(fault, OSError):
            return f"connection: {fault.strerror or type(fault).__name__}"
        if isinstance(fault, httpcore.ProtocolError | httpcore.NetworkError):
            return "protocol: the answer is not HTTP, or it breaks off"
        raise fault

    def close(self) -> None:
        """End what is being sent, at once: those calls raise SenderClosed."""
        with self._lock:
            self._closed = True
            for network in self._networks:
                network.cut()

    def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, str | None]:
        """The status and the Retry-After of the answer."""
        url = target.url
        fields = {
            "Host": url.authority,
            "User-Agent": f"clipengine/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        request = httpcore.Request(
            "POST",
            httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path),
            headers=[(name.encode(), value.encode()) for name, value in fields.items()],
            content=body,
        )
        with self._network(target, deadline) as network:
            origin = httpcore.Origin(url.scheme.encode(), url.host.encode(), url.port)
            connection = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=network)
            try:
                response = connection.handle_request(request)
                deadline.shorten(_POLITE_SECONDS)
                _drain(response)
            finally:
                connection.close()
        asked = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"retry-after"]
        return response.status, asked[0] if asked else None

    @contextmanager
    def _network(self, target: Target, deadline: Deadline) -> Iterator[PinnedNetwork]:
        network = PinnedNetwork(target.addresses, deadline)
        with self._lock:
            if self._closed:
                raise SenderClosed
            self._networks.add(network)
        try:
            yield network
        finally:
            with self._lock:
                self._networks.discard(network)
            network.close()


def _drain(response: httpcore.Response) -> None:
    """Read what little of the answer is read: raw, never inflated, and of no consequence when it breaks off."""
    size = 0
    try:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size >= MAX_ANSWER_BYTES:
                return
    except (OSError, httpcore.ProtocolError, httpcore.NetworkError):
        return


def _status_error(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirect" if 300 <= status < 400 else f"status {status}"


def _retry_after(text: str | None) -> float | None:
    """Retry-After, seconds or an HTTP date, as seconds from now: 0 to a day. None where it says neither."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _trust_store() -> ssl.SSLContext:
    """The system's certificates, where an operator adds the CA of the house, and certifi's, which are always there."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
